"""What the hot path tells of its calls to whoever counts them."""

from typing import Protocol

from officeai_proxy.errors import ProxyError
from officeai_proxy.model import Exchange


class CallCounter(Protocol):
    """Counts calls; every method is a few additions and never raises."""

    def began(self) -> None:
        """A call is on its way."""

    def over(self) -> None:
        """That call is not on its way any more."""

    def ended(self, exchange: Exchange, *, sent: int, received: int) -> None:
        """A call ended like *exchange*, after so many bytes each way."""

    def refused(self, error: ProxyError) -> None:
        """A call was refused with *error*."""
