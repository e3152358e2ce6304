"""One moment's conversations, read in pages without a transaction that lasts; changes nothing.

How a moment is kept although everything goes on: when it begins, one transaction writes the rows of
the conversations into a temporary file. Later each page of messages is a short read of its own.

- Messages are only ever added, and within one conversation they are committed in the order of
  their ids, because whoever adds holds the lock on the conversation's row. So the first
  `message_count` messages of a conversation are those of the moment, and nothing has to be locked.
- The path of the moment leads to `leaf_id`. While that message is on the path, the path up to it is
  marked as it was. When the conversation has branched off above it, the line is found again by
  going up from `leaf_id`.
- A conversation that was deleted for good before its turn is left out. One that vanishes while it
  is being read ends the reading with an error: half a conversation is never handed out. What is
  deleted some messages at a time, the newest first, counts as deleted when its leaf is.
"""

import tempfile
from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import IO

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import NotFound, Vanished
from officeai_proxy.formats.writing.passages import ConversationHead, Passage, Row
from officeai_proxy.model import Caller
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.transfer.snapshot_queries import (
    LARGE,
    SnapshotQueries,
    are_whole,
    is_cut,
    size_of,
)

PAGE = 4000
"""Messages of one read at most."""

PAGE_TEXT = 2 * 1024 * 1024
"""How much text there should be in them; those of the page before tell how many that may be."""

SHORT_ONES = 200
"""Conversations of one read at most."""

LARGE_BYTES = 4 * 1024 * 1024
"""How much of messages that are not small is in memory at once; a single one may be larger."""

_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be read: conversations by a filter, the one of a session, or the one with an id.

    With `utf8` contents may come as bytes.
    """

    conversations: ConversationFilter
    session_id: str | None = None
    conversation_id: int | None = None
    whole_tree: bool = False
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class _Short:
    """Conversations that fit into one page, their messages, and what became of them since."""

    heads: Sequence[ConversationHead] = ()
    found: Mapping[int, Sequence[Row]] = field(default_factory=dict)
    leaves: Mapping[int, bool] = field(default_factory=dict)
    gone: Set[int] = frozenset()
    is_much: bool = False


class Snapshot:
    """The conversations of one moment, inside the walls of one caller. Close it after use."""

    def __init__(self, database: Database, wanted: Wanted, queries: SnapshotQueries) -> None:
        """Nothing is read yet: use `take`."""
        self._database = database
        self._wanted = wanted
        self._queries = queries
        self._heads: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self.conversations = 0
        self.messages = 0
        self.first: ConversationHead | None = None
        self._cut = 0
        # As if all texts were as long as they may be in a page, until one has been read.
        self._page = min(PAGE, PAGE_TEXT // LARGE)

    @classmethod
    async def take(cls, database: Database, caller: Caller, wanted: Wanted) -> "Snapshot":
        """The present moment.

        Raises:
            NotFound: a session or an id is wanted, and is not inside the caller's walls.
            AmbiguousSession: several users have one, and the filter chooses none.
        """
        async with database.read() as connection:
            queries = SnapshotQueries(
                database.dialect,
                caller,
                whole_tree=wanted.whole_tree,
                sealer=sealer_of(connection),
                utf8=wanted.utf8,
            )
            snapshot = cls(database, wanted, queries)
            try:
                await snapshot._note_heads(connection, caller)
            except BaseException:
                snapshot.close()
                raise
        return snapshot

    def close(self) -> None:
        """Give up the temporary file."""
        self._heads.close()

    async def pages(self) -> AsyncGenerator[list[Passage], None]:
        """All conversations with their messages, by id, some passages at a time.

        Raises:
            Vanished: a conversation was deleted for good while it was being read.
        """
        for batch in self._batches():
            while batch:
                some = await self._read_short(batch)
                if some.heads:
                    async for passages in self._short(some):
                        yield passages
                else:
                    async for passage in self._long(batch[0]):
                        yield [passage]
                batch = batch[len(some.heads) or 1 :]

    async def _note_heads(self, connection: AsyncConnection, caller: Caller) -> None:
        wanted, only = self._wanted, self._wanted.conversation_id
        if only is None and wanted.session_id is not None:
            found = await ConversationRepository(connection, caller).find(
                wanted.session_id,
                user_identifier=wanted.conversations.user_identifier,
                deleted=wanted.conversations.deleted,
            )
            only = found.id
        self._cut = await self._queries.newest(connection)
        async for head in self._queries.heads(connection, wanted.conversations, only=only):
            self._heads.write(orjson.dumps(list(head)) + b"\n")
            self.conversations += 1
            self.messages += self._count(head)
            self.first = self.first or self._queries.opened_head(head)
        if only is not None and self.first is None:
            raise NotFound("There is no such conversation, or this key may not see it.")

    def _count(self, head: ConversationHead) -> int:
        return head.message_count if self._wanted.whole_tree else head.path_count

    def _batches(self) -> Iterator[list[ConversationHead]]:
        """Conversations that are read together: several short ones, or a long one."""
        self._heads.seek(0)
        batch: list[ConversationHead] = []
        messages = size = 0
        for line in self._heads:
            head = self._queries.opened_head(ConversationHead(*orjson.loads(line)))
            messages, size = messages + self._count(head), size + len(line)
            if batch and (messages > self._page or len(batch) == SHORT_ONES or size > LARGE_BYTES):
                yield batch
                batch, messages, size = [], self._count(head), len(line)
            batch.append(head)
        if batch:
            yield batch

    async def _read_short(self, batch: Sequence[ConversationHead]) -> "_Short":
        """The first ones of *batch*, as many as fit into a page; none: the first does not."""
        if self._count(batch[0]) > self._page:
            return _Short()
        async with self._database.read() as connection:
            rows, are_all = await self._queries.messages(connection, batch, until=self._cut)
            heads = batch if are_all else [head for head in batch if head.id < rows[-1][0]]
            found = {number: list(group) for number, group in groupby(rows, key=itemgetter(0))}
            others = [head for head in heads if not self._is_as_it_was(head, found)]
            leaves = await self._queries.leaves(connection, others) if others else {}
        if rows:
            self._page = _fitting(rows)
        gone = {head.id for head in others} - leaves.keys()
        return _Short(heads, found, leaves, gone, is_much=self._page < len(rows))

    async def _short(self, some: "_Short") -> AsyncIterator[list[Passage]]:
        """Conversations that were read together."""
        passages: list[Passage] = []
        text = 0
        for head in some.heads:
            if head.id in some.gone:
                continue
            if self._has_branched(head, some.leaves):
                own = await self._rows_at(head, await self._line_up(head, above=0))
            else:
                own = some.found.get(head.id, [])[: self._count(head)]
            if len(own) < self._count(head):
                raise Vanished
            is_much = some.is_much or not are_whole(own)
            async for passage in self._passages(self._with_leaf(head, own), own):
                passages.append(passage)
                text += size_of(passage.rows) if is_much else 0
                if text > PAGE_TEXT:
                    yield passages
                    passages, text = [], 0
        yield passages

    async def _long(self, head: ConversationHead) -> AsyncIterator[Passage]:
        """One conversation of many pages."""
        if self._wanted.whole_tree and head.leaf_id is not None:
            async with self._database.read() as connection:
                number = await self._queries.number_of(connection, head)
            head = head._replace(leaf_number=number)
        done = 0
        async for rows in self._long_rows(head):
            is_first, done = done == 0, done + len(rows)
            is_last = done == self._count(head)
            async for passage in self._passages(head, rows, is_first=is_first, is_last=is_last):
                yield passage
        if 0 < done < self._count(head):
            raise Vanished

    async def _long_rows(self, head: ConversationHead) -> AsyncIterator[Sequence[Row]]:
        """The messages of one conversation in pages; ends early when it is gone."""
        left, last = self._count(head), 0
        while left:
            async with self._database.read() as connection:
                leaves = await self._queries.leaves(connection, [head])
                if head.id not in leaves:
                    return
                if self._has_branched(head, leaves):
                    break
                limit = min(self._page, left)
                rows = await self._queries.page(connection, head, above=last, limit=limit)
            if not rows:
                return
            self._page = _fitting(rows)
            for start in range(0, len(rows), size := self._page):
                yield rows[start : start + size]
            left, last = left - len(rows), rows[-1][1]
        if left:
            line = await self._line_up(head, above=last)
            for start in range(0, len(line), size := self._page):
                yield await self._rows_at(head, line[start : start + size])

    def _has_branched(self, head: ConversationHead, leaves: Mapping[int, bool]) -> bool:
        is_line = not self._wanted.whole_tree and head.leaf_id is not None
        return is_line and not leaves.get(head.id, True)

    def _is_as_it_was(self, head: ConversationHead, found: Mapping[int, Sequence[Row]]) -> bool:
        """Whether the rows that were *found* are surely those of the moment, as nearly always."""
        rows, count = found.get(head.id, ()), self._count(head)
        if not 0 < count <= len(rows):
            return False
        # The leaf is the newest message of its path, and no longer there when the path is another.
        return self._wanted.whole_tree or bool(rows[count - 1][1] == head.leaf_id)

    def _with_leaf(self, head: ConversationHead, rows: Sequence[Row]) -> ConversationHead:
        """*head* with the number of its leaf, which counts in the whole tree only."""
        if head.leaf_id is None or not self._wanted.whole_tree:
            return head
        number = bisect_right(rows, head.leaf_id, key=itemgetter(1))
        return head._replace(leaf_number=number)

    async def _line_up(self, head: ConversationHead, *, above: int) -> "array[int]":
        """The ids of the path of the moment, root first, of those greater than *above*.

        A parent's id is always smaller than its child's, so one walk back over the conversation
        meets the whole line.
        """
        line = array("q")
        wanted, before = head.leaf_id, (head.leaf_id or 0) + 1
        while wanted is not None and wanted > above:
            async with self._database.read() as connection:
                pairs = await self._queries.parents(connection, head, below=before, limit=10 * PAGE)
            if not pairs:
                raise Vanished
            for number, parent in pairs:
                if number == wanted and number > above:
                    line.append(number)
                    wanted = parent
            before = pairs[-1][0]
        line.reverse()
        return line

    async def _rows_at(self, head: ConversationHead, ids: Sequence[int]) -> Sequence[Row]:
        async with self._database.read() as connection:
            rows = await self._queries.at(connection, head, ids)
        if len(rows) < len(ids):
            raise Vanished
        return rows

    async def _passages(
        self,
        head: ConversationHead,
        rows: Sequence[Row],
        *,
        is_first: bool = True,
        is_last: bool = True,
    ) -> AsyncIterator[Passage]:
        """*rows* as one passage, or as several when some of them are large."""
        if are_whole(rows):
            yield Passage(head, rows, is_first, is_last)
            return
        large = [row[1] for row in rows if is_cut(row)]
        async with self._database.read() as connection:
            sizes = await self._queries.sizes(connection, head, large)
        start = 0
        for end in [*_cuts([sizes.get(row[1], 0) for row in rows]), len(rows)]:
            lines = await self._whole(head, rows[start:end])
            yield Passage(head, lines, is_first and start == 0, is_last and end == len(rows))
            start = end

    async def _whole(self, head: ConversationHead, rows: Sequence[Row]) -> list[Row]:
        """*rows* with the texts that are not in them."""
        ids = [row[1] for row in rows if is_cut(row)]
        async with self._database.read() as connection:
            whole = await self._queries.whole(connection, head, ids)
        if len(whole) < len(ids):
            raise Vanished
        return [whole.get(row[1], row) for row in rows]


def _fitting(rows: Sequence[Row]) -> int:
    """How many messages like these, some of which are looked at, make a page."""
    some = rows[:: 1 + len(rows) // 256]
    size = size_of(some) + LARGE * sum(map(is_cut, some))
    return max(1, min(PAGE, PAGE_TEXT * len(some) // max(1, size)))


def _cuts(sizes: Sequence[int]) -> Iterator[int]:
    """Where to cut so that no piece has more than LARGE_BYTES, if it has more than one message."""
    total = 0
    for place, size in enumerate(sizes):
        total += size
        if total > LARGE_BYTES and place:
            yield place
            total = size
