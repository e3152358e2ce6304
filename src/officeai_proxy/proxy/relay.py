"""One call on its way through without a task: what the upstream sends is passed on as it comes.

A relay stands between two connections. What comes from the upstream's goes to the caller's as it
comes, is kept for the record on the way, and nothing waits for anything. `forwarding` does the same
for callers that are reached through ASGI, and both follow the same rules.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from officeai_proxy.errors import BROKE_DOWN, ProxyError, ShuttingDown, UpstreamRefusedKey
from officeai_proxy.model import Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import Capture
from officeai_proxy.proxy.forwarding import UNAUTHORIZED
from officeai_proxy.proxy.reply_head import headers_for_caller, own_headers
from officeai_proxy.proxy.upstream import Header, RelayedExchange, WentStale

log = logging.getLogger(__name__)


class ReplyTo(Protocol):
    """The caller's connection, as far as one reply is concerned."""

    def reply(self, head: tuple[int, list[Header]] | None, body: bytes, *, is_over: bool) -> bool:
        """Send what is there: the status and headers, then a piece; *is_over*: it is the last.

        Whether the caller takes the reply more slowly than it comes; `Relay.has_room` tells when
        that is over.
        """

    def pass_chunk(self, piece: bytes, framed: bytes) -> bool:
        """Send a piece of a reply that has begun; it came as a chunk, *framed*. As `reply`."""

    def refuse(self, error: ProxyError, headers: list[Header]) -> None:
        """Answer with *error*; no reply has begun."""

    def break_off(self) -> None:
        """End a reply that has begun in a way that nobody takes for its end."""


class Relay:
    """Fills the reply of one call, as `ReplySink` says; the caller's side holds it meanwhile."""

    __slots__ = (
        "_call",
        "_caller",
        "_capture",
        "_exchange",
        "_finishes_alone",
        "_has_begun",
        "_has_caller",
        "_headers",
        "_is_complete",
        "_is_over",
        "_on_over",
        "_pieces",
        "status",
    )

    def __init__(
        self,
        call: Call,
        capture: Capture,
        caller: ReplyTo,
        *,
        finishes_alone: bool,
        on_over: Callable[["Relay"], None],
    ) -> None:
        """*finishes_alone*: the upstream is read to its end although the caller has left.

        *on_over* is called once, when nothing more will happen.
        """
        self._call = call
        self._capture = capture
        self._caller = caller
        self._finishes_alone = finishes_alone
        self._on_over = on_over
        self._exchange: RelayedExchange | None = None
        self._pieces: list[bytes] = []
        self._headers: list[Header] = []
        self._has_begun = False
        self._is_complete = False
        self._is_over = False
        self._has_caller = True
        self.status = 0

    def connect(self, exchange: RelayedExchange) -> None:
        """Use *exchange*, which tells this relay of the reply."""
        self._exchange = exchange

    def begin(self) -> None:
        """Send the request."""
        if self._exchange is not None:
            self._exchange.begin()

    # The caller's side.

    def has_room(self) -> None:
        """The caller has taken what was sent."""
        if self._exchange is not None and not self._is_over:
            self._exchange.resume()

    def caller_left(self) -> None:
        """The caller hung up: give the upstream up too, unless it is to be read to its end."""
        self._has_caller = False
        if self._is_over:
            return
        if self._finishes_alone:
            self.has_room()
        else:
            self._capture.settle(Outcome.CLIENT_CLOSED)
            self._give_up()

    def cut(self) -> None:
        """End the call now, because the program ends."""
        if self._is_over:
            return
        self._capture.cut(is_told=not self._has_begun)
        self._tell(ShuttingDown())
        self._give_up()

    # The upstream's side.

    def put_head(self, status: int, headers: list[Header]) -> None:
        """The head is there."""
        self.status = status
        self._headers = headers

    def put(self, piece: bytes) -> None:
        """A piece of the body came."""
        self._pieces.append(piece)

    def chunk(self, piece: bytes, framed: bytes) -> bool:
        """One read brought *piece*, *framed* as one chunk: pass it on. As `arrived`."""
        if self._is_over or not self._has_begun:
            self.put(piece)
            return self.arrived()
        try:
            if self._capture.take(piece):
                self._capture.settle(Outcome.COMPLETE)
            return self._has_caller and self._caller.pass_chunk(piece, framed)
        except Exception as exc:  # noqa: BLE001 - as in `arrived`
            self._break_down(exc)
            return False

    def finish(self) -> None:
        """The reply is whole."""
        self._is_complete = True

    def arrived(self) -> bool:
        """All that one read brought is there: pass it on. Whether the caller has enough for now."""
        if self._is_over or not self.status:
            return False
        try:
            return self._pass_on()
        except Exception as exc:  # noqa: BLE001 - a fault of ours ends this call and no other
            self._break_down(exc)
            return False

    def fail(self, error: Exception) -> None:
        """Nothing more will come, because of *error*."""
        if self._is_over:
            return
        if isinstance(error, WentStale) and not self.status and self._exchange is not None:
            self._exchange.begin_anew()
            return
        if self.status:
            self.arrived()
        if not self._is_over:
            self._end_badly(error if isinstance(error, ProxyError) else ProxyError(str(error)))

    def abort(self) -> None:
        """The upstream's connections are closed, because the program ends."""
        self.cut()

    def _pass_on(self) -> bool:
        pieces, self._pieces = self._pieces, []
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        capture, head = self._capture, None
        if not self._has_begun:
            if self.status == UNAUTHORIZED:
                self._end_badly(UpstreamRefusedKey())
                return False
            capture.head(self.status, self._headers)
            head = self.status, headers_for_caller(self._call, self.status, self._headers)
            self._has_begun = True
        is_over = self._is_complete
        if (data and capture.take(data)) or is_over:
            # The record is made before the end of the reply goes out.
            capture.settle(Outcome.COMPLETE)
        is_full = False
        if self._has_caller and (head or data or is_over):
            is_full = self._caller.reply(head, data, is_over=is_over)
        if is_over:
            self._end()
        return is_full

    def _break_down(self, fault: Exception) -> None:
        log.error("a call failed inside the proxy", exc_info=fault)
        self._end_badly(ProxyError(BROKE_DOWN))

    def _end_badly(self, error: ProxyError) -> None:
        """Record what went wrong and tell the caller, as far as the reply has not begun."""
        self._capture.fail(error, is_told=not self._has_begun)
        self._tell(error)
        self._give_up()

    def _tell(self, error: ProxyError) -> None:
        if not self._has_caller:
            return
        if self._has_begun:
            self._caller.break_off()
        else:
            self._caller.refuse(error, own_headers(self._call))

    def _give_up(self) -> None:
        exchange = self._exchange
        self._end()
        if exchange is not None:
            exchange.abort()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            # They refer to each other, and such a cycle waits for the garbage collector.
            self._exchange = None
            self._on_over(self)
