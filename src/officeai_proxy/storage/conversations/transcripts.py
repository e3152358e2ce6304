"""One conversation as somebody reads it: a line through its tree, some messages at a time.

The line is the path, or the line through any message that a reader has chosen. Every statement
carries the caller's wall. What the call of a message has measured comes with the message.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import NotFound
from officeai_proxy.formats.writing.passages import Line
from officeai_proxy.model import MAX_INTEGER, Caller, Conversation, Role, in_utc, iso_text
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS, AnyRow, conversation_of
from officeai_proxy.storage.sealing.sealed_rows import open_error, open_message_texts
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges
from officeai_proxy.storage.walls import inside

ADDED_UP = 20_000
"""Messages up to which the tokens of a conversation are added up when it is opened."""

_c, _m, _x = conversations.c, conversation_messages.c, exchanges.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message and what is known of the call that brought it; times in milliseconds."""

    line: Line
    latency_ms: float | None
    ttft_ms: float | None
    status: int | None
    call_outcome: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Tree:
    """The messages of a conversation as ids. Without branches nobody needs it, and it is empty."""

    parents: Mapping[int, int | None] = field(default_factory=dict)
    on_path: frozenset[int] = frozenset()
    children: Mapping[int | None, Sequence[int]] = field(default_factory=dict)

    def siblings(self, message: int) -> Sequence[int]:
        """The messages that stand in the same place, itself included, oldest first."""
        if message not in self.parents:
            return (message,)
        return self.children[self.parents[message]]

    def line_through(self, message: int) -> list[int]:
        """The ids of the line through *message*, oldest first, to its newest end.

        Of a message on the path that is the path. Below any other it is where something was said
        last: not a choice that nobody went on with, if somebody went on with another.
        """
        if message in self.on_path:
            return sorted(self.on_path)
        inside = {message}
        for one, parent in self.parents.items():
            # A message is newer than its parent.
            if parent in inside:
                inside.add(one)
        line: list[int] = []
        above: int | None = max(inside)
        while above is not None:
            line.append(above)
            above = self.parents.get(above)
        line.reverse()
        return line


@dataclass(frozen=True, slots=True)
class Totals:
    """What a conversation adds up to; of a very long one nobody adds it up."""

    tokens: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Consecutive messages of one line, oldest first, and whether there are more either way."""

    messages: Sequence[Spoken]
    has_older: bool
    has_newer: bool

    def fitting(self, most: int, *, around: int) -> "Window":
        """What is *around* that place and has *most* characters together; that message in any case.

        Of what stands beside a text, such as a picture, a tenth counts: nobody has to read it.
        """
        sizes = [len(one.line.content) + len(one.line.extra or "") // 10 for one in self.messages]
        first, end = around, around + 1
        room = most - sum(sizes[first:end])
        while grown := [
            place for place in (first - 1, end) if 0 <= place < len(sizes) and sizes[place] <= room
        ]:
            room -= sizes[grown[0]]
            first, end = min(first, grown[0]), max(end, grown[0] + 1)
        return Window(
            messages=self.messages[first:end],
            has_older=self.has_older or first > 0,
            has_newer=self.has_newer or end < len(sizes),
        )


class TranscriptRepository:
    """The conversations that one caller may read."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, conversations)

    async def find(self, number: int) -> Conversation:
        """The conversation with the id *number*, also when it is in the bin.

        Raises:
            NotFound: there is none inside the caller's walls.
        """
        row = select(*CONVERSATION_COLUMNS).where(_c.id == number, self._mine)
        # What is beyond 64 bits no driver takes, and no id is.
        is_id = 0 < number <= MAX_INTEGER
        found = (await self._connection.execute(row)).one_or_none() if is_id else None
        if found is None:
            raise NotFound("There is no such conversation, or this key may not see it.")
        return conversation_of(found, sealer_of(self._connection))

    async def tree(self, conversation: Conversation) -> Tree:
        """The branches of a conversation; empty when it is one line."""
        count = select(_c.path_count).where(_c.id == conversation.id, self._mine)
        on_path = (await self._connection.execute(count)).scalar()
        if on_path is None or on_path >= conversation.message_count:
            return Tree()
        rows = select(_m.id, _m.parent_id, _m.on_path).where(
            _m.conversation_id == self._wall(conversation)
        )
        found = (await self._connection.execute(rows.order_by(_m.id))).all()
        children: defaultdict[int | None, list[int]] = defaultdict(list)
        for row in found:
            children[row.parent_id].append(row.id)
        return Tree(
            parents={row.id: row.parent_id for row in found},
            on_path=frozenset(row.id for row in found if row.on_path),
            children=children,
        )

    async def totals(self, conversation: Conversation) -> Totals:
        """The tokens of all messages, and the models that have answered."""
        if conversation.message_count > ADDED_UP:
            return Totals()
        sums = (
            select(_m.role, _m.model_name, func.sum(_m.token_count).label("tokens"))
            .where(_m.conversation_id == self._wall(conversation))
            .group_by(_m.role, _m.model_name)
        )
        rows = (await self._connection.execute(sums)).all()
        models = {row.model_name for row in rows if row.role == Role.ASSISTANT and row.model_name}
        return Totals(sum(int(row.tokens or 0) for row in rows), tuple(sorted(models)))

    async def first(self, conversation: Conversation, line: Sequence[int] | None) -> int:
        """The id of the oldest message of *line* (None: the path); 0 if there is none."""
        if line is not None:
            return line[0]
        rows = select(_m.id).where(_m.conversation_id == self._wall(conversation), _m.on_path)
        found = await self._connection.execute(rows.order_by(_m.id).limit(1))
        return found.scalar_one_or_none() or 0

    async def newest(
        self,
        conversation: Conversation,
        line: Sequence[int] | None,
        *,
        below: int | None = None,
        limit: int,
    ) -> Window:
        """The newest messages of *line* (None: the path), those with ids under *below* only."""
        chosen: ColumnElement[bool]
        if line is not None:
            end = len(line) if below is None else bisect_left(line, below)
            chosen = _m.id.in_(line[max(0, end - limit - 1) : end])
        else:
            chosen = _m.on_path if below is None else and_(_m.on_path, _m.id < below)
        rows = self._messages(conversation, chosen).order_by(_m.id.desc())
        found = await self._some(rows, limit + 1)
        sealer = sealer_of(self._connection)
        shown = [_spoken(row, sealer) for row in reversed(found[:limit])]
        return Window(messages=shown, has_older=len(found) > limit, has_newer=below is not None)

    async def after(
        self, conversation: Conversation, line: Sequence[int] | None, *, above: int, limit: int
    ) -> Window:
        """The oldest messages of *line* with ids over *above*."""
        chosen: ColumnElement[bool]
        if line is not None:
            begin = bisect_right(line, above)
            chosen = _m.id.in_(line[begin : begin + limit + 1])
        else:
            chosen = and_(_m.on_path, _m.id > above)
        rows = self._messages(conversation, chosen).order_by(_m.id)
        found = await self._some(rows, limit + 1)
        sealer = sealer_of(self._connection)
        shown = [_spoken(row, sealer) for row in found[:limit]]
        return Window(messages=shown, has_older=True, has_newer=len(found) > limit)

    async def around(
        self, conversation: Conversation, line: Sequence[int] | None, *, message: int, limit: int
    ) -> Window:
        """*message* with some before it and some after it."""
        earlier = await self.newest(conversation, line, below=message, limit=limit // 2)
        later = await self.after(conversation, line, above=message - 1, limit=limit - limit // 2)
        return Window(
            messages=[*earlier.messages, *later.messages],
            has_older=earlier.has_older,
            has_newer=later.has_newer,
        )

    async def has(self, conversation: Conversation, message: int) -> bool:
        """Whether *message* is one of *conversation*."""
        row = select(_m.id).where(_m.conversation_id == self._wall(conversation), _m.id == message)
        return (await self._connection.execute(row)).first() is not None

    def _messages(self, conversation: Conversation, chosen: ColumnElement[bool]) -> Select[Any]:
        return _select_spoken().where(_m.conversation_id == self._wall(conversation), chosen)

    async def _some(self, rows: Select[Any], count: int) -> Sequence[AnyRow]:
        found: Sequence[AnyRow] = (await self._connection.execute(rows.limit(count))).all()
        return found

    def _wall(self, conversation: Conversation) -> ScalarSelect[int]:
        """The conversation's id, if it is the caller's: messages carry no wall of their own."""
        own = select(_c.id).where(_c.id == conversation.id, self._mine)
        return own.scalar_subquery()


def _select_spoken() -> Select[Any]:
    measured: tuple[ColumnElement[Any], ...] = (
        _x.id.label("call_row"),
        _x.exchange_id.label("call_id"),
        _x.latency_ms,
        _x.ttft_ms,
        _x.status_code,
        _x.outcome.label("call_outcome"),
        _x.error,
    )
    return select(conversation_messages, *measured).select_from(
        conversation_messages.outerjoin(exchanges, _x.id == _m.exchange_id)
    )


def _spoken(row: AnyRow, sealer: Sealer | None) -> Spoken:
    content, metadata, extra = open_message_texts(row, sealer)
    line = Line(
        conversation_id=row.conversation_id,
        id=row.id,
        parent_id=row.parent_id,
        role=row.role,
        content=content,
        model_name=row.model_name,
        token_count=row.token_count,
        timestamp=iso_text(in_utc(row.timestamp)),
        metadata=metadata,
        extra=extra,
        exchange_id=None if row.call_id is None else str(row.call_id),
        outcome=row.outcome,
        finish_reason=row.finish_reason,
    )
    return Spoken(
        line=line,
        latency_ms=row.latency_ms,
        ttft_ms=row.ttft_ms,
        status=row.status_code,
        call_outcome=row.call_outcome,
        error=open_error(row.error, row.call_row, sealer),
    )
