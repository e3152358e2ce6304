"""HTTP/1.1 requests that come before the one in front of them has its answer: each in its turn.

A layer over uvicorn's protocol class, which stops to read a connection when a request waits there,
and so does not see that its client has left; and which tells only the newest request that it has.
"""

from typing import cast

from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from officeai_proxy.server.open_ends import for_client_of


class PipelinedProtocol(HttpToolsProtocol):
    """uvicorn's protocol where what comes too early is kept unread, and the client is watched.

    Whoever extends it says what is answered now in `_running`, and gives bytes that come while
    `_unread` is not None to `_keep`.
    """

    _running: RequestResponseCycle | None = None
    # None while what comes is read.
    _unread: bytearray | None = None
    # Told when all requests have their answers, and the end of the connection.
    _last_words = b""

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: tell the request that is being answered, and begin no other."""
        running, self._running = self._running, None
        if running is not None:
            running.disconnected = True
            running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def on_response_complete(self) -> None:
        """A reply is whole: go on with the next request. uvicorn would set a timer for it here."""
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._last_words:
            self.transport.write(self._last_words)
            self.transport.close()
        if self._unread is not None and not self.pipeline:
            # Not inside what has just been answered, which goes on for a step.
            self.loop.call_soon(self._read_on)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin a request that goes through ASGI."""
        self._running = cycle
        served = for_client_of(cycle, cast("ASGIApp", app))
        super()._start_asgi_task(cycle, cast("ASGI3Application", served))

    def _keep(self, data: bytes) -> None:
        """Keep *data*, which is not to be read yet, unless nobody will ever want it."""
        unread = self._unread
        if unread is None or self._last_words:
            return
        unread += data
        if len(unread) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _let_wait(self) -> None:
        """Keep what comes from now on, and go on looking whether the client leaves."""
        self._unread = bytearray() if self._unread is None else self._unread
        self.flow.resume_reading()

    def _read_on(self) -> None:
        """Read what was kept, unless something that came before it still waits."""
        if self.pipeline or self._last_words or self.transport.is_closing():
            return
        unread, self._unread = self._unread, None
        if unread:
            self.data_received(bytes(unread))

    def _tell_last(self, words: bytes) -> None:
        """Say *words* when the requests before them have their answers, and close then."""
        self._last_words = words
        self._let_wait()

    def _forget_newest(self) -> None:
        """The newest request is none, and waits for its turn: it shall never begin."""
        self.pipeline.popleft()
        before = self.pipeline[0][0] if self.pipeline else self._running
        self.cycle = cast("RequestResponseCycle", before)
