"""HTTP/1.1 as it comes over one connection: refuses what is none, and hands on requests.

The uppermost of three thin layers over uvicorn's protocol class: `pipelined` lets requests wait for
their turn, `watched` says where a connection stands and ends it, and here it is read. uvicorn names
no limit for the head of a request, answers malformed ones in plain text, and takes an offer of
another protocol for accepted.
"""

import asyncio
from typing import Any, cast

import httptools
from starlette.types import Scope
from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from officeai_proxy.app import Application
from officeai_proxy.errors import ProxyError
from officeai_proxy.proxy.admission import Opening
from officeai_proxy.proxy.headers import asks_for_websocket
from officeai_proxy.server.direct_call import DirectCall, Incoming
from officeai_proxy.server.forwarded import plain_address
from officeai_proxy.server.heads import fault_of_head
from officeai_proxy.server.known_head import KnownHead, NextHead
from officeai_proxy.server.patience import Patience
from officeai_proxy.server.refusals import HeadTooLarge, TooManyConnections, not_read
from officeai_proxy.server.watched import WatchedProtocol

CALLS = b"/v1/"


class Connection(WatchedProtocol):
    """uvicorn's HTTP/1.1 over one connection; what is none is refused as all errors here are."""

    _fault: ProxyError | None = None
    _is_surplus = False
    # Bytes that are neither a whole head nor of a body: of a head, of trailers, between requests.
    _loose_bytes = 0
    # The bytes that came last, and what they brought.
    _came = 0
    _has_ended = _has_body = False
    # The last head of a call that was served here, and how much of a body comes without llhttp.
    _known: KnownHead[Opening] | None = None
    _fresh = b""
    _rest = 0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: Patience,
        serves_directly: bool = True,
    ) -> None:
        """Be one of the connections that *patience* looks after.

        With *serves_directly* calls that need not wait are served here, all others through ASGI.
        """
        super().__init__(config, server_state, app_state, _loop)
        self._patience = patience
        self._limits = patience.limits
        app = config.loaded_app
        self._direct = app if serves_directly and isinstance(app, Application) else None
        self._call: DirectCall | None = None
        self._reads_call = False
        self._is_call_whole = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected. Whether there is room for it is told with its first request."""
        super().connection_made(transport)
        if self.client is not None:
            self.client = (plain_address(self.client[0]), self.client[1])
        surplus = self._patience.welcome(self)
        self._is_surplus = surplus > 0
        if surplus > self._patience.limits.reserve:
            transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._patience.forget(self)
        super().connection_lost(exc)
        call, self._call = self._call, None
        # uvicorn's cycle refers to its connection, and both would wait for the garbage collector.
        self.cycle = cast("RequestResponseCycle", None)
        if call is not None:
            call.connection_lost()

    @override
    def resume_writing(self) -> None:
        """The client has taken most of what was sent."""
        super().resume_writing()
        self._relieved += 1
        if self._call is not None:
            self._call.has_room()

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._unread is not None:
            self._keep(data)
            return
        self._came = len(data)
        self._received += self._came
        if self._rest:
            self._read_body(data)
            return
        known = self._known
        head = known.match(data) if known is not None and self._is_at_rest() else None
        if known is not None and head is not None and self._begins_known_call(known.said, head):
            self._read_body(data[head.end :])
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Have llhttp read what came."""
        self._fresh = data if self._is_at_rest() else b""
        self._has_ended = self._has_body = False
        try:
            self.parser.feed_data(data)
            self._check_loose_bytes(len(data))
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on_without_offer(data[upgrade.args[0] :])
        except (httptools.HttpParserError, ProxyError) as error:
            self._refuse(self._fault or not_read(error, data))
        # An idle connection holds on to no body.
        self._fresh = b""
        if self._is_call_whole and self._call is not None:
            # Not inside the parser, which would make its own error of whatever goes wrong.
            self._is_call_whole = False
            self._call.run()
        if self.pipeline:
            self._let_wait()

    @override
    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._is_in_body = True, False
        self._loose_bytes = 0
        self._requests += 1
        self._reads_call = False
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        """A head is whole."""
        # Before it is in its body: what is refused here has no cycle yet, and is told.
        self._check_head()
        # A client of HTTP/1.0 would take it for the reply (RFC 9110, section 10.1.1).
        self.expect_100_continue &= self.parser.get_http_version() != "1.0"
        self._is_in_head, self._is_in_body = False, True
        self._loose_bytes = 0
        if not self.parser.should_upgrade():
            if not self._begins_call():
                super().on_headers_complete()
                through_asgi = self.cycle
                if not through_asgi.keep_alive:
                    through_asgi.transport = self._last_reply()
            # Trailers go into a list of their own and are dropped (RFC 9110, section 6.5.1): the
            # request would otherwise get headers that came after its body, and any number of them.
            self.headers = []

    @override
    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        self._has_body = True
        if self._call is not None and self._reads_call:
            self._call.take(body)
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        """A request is whole."""
        # What came does not begin with the next head: neither is ever to be taken for the other.
        self._has_ended, self._is_in_body, self._fresh = True, False, b""
        if self._call is not None and self._reads_call:
            self._is_call_whole = True
        elif not self.parser.should_upgrade():
            super().on_message_complete()
        if self._is_over:
            self.transport.close()

    @override
    def on_response_complete(self) -> None:
        """A reply is whole."""
        self._call = None
        super().on_response_complete()

    def _begins_call(self) -> bool:
        """Serve this request here, if it is a call that need not wait and nothing is before it."""
        relaying = None if self._direct is None else self._direct.relaying
        if relaying is None or not self._may_be_direct():
            return False
        path, _, query = self.url.partition(b"?")
        scope = self.scope
        scope["method"], scope["path"] = "POST", path.decode("latin-1")
        scope["raw_path"], scope["query_string"] = path, query
        try:
            incoming = relaying.open(cast("Scope", scope))
        except ProxyError as error:
            self._be_served_by(None).refuse(error, [])
            return True
        if incoming is None:
            return False
        call = self._be_served_by(incoming)
        if call.keep_alive:
            self._known = KnownHead.of(self._fresh, incoming.opening, headers=len(self.headers))
        return True

    def _is_at_rest(self) -> bool:
        """Whether what comes next begins a request, and nothing is to be answered before it."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_amid = self._is_in_head or self._is_in_body or self._loose_bytes or self._is_surplus
        return not is_amid and (cycle is None or cycle.response_complete)

    def _begins_known_call(self, before: Opening, head: NextHead) -> bool:
        """Serve a call that begins as *before* did; not if anything has to be looked at anew."""
        relaying = None if self._direct is None else self._direct.relaying
        if relaying is None:
            return False
        incoming = relaying.again(before, length=head.length, session=head.session, user=head.user)
        if incoming is None:
            return False
        self._requests += 1
        self._rest = head.length
        self._is_in_body = True
        self._be_served_by(incoming, is_known=True)
        return True

    def _read_body(self, data: bytes) -> None:
        """Bytes came after a known head: of its body, which has a length, and of what follows."""
        piece = data if len(data) <= self._rest else data[: self._rest]
        self._rest -= len(piece)
        call = self._call
        if call is not None and piece:
            call.take(piece)
        if self._rest:
            return
        self._is_in_body = False
        if call is not None:
            call.run()
        if len(piece) < len(data):
            self._read(data[len(piece) :])

    def _may_be_direct(self) -> bool:
        parser, cycle = self.parser, cast("RequestResponseCycle | None", self.cycle)
        return (
            self.url.startswith(CALLS)
            and b"%" not in self.url
            and parser.get_method() == b"POST"
            and not self.expect_100_continue
            and (cycle is None or cycle.response_complete)
        )

    def _be_served_by(self, incoming: Incoming | None, *, is_known: bool = False) -> DirectCall:
        self._reads_call = True
        # A client of HTTP/1.0 has one call, as in uvicorn.
        is_today = is_known or self.parser.get_http_version() != "1.0"
        keep_alive = is_known or (is_today and self.parser.should_keep_alive())
        call = self._call = DirectCall(
            incoming,
            transport=self.transport if keep_alive else self._last_reply(),
            flow=self.flow,
            default_headers=self.server_state.default_headers,
            keep_alive=keep_alive,
            knows_chunks=is_today,
            on_response=self.on_response_complete,
        )
        # It has what uvicorn reads of a cycle; only its own methods would need more.
        self.cycle = self._running = cast("RequestResponseCycle", call)
        return call

    def _check_loose_bytes(self, size: int) -> None:
        # Bytes that came together with the end of another request are not all of this head.
        if self._has_body:
            self._loose_bytes = 0
        elif not self._has_ended:
            self._loose_bytes += size
            if self._loose_bytes > self._limits.head_bytes:
                raise self._because(HeadTooLarge())

    def _check_head(self) -> None:
        if self._is_surplus:
            raise self._because(TooManyConnections())
        fault = fault_of_head(
            self.parser,
            self.url,
            self.headers,
            limits=self._limits,
            came=self._loose_bytes + self._came,
        )
        if fault is not None:
            raise self._because(fault)

    def _because(self, fault: ProxyError) -> ProxyError:
        """Note *fault*: what a callback raises does not come out of the parser as it went in."""
        self._fault = fault
        return fault

    def _read_on_without_offer(self, rest: bytes) -> None:
        """Read the request whose head offered another protocol as if it did not (RFC 9110, 7.8).

        Java's HTTP client offers HTTP/2 with every first request. httptools takes any offer for
        accepted and gives the body up, so a fresh parser gets the head without it, then *rest*. A
        WebSocket under /v1 is left in, for the application to refuse: it is none to httptools
        without `Connection`.
        """
        is_call = self.url.startswith(CALLS) and self.parser.get_method() == b"GET"
        left_out = b"connection" if is_call and asks_for_websocket(self.headers) else b"upgrade"
        line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = b"".join(b"%b: %b\r\n" % h for h in self.headers if h[0] != left_out)
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/%b\r\n" % line + headers + b"\r\n" + rest)
