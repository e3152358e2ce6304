"""A call that is served on its connection itself: request bytes in, reply bytes out, no task.

It stands where uvicorn has its cycle of request and response, so that connections, limits and the
server's end treat both alike. Calls that have to wait for something go through ASGI instead.
"""

from asyncio import Transport
from collections.abc import Callable
from typing import ClassVar, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from officeai_proxy.error_handlers import error_body, error_headers
from officeai_proxy.errors import ProxyError
from officeai_proxy.proxy.headers import WITHOUT_BODY
from officeai_proxy.proxy.relay import Relay
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.server.open_ends import end_in_order, end_in_reset


class Incoming(Protocol):
    """A request on its way in, as the proxy sees it."""

    def take(self, piece: bytes) -> None:
        """A piece of its body. Raises RequestRefused when that makes it too large."""

    def whole(self, call: "DirectCall") -> Relay:
        """Its body is whole: the relay that fills *call*. Raises ProxyError to refuse it."""


class _Nobody:
    """Stands for the event that uvicorn wakes an application with; here nobody sleeps."""

    def set(self) -> None:
        """Wake nobody."""


class DirectCall:
    """One request and its reply on a connection; `ReplyTo` for its relay.

    The first attributes are those that uvicorn reads of its cycles.
    """

    __slots__ = (
        "_default_headers",
        "_flow",
        "_incoming",
        "_is_chunked",
        "_is_open_ended",
        "_knows_chunks",
        "_on_response",
        "_relay",
        "_transport",
        "disconnected",
        "keep_alive",
        "response_complete",
        "response_started",
    )

    message_event: ClassVar[_Nobody] = _Nobody()
    waiting_for_100_continue: ClassVar[bool] = False

    def __init__(
        self,
        incoming: Incoming | None,
        *,
        transport: Transport,
        flow: FlowControl,
        default_headers: list[Header],
        keep_alive: bool,
        knows_chunks: bool,
        on_response: Callable[[], None],
    ) -> None:
        """Serve *incoming* on *transport*; None is refused by its head, and nobody reads it.

        *on_response* is called when the reply is whole. To a client of HTTP/1.0, which does not
        know chunks, the end of the connection is that of a reply without a length (RFC 9112, 6.3).
        """
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._incoming = incoming
        self._transport = transport
        self._flow = flow
        self._default_headers = default_headers
        self._on_response = on_response
        self._relay: Relay | None = None
        self._is_chunked = False
        self._is_open_ended = False
        self._knows_chunks = knows_chunks

    # The connection's side.

    def take(self, piece: bytes) -> None:
        """A piece of the request's body came."""
        if self.response_complete or self._incoming is None:
            return
        try:
            self._incoming.take(piece)
        except ProxyError as error:
            self.refuse(error, [])

    def run(self) -> None:
        """The request is whole: begin."""
        # The request's pieces go here: the relay has its body, which may be large, as one.
        incoming, self._incoming = self._incoming, None
        if self.response_complete or self.disconnected or incoming is None:
            return
        try:
            relay = self._relay = incoming.whole(self)
        except ProxyError as error:
            self.refuse(error, [])
        else:
            relay.begin()

    def has_room(self) -> None:
        """The client has taken what was sent."""
        if self._relay is not None:
            self._relay.has_room()

    def connection_lost(self) -> None:
        """The client is gone."""
        self.disconnected = True
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.caller_left()

    # The relay's side.

    def reply(self, head: tuple[int, list[Header]] | None, body: bytes, *, is_over: bool) -> bool:
        """Send what is there in one write; whether that is more than the client takes."""
        if self.disconnected or self.response_complete:
            return False
        start = b"" if head is None else self._head(*head)
        if self._is_chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if is_over:
                body += b"0\r\n\r\n"
        data = start + body if start else body
        if data:
            self._transport.write(data)
        if is_over:
            self._end()
        return self._flow.write_paused

    def pass_chunk(self, piece: bytes, framed: bytes) -> bool:
        """Send a piece of the reply that came as a chunk, *framed*; as `reply`."""
        if self.disconnected or self.response_complete:
            return False
        self._transport.write(framed if self._is_chunked else piece)
        return self._flow.write_paused

    def refuse(self, error: ProxyError, headers: list[Header]) -> None:
        """Answer with *error* in OpenAI's shape."""
        body = error_body(error)
        length = (b"content-length", b"%d" % len(body))
        head = error.status, [*error_headers(error), length, *headers]
        self.reply(head, body, is_over=True)

    def break_off(self) -> None:
        """Close the connection where the end of the reply would be."""
        self.disconnected = True
        self._transport.close()

    def _head(self, status: int, headers: list[Header]) -> bytes:
        self.response_started = True
        parts = [STATUS_LINE[status]]
        has_length = False
        for name, value in (*self._default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
            has_length |= name == b"content-length"
        is_open = not has_length and status not in WITHOUT_BODY
        self._is_chunked = is_open and self._knows_chunks
        if is_open and not self._knows_chunks:
            self._is_open_ended = True
            self.keep_alive = False
            end_in_reset(self._transport)
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        if self._is_chunked:
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _end(self) -> None:
        self.response_complete = True
        # They refer to each other, and such a cycle waits for the garbage collector.
        self._relay = None
        if self._is_open_ended:
            end_in_order(self._transport)
        if not self.keep_alive:
            self._transport.close()
        self._on_response()
