"""What to export in, the bytes of one file out, in pieces; never a request and never a file name.

Reading is `storage.transfer.snapshot`'s and writing `formats`'; here they are put together.
Encoding a page takes milliseconds, so it runs in a thread. While a piece is on its way the next one
is encoded and the page after that is read, and no more: whoever takes no more pieces holds two
pages in memory, and no connection.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from officeai_proxy.errors import TooManyExports
from officeai_proxy.formats.registry import format_of, is_whole_tree
from officeai_proxy.formats.writing.passages import Counts, Encoder, Options, Passage
from officeai_proxy.model import Caller
from officeai_proxy.storage.conversations.conversations import ConversationFilter
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.transfer.snapshot import Snapshot, Wanted

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An export as it is asked for: which conversations, in which format.

    Several conversations in the bin may have one session's id; `conversation_id` tells them apart.
    """

    format: str
    options: Options
    conversations: ConversationFilter
    session_id: str | None = None
    conversation_id: int | None = None


class Trail(Protocol):
    """Where it is written down that something was read."""

    async def leave(
        self,
        *,
        user: str | None,
        target: str | None,
        detail: Mapping[str, str | int],
        is_sealed: bool,
    ) -> None:
        """Store a row that says what was read of whose data."""


class ExportSlots:
    """How many exports run in this process, and how many may."""

    def __init__(self, most: int) -> None:
        """Let *most* exports run at once."""
        self._most = most
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one of them for a while.

        Raises:
            TooManyExports: there is none left.
        """
        if self.taken >= self._most:
            raise TooManyExports
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Export:
    """One export of one moment's state; its pieces can be had once."""

    def __init__(self, order: Order, snapshot: Snapshot, encoder: Encoder) -> None:
        """Write what *snapshot* has of *order* with *encoder*."""
        self.format = format_of(order.format)
        self.written = Counts()
        self._order = order
        self._snapshot = snapshot
        self._encoder = encoder

    @property
    def expected(self) -> Counts:
        """How much there is to write."""
        return Counts(self._snapshot.conversations, self._snapshot.messages)

    @property
    def title(self) -> str | None:
        """What the first conversation is called; None when there is none."""
        return self._snapshot.first.name if self._snapshot.first else None

    async def leave_on(self, trail: Trail) -> None:
        """Write down on *trail* what is exported of whom; before the first byte leaves."""
        order, first, expected = self._order, self._snapshot.first, self.expected
        owner = first.user_identifier if first else None
        await trail.leave(
            user=owner if order.session_id is not None else order.conversations.user_identifier,
            target=order.session_id,
            detail={
                "format": self.format.name,
                "conversations": expected.conversations,
                "messages": expected.messages,
            },
            is_sealed=expected.conversations == 0,
        )

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the file.

        Raises:
            DatabaseUnavailable: the database went away.
            Vanished: a conversation was deleted for good while it was being read.
        """
        return one_ahead(self._encoded())

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        encoder = self._encoder
        yield encoder.start()
        async with aclosing(one_ahead(self._snapshot.pages())) as pages:
            async for page in pages:
                data = await asyncio.to_thread(encoder.encode, page)
                self._count(page)
                if data:
                    yield data
        for data in encoder.finish(self.written):
            yield data

    def _count(self, passages: list[Passage]) -> None:
        begun = sum([passage.is_first for passage in passages])
        lines = sum([len(passage.rows) for passage in passages])
        written = self.written
        self.written = Counts(written.conversations + begun, written.messages + lines)


async def one_ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """*items*, each of them begun while the one before it is still in use."""
    async with aclosing(items):
        following = asyncio.ensure_future(_next(items))
        try:
            while found := await following:
                following = asyncio.ensure_future(_next(items))
                yield found[0]
        finally:
            following.cancel()
            await asyncio.wait([following])


async def _next(items: AsyncGenerator[T, None]) -> tuple[T] | None:
    async for item in items:
        return (item,)
    return None


@asynccontextmanager
async def open_export(database: Database, caller: Caller, order: Order) -> AsyncIterator[Export]:
    """An export of the present moment.

    Raises:
        UnprocessableInput: there is no such format, or it cannot be made here.
        NotFound: one conversation is asked for, and it is not inside the caller's walls.
        AmbiguousSession: several users have one, and the filter chooses none.
    """
    chosen = format_of(order.format)
    with closing(chosen.make(order.options)) as encoder:
        wanted = Wanted(
            conversations=order.conversations,
            session_id=order.session_id,
            conversation_id=order.conversation_id,
            whole_tree=is_whole_tree(order.format, inner=order.options.inner),
            utf8=encoder.takes_utf8,
        )
        snapshot = await Snapshot.take(database, caller, wanted)
        with closing(snapshot):
            yield Export(order, snapshot, encoder)
