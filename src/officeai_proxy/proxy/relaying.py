"""A request's head in, a call that needs no task out, or none: then the call goes through ASGI.

What has to wait for something is not for here: a body that is passed on as it comes, a history that
is read first, a journal that syncs, an upstream behind a forward proxy.
"""

import asyncio

from starlette.types import Scope

from officeai_proxy.errors import ProxyError
from officeai_proxy.proxy.admission import Admission, Opening
from officeai_proxy.proxy.bodies import check_length
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.captures import Captures
from officeai_proxy.proxy.counting import CallCounter
from officeai_proxy.proxy.relay import Relay, ReplyTo
from officeai_proxy.proxy.upstream import PooledUpstream, RelayedExchange

SMALL = 1024
"""Bytes up to which pieces of a body become one: a client may send one byte at a time, and each
piece takes forty more."""


class Relaying:
    """Opens calls, and knows those that are on their way."""

    def __init__(
        self,
        admission: Admission,
        captures: Captures,
        upstream: PooledUpstream,
        *,
        counter: CallCounter,
        tasks: asyncio.TaskGroup,
        finishes_alone: bool,
    ) -> None:
        """Connections to *upstream* are made in *tasks*."""
        self._admission = admission
        self._captures = captures
        self._upstream = upstream
        self._counter = counter
        self._tasks = tasks
        self._finishes_alone = finishes_alone
        self.running: dict[Relay, Call] = {}

    def open(self, scope: Scope) -> "IncomingCall | None":
        """The call whose head is *scope*, if it can be served without waiting.

        Raises:
            ProxyError: it is refused; the error says why.
        """
        try:
            opening = self._admission.open(scope)
        except ProxyError as error:
            self._counter.refused(error)
            raise
        if not opening.is_held or opening.asked.context is not None:
            return None
        return IncomingCall(self, opening)

    def again(
        self, before: Opening, *, length: int, session: bytes | None, user: bytes | None
    ) -> "IncomingCall | None":
        """The call of a request whose head says what that of *before* said but for these values.

        None when that has to be opened like any other.
        """
        opening = self._admission.again(before, length=length, session=session, user=user)
        return None if opening is None or not opening.is_held else IncomingCall(self, opening)

    def refused(self, error: ProxyError) -> None:
        """A call was refused after it was opened."""
        self._counter.refused(error)

    def whole(self, opening: Opening, body: bytes, caller: ReplyTo) -> Relay:
        """The relay of a call whose *body* is there, not begun yet."""
        call = self._admission.whole(opening, body)
        relay = Relay(
            call,
            self._captures.of(call),
            caller,
            finishes_alone=self._finishes_alone,
            on_over=self._over,
        )
        self.running[relay] = call
        self._counter.began()
        relay.connect(RelayedExchange(self._upstream, call.request, relay, tasks=self._tasks))
        return relay

    @property
    def limit(self) -> int:
        """The most bytes of a request's body."""
        return self._admission.limit

    def cut(self) -> None:
        """End and record every call that still runs, because the program ends."""
        for relay in tuple(self.running):
            relay.cut()

    def _over(self, relay: Relay) -> None:
        call = self.running.pop(relay)
        self._counter.over()
        if call.lease is not None:
            # A call that a fault of ours ended was not settled; nothing of it is kept back.
            call.lease.settle(0)


class IncomingCall:
    """A call whose body is still coming."""

    __slots__ = ("_pieces", "_relaying", "_size", "opening")

    def __init__(self, relaying: Relaying, opening: Opening) -> None:
        """The head is *opening*; nothing of the body is there."""
        self._relaying = relaying
        self.opening = opening
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> None:
        """A piece of the body came.

        Raises:
            BodyTooLarge: it is larger than a body may be.
        """
        self._size += len(piece)
        try:
            check_length(self._size, self._relaying.limit)
        except ProxyError as error:
            self._relaying.refused(error)
            raise
        pieces = self._pieces
        if pieces and len(pieces[-1]) + len(piece) <= SMALL:
            pieces[-1] += piece
        else:
            pieces.append(piece)

    def whole(self, caller: ReplyTo) -> Relay:
        """The body is there to its last byte: the relay that answers *caller*.

        Raises:
            RequestRefused: the caller has to change something, or to wait.
        """
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            return self._relaying.whole(self.opening, body, caller)
        except ProxyError as error:
            self._relaying.refused(error)
            raise
