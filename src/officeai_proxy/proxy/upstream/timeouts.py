"""How long the upstream may take, and the words for when it took longer."""

from dataclasses import dataclass

from officeai_proxy.errors import UpstreamTimedOut
from officeai_proxy.proxy.upstream.address import Address


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds.

    `connect` covers name resolution, TCP and TLS; `first_byte` runs from the request being sent to
    the reply's head; `idle` runs between two bytes after that.
    """

    connect: float
    first_byte: float
    idle: float

    @property
    def tick(self) -> float:
        """How often running exchanges are looked at: no timeout comes later than a quarter more."""
        return min(1.0, self.first_byte / 4, self.idle / 4)

    def connect_error(self, address: Address) -> UpstreamTimedOut:
        """No connection came about."""
        return UpstreamTimedOut(
            f"No connection to the upstream {address} within {self.connect:g} s. Check that it is "
            "up and that a firewall lets this host through, or raise OFFICEAI_CONNECT_TIMEOUT."
        )

    def first_byte_error(self, address: Address) -> UpstreamTimedOut:
        """The request is out, and no reply began."""
        return UpstreamTimedOut(
            f"The upstream {address} did not begin its reply within {self.first_byte:g} s. Check "
            "the upstream, or raise OFFICEAI_FIRST_BYTE_TIMEOUT."
        )

    def idle_error(self, address: Address) -> UpstreamTimedOut:
        """The reply began, and then nothing more of it came."""
        return UpstreamTimedOut(
            f"The upstream {address} fell silent for {self.idle:g} s within its reply. Check the "
            "upstream, or raise OFFICEAI_IDLE_TIMEOUT."
        )
