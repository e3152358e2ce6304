"""An admitted call in, the capture that follows it to its end out, and who hears of the end."""

from collections.abc import Callable

from officeai_proxy.model import Exchange
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import Capture
from officeai_proxy.proxy.counting import CallCounter
from officeai_proxy.proxy.metering import MeteredCapture


class Captures:
    """Makes the captures of all calls to one upstream."""

    def __init__(
        self, upstream: str, *, limit: int, append: Callable[[Exchange], None], counter: CallCounter
    ) -> None:
        """Keep at most *limit* bytes of a reply; *append* takes the exchange at its end."""
        self._upstream = upstream
        self._limit = limit
        self._append = append
        self._counter = counter
        self.running: dict[Capture, None] = {}
        """Recorded calls that have not ended, in the order in which they began."""

    def of(self, call: Call) -> Capture:
        """The capture of *call*."""
        upstream, limit = self._upstream, self._limit
        capture = (
            Capture(call, upstream=upstream, limit=limit, keep=self._keep)
            if call.lease is None
            else MeteredCapture(call, call.lease, upstream=upstream, limit=limit, keep=self._keep)
        )
        if call.is_recorded:
            self.running[capture] = None
        return capture

    def _keep(self, capture: Capture, exchange: Exchange) -> None:
        self.running.pop(capture, None)
        self._append(exchange)
        self._counter.ended(exchange, sent=capture.sent, received=capture.received)
