"""What has arrived of one reply and was not read yet: a head, then pieces, then an end or an error.

A connection puts things in without ever waiting; one reader takes them out. Nothing
here knows sockets.
"""

import asyncio

from officeai_proxy.proxy.upstream.exchange import Header, UpstreamAborted

FULL = 256 * 1024
"""So many unread bytes, and whoever fills the inbox has to pause its source."""


class Inbox:
    """One reply between its source and its reader."""

    __slots__ = (
        "_error",
        "_pieces",
        "_waiter",
        "ended",
        "headers",
        "is_complete",
        "status",
        "unread",
    )

    def __init__(self) -> None:
        """An inbox in which nothing has arrived."""
        self.status = 0
        self.headers: list[Header] = []
        self.unread = 0
        self.is_complete = False
        self.ended = False
        self._pieces: list[bytes] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether more can still arrive."""
        return not self.is_complete and self._error is None

    @property
    def is_full(self) -> bool:
        """Whether the source should pause until something is read."""
        return self.unread > FULL

    def put_head(self, status: int, headers: list[Header]) -> None:
        """The head is there."""
        if self._error is None:
            self.status = status
            self.headers = headers
            self._wake()

    def put(self, piece: bytes) -> None:
        """A piece of the body came."""
        self._pieces.append(piece)
        self.unread += len(piece)
        if self._waiter is not None:
            self._wake()

    def chunk(self, piece: bytes, framed: bytes) -> bool:  # noqa: ARG002 - whoever reads frames anew
        """A piece of the body came, and nothing else."""
        self.put(piece)
        return self.arrived()

    def finish(self) -> None:
        """The reply is whole."""
        if self._error is None:
            self.is_complete = True
            self.ended = not self._pieces
            self._wake()

    def arrived(self) -> bool:
        """All that one read brought is in; the reader was woken by the first of it."""
        return self.unread > FULL

    def fail(self, error: Exception) -> None:
        """Nothing more will come, because of *error*; a reply that is whole stays whole."""
        if self.is_open:
            self._error = error
            self._wake()

    def abort(self) -> None:
        """The reader wants nothing more: forget what is unread."""
        if not self.ended:
            self._pieces.clear()
            self.unread = 0
            self.is_complete = False
            self._error = UpstreamAborted()
            self._wake()

    def has_head(self) -> bool:
        """Whether the head is there.

        Raises:
            Exception: what the source failed with before it was.
        """
        if self.status == 0 and self._error is not None:
            raise self._error
        return self.status != 0

    def take(self) -> list[bytes] | None:
        """The unread pieces; empty at the end; None when there is nothing yet.

        Raises:
            Exception: what the source failed with, once every piece was taken.
        """
        pieces = self._pieces
        if pieces:
            self._pieces = []
            self.unread = 0
            self.ended = self.is_complete
            return pieces
        if self._error is not None:
            raise self._error
        return pieces if self.is_complete else None

    def arrival(self) -> asyncio.Future[None]:
        """Done as soon as something new has come in."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            # A reader whose task was cancelled leaves its future cancelled behind.
            if not waiter.done():
                waiter.set_result(None)


class InboxReader:
    """An exchange whose reply comes into an inbox, as far as reading is concerned."""

    __slots__ = ("_inbox",)

    def __init__(self) -> None:
        """An exchange that has not begun."""
        self._inbox = Inbox()

    @property
    def status(self) -> int:
        """The reply's status."""
        return self._inbox.status

    @property
    def headers(self) -> list[Header]:
        """The reply's headers, names in lower case."""
        return self._inbox.headers

    @property
    def ended(self) -> bool:
        """Whether the last piece has been handed out."""
        return self._inbox.ended
