"""One TCP or TLS connection to the upstream: one request goes out, one inbox is filled, at a time.

It is pure callbacks: no task and no timer of its own. Whoever owns it decides when it is used
again, asks it from time to time whether it has waited too long, and is told when it is gone.
"""

import asyncio
import math
from typing import Protocol, cast

from typing_extensions import override

from officeai_proxy.errors import UpstreamBroke, UpstreamError, UpstreamUnreachable
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.reply_parser import BadReply, ProxyRefused, ReplyParser
from officeai_proxy.proxy.upstream.sink import ReplySink
from officeai_proxy.proxy.upstream.timeouts import Timeouts

NOT_WAITING = math.inf

STALE_SECONDS = 1.0
"""How soon after its request the end of a kept connection means that nobody got the request."""

# Below this, one copy of the body is cheaper than a second system call.
SMALL_BODY = 64 * 1024


class WentStale(UpstreamBroke):
    """A kept connection was found closed before the first byte of a reply."""


class ConnectionOwner(Protocol):
    """Whoever keeps connections."""

    def connection_is_free(self, connection: "Connection") -> None:
        """*connection* has done its exchange and can do another."""

    def connection_is_lost(self, connection: "Connection") -> None:
        """*connection* holds no socket any more."""


class Connection(asyncio.Protocol):
    """One connection, from the moment it is made."""

    __slots__ = (
        "_address",
        "_inbox",
        "_is_request_sent",
        "_is_silent",
        "_loop",
        "_owner",
        "_parser",
        "_room_to_write",
        "_timeouts",
        "_transport",
        "_waiting_since",
        "exchanges",
        "is_paused",
    )

    _transport: asyncio.Transport
    _parser: ReplyParser

    def __init__(self, owner: ConnectionOwner, *, address: Address, timeouts: Timeouts) -> None:
        """A connection that asyncio is about to make for *owner*."""
        self._owner = owner
        self._address = address
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._inbox: ReplySink | None = None
        self._room_to_write: asyncio.Future[None] | None = None
        self._waiting_since = NOT_WAITING
        self._is_request_sent = False
        self._is_silent = True
        self.exchanges = 0
        self.is_paused = False

    # The exchange's side.

    def ask(self, inbox: ReplySink, head: bytes, body: bytes, *, is_head_request: bool) -> None:
        """Send a whole request, whose reply goes to *inbox*; from now on it is waited for."""
        if self._is_closed_for(inbox):
            return
        # First of all: the upstream works on it while its reply is prepared for here.
        if len(body) <= SMALL_BODY:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        self._serve(inbox, is_head_request=is_head_request)
        self.request_is_sent()

    def begin(self, inbox: ReplySink, *, is_head_request: bool) -> None:
        """Give this connection to an exchange that sends its request in parts."""
        if not self._is_closed_for(inbox):
            self._serve(inbox, is_head_request=is_head_request)

    def serves(self, inbox: ReplySink) -> bool:
        """Whether it still works for that exchange; another may have it by now."""
        return self._inbox is inbox

    def request_is_sent(self) -> None:
        """The request is out to its last byte."""
        self._is_request_sent = True
        self.expect_bytes()

    def expect_bytes(self) -> None:
        """The upstream is waited for from now on, unless it is us who paused it."""
        if not self.is_paused:
            self._waiting_since = self._loop.time()

    async def write_some(self, data: bytes) -> None:
        """Send a part of a request and wait while the upstream does not take it."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._room_to_write is not None:
            self._waiting_since = self._loop.time()
            await self._room_to_write
            self._waiting_since = NOT_WAITING

    def resume(self) -> None:
        """Read on: the inbox has room again."""
        self.is_paused = False
        self.expect_bytes()
        self._transport.resume_reading()

    def close(self) -> None:
        """Close the socket at once. Nothing that still comes reaches an inbox."""
        self._inbox = None
        self._waiting_since = NOT_WAITING
        self._transport.abort()

    # The owner's side.

    @property
    def is_usable(self) -> bool:
        """Whether another exchange can be tried on it."""
        return self._inbox is None and not self._transport.is_closing()

    def was_never_made(self) -> None:
        """Nobody waits for it any more: the loop closes its socket and never says so here."""
        # They refer to each other, and such a cycle waits for the garbage collector.
        if hasattr(self, "_transport"):
            del self._transport

    def abort_exchange(self) -> None:
        """Close it under the exchange that it serves, which learns that it was aborted."""
        if self._inbox is not None:
            self._inbox.abort()
        self.close()

    def check(self, now: float) -> None:
        """Give up if the upstream has been waited for too long at *now* (the loop's time)."""
        inbox = self._inbox
        if inbox is None:
            return
        waited = now - self._waiting_since
        if inbox.status == 0:
            if waited > self._timeouts.first_byte:
                self._give_up(self._timeouts.first_byte_error(self._address))
        elif waited > self._timeouts.idle:
            self._give_up(self._timeouts.idle_error(self._address))

    # asyncio's side.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected; over TLS, the handshake is done."""
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        inbox = self._inbox
        if inbox is None:
            # Nobody asked: whatever it is, it must not become part of the next reply.
            self.close()
            return
        self._is_silent = False
        piece = self._parser.lone_chunk(data)
        if piece is not None:
            is_full = inbox.chunk(piece, data)
        elif self._reads(data):
            is_full = inbox.arrived()
        else:
            return
        if self._inbox is not inbox:
            return
        if is_full:
            self._pause()
        elif inbox.status:
            self._waiting_since = self._loop.time()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, in order or not."""
        inbox, self._inbox = self._inbox, None
        self._owner.connection_is_lost(self)
        if inbox is not None:
            self._tell_loss(inbox, exc)
        if self.exchanges:
            self._parser.close()

    @override
    def pause_writing(self) -> None:
        """The upstream takes bytes more slowly than they come."""
        self._room_to_write = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        """The upstream has taken most of what was written."""
        room, self._room_to_write = self._room_to_write, None
        if room is not None and not room.done():
            room.set_result(None)

    def _reads(self, data: bytes) -> bool:
        """Whether *data* belongs to the reply; if not, there is no connection any more."""
        try:
            self._parser.feed(data)
        except BadReply as exc:
            self._give_up(_fault_of(self._address, exc))
            return False
        if self._parser.is_complete:
            self._end()
        return True

    # How an exchange begins and ends.

    def _is_closed_for(self, inbox: ReplySink) -> bool:
        """Tell *inbox* if it was lost before anybody could be told, between its making and now."""
        is_closed = self._transport.is_closing()
        if is_closed:
            inbox.fail(UpstreamBroke(f"The upstream {self._address} closed the new connection."))
        return is_closed

    def _serve(self, inbox: ReplySink, *, is_head_request: bool) -> None:
        self._inbox = inbox
        if not self.exchanges:
            # Not before: one that is given up while it is made never hears that it is lost.
            self._parser = ReplyParser(behind_proxy=bool(self._address.proxy))
        self._parser.begin(inbox, is_head_request=is_head_request)
        self._is_request_sent = False
        self._is_silent = True
        self.exchanges += 1

    def _end(self) -> None:
        """The reply is whole, and the exchange is done with this connection."""
        if not (self._parser.is_reusable and self._is_request_sent):
            self.close()
            return
        self._inbox = None
        self._waiting_since = NOT_WAITING
        if self.is_paused:
            self.is_paused = False
            self._transport.resume_reading()
        self._owner.connection_is_free(self)

    def _is_stale(self) -> bool:
        """Whether this kept connection was dead before the request reached anybody.

        An upstream that had the request for longer may have begun to work on it, and a second
        request would be a second answer, and a second bill.
        """
        waited = self._loop.time() - self._waiting_since
        return self._is_silent and self.exchanges > 1 and waited < STALE_SECONDS

    def _tell_loss(self, inbox: ReplySink, exc: Exception | None) -> None:
        if self._is_stale():
            inbox.fail(WentStale(f"The upstream {self._address} closed a kept connection."))
        elif exc is not None:
            reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            inbox.fail(UpstreamBroke(f"The connection to {self._address} was lost: {reason}."))
        else:
            self._end_of_stream(inbox)

    def _end_of_stream(self, inbox: ReplySink) -> None:
        try:
            self._parser.feed_eof()
        except BadReply as exc:
            inbox.fail(UpstreamBroke(f"The upstream {self._address} broke off: {exc}."))
        else:
            inbox.arrived()

    def _give_up(self, error: Exception) -> None:
        if self._inbox is not None:
            self._inbox.fail(error)
        self.close()

    def _pause(self) -> None:
        """Let the upstream wait, and do not blame it for the silence."""
        if not self.is_paused:
            self.is_paused = True
            self._waiting_since = NOT_WAITING
            self._transport.pause_reading()


def _fault_of(address: Address, refused: BadReply) -> UpstreamError:
    if isinstance(refused, ProxyRefused):
        return UpstreamUnreachable(
            f"The upstream {address} cannot be reached: {refused}. {address.check}"
        )
    return UpstreamBroke(f"The upstream {address} is not to be trusted: {refused}.")
