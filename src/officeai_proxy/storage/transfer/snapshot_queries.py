"""The statements behind a snapshot: what of conversations and messages an export reads.

Rows come as the driver has them, with times and ids as text: an export of a million messages has no
time for more. Long texts are left out of a page, so that it never takes more memory than its number
of messages allows, and are read one by one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import reduce
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    Executable,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.formats.writing.passages import ConversationHead, Row
from officeai_proxy.model import Caller
from officeai_proxy.storage.conversations.listing import ConversationFilter, conditions_of
from officeai_proxy.storage.engine.address import Dialect
from officeai_proxy.storage.sealing.sealed_rows import (
    open_conversation_text,
    open_lines,
)
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges
from officeai_proxy.storage.walls import inside, only_checked

LARGE = 8192
"""Bytes up to which a text comes with its page.

Longer ones are null there, and so is the content of a message that has any.
"""

PORTION = 500
"""Messages that the driver hands over at once."""

MOST_TEXT = 3 * 1024 * 1024
"""How much text ends a page with the portion that brought it, however few messages it has."""

_c = conversations.c
_m = conversation_messages.c


class SnapshotQueries:
    """The statements for one caller and one kind of export."""

    def __init__(
        self,
        dialect: Dialect,
        caller: Caller,
        *,
        whole_tree: bool,
        sealer: Sealer | None = None,
        utf8: bool = False,
    ) -> None:
        """Every statement carries the walls of *caller*.

        With *utf8* contents come as bytes; not from *sealer*, which opens texts.
        """
        self._dialect = dialect
        self._sealer = sealer
        self._utf8 = utf8 and sealer is None
        self._mine = inside(caller, conversations)
        # Looked up for each message by its id: SQLite would otherwise walk the whole workspace.
        self._is_mine = exists().where(_c.id == _m.conversation_id, self._mine)
        self._asked_for = self._of_conversations()
        self._rows = self._lines(whole=False).where(self._asked_for)
        self._whole = self._lines(whole=True).where(self._asked_for)
        here = self._rows if whole_tree else self._rows.where(_m.on_path)
        # Putting a statement together takes longer than running it, so it is done once.
        self._leaves = self._leaves_of_many()
        several = here.where(_m.id <= bindparam("until"))
        self._several = several.order_by(_m.conversation_id, _m.id)
        self._page = (
            here.where(_m.id > bindparam("above")).order_by(_m.id).limit(bindparam("count"))
        )

    async def heads(
        self, connection: AsyncConnection, wanted: ConversationFilter, *, only: int | None
    ) -> AsyncIterator[ConversationHead]:
        """The conversations that *wanted* describes, or the one with the id *only*, by id."""
        chosen = conditions_of(wanted) if only is None else [_c.id == only]
        statement = select(
            _c.id,
            _c.session_id,
            _c.title,
            _c.user_identifier,
            _c.metadata,
            self._moment(_c.created_at).label("created"),
            self._moment(_c.updated_at).label("updated"),
            self._moment(_c.deleted_at).label("deleted"),
            _c.message_count,
            _c.path_count,
            _c.leaf_id,
        )
        ordered = statement.where(self._mine, *chosen).order_by(_c.id)
        async with connection.stream(ordered) as found:
            async for rows in found.partitions(1000):
                for row in rows:
                    yield ConversationHead(*row)

    def opened_head(self, head: ConversationHead) -> ConversationHead:
        """A head as it was before it was sealed; only sealed ones are in the temporary file."""
        if self._sealer is None:
            return head
        return head._replace(
            title=open_conversation_text(head.title, "title", head.id, self._sealer),
            metadata=open_conversation_text(head.metadata, "metadata", head.id, self._sealer),
        )

    async def leaves(
        self, connection: AsyncConnection, heads: Sequence[ConversationHead]
    ) -> Mapping[int, bool]:
        """The conversations that still are there, and whether their leaf is on the path."""
        values = {
            "leaf_ids": [head.leaf_id for head in heads if head.leaf_id is not None],
            "empty_ids": [head.id for head in heads if head.leaf_id is None],
        }
        rows = await _fetch(connection, self._leaves, values)
        return {number: bool(on_path) for number, on_path in rows}

    async def newest(self, connection: AsyncConnection) -> int:
        """The largest id of a message; 0 while there is none."""
        return cast("int | None", await connection.scalar(select(func.max(_m.id)))) or 0

    async def messages(
        self, connection: AsyncConnection, heads: Sequence[ConversationHead], *, until: int
    ) -> tuple[Sequence[Row], bool]:
        """The messages of several conversations, each conversation's together, oldest first.

        And whether these are all: there is an end to them where they have much text.
        """
        values = {"ids": [head.id for head in heads], "until": until}
        rows, are_all = await self._fetch_some(connection, self._several, values)
        return open_lines(rows, self._sealer), are_all

    async def page(
        self, connection: AsyncConnection, head: ConversationHead, *, above: int, limit: int
    ) -> Sequence[Row]:
        """At most *limit* messages of one conversation with ids greater than *above*.

        Fewer, but not none, where they have much text.
        """
        values = {"ids": [head.id], "above": above, "count": limit}
        rows, _ = await self._fetch_some(connection, self._page, values)
        return open_lines(rows, self._sealer)

    async def at(
        self, connection: AsyncConnection, head: ConversationHead, ids: Sequence[int]
    ) -> Sequence[Row]:
        """The messages of one conversation with these ids, on the path or off it."""
        wanted = self._rows.where(_m.id.in_(bindparam("message_ids", expanding=True)))
        values = {"ids": [head.id], "message_ids": list(ids)}
        return open_lines(await _fetch(connection, wanted.order_by(_m.id), values), self._sealer)

    async def whole(
        self, connection: AsyncConnection, head: ConversationHead, ids: Sequence[int]
    ) -> dict[int, Row]:
        """The same by id, with their texts uncut."""
        wanted = self._whole.where(_m.id.in_(bindparam("message_ids", expanding=True)))
        values = {"ids": [head.id], "message_ids": list(ids)}
        rows = open_lines(await _fetch(connection, wanted, values), self._sealer)
        return {row[1]: row for row in rows}

    async def sizes(
        self, connection: AsyncConnection, head: ConversationHead, ids: Sequence[int]
    ) -> dict[int, int]:
        """How long the texts of messages are, in characters."""
        texts = (_m.content, func.coalesce(_m.extra, ""), func.coalesce(_m.metadata, ""))
        length: ColumnElement[int] = sum((func.length(text) for text in texts), start=_zero())
        statement = select(_m.id, length).where(
            self._asked_for, _m.id.in_(bindparam("message_ids", expanding=True))
        )
        rows = await _fetch(connection, statement, {"ids": [head.id], "message_ids": list(ids)})
        return {number: size for number, size in rows}

    async def number_of(self, connection: AsyncConnection, head: ConversationHead) -> int:
        """Which message of its conversation the leaf is, counted from 1."""
        statement = select(func.count()).where(self._asked_for, _m.id <= bindparam("leaf_id"))
        rows = await _fetch(connection, statement, {"ids": [head.id], "leaf_id": head.leaf_id})
        return cast("int", rows[0][0])

    async def parents(
        self, connection: AsyncConnection, head: ConversationHead, *, below: int, limit: int
    ) -> Sequence[tuple[int, int | None]]:
        """Messages and their parents, newest first, with ids smaller than *below*."""
        statement = (
            select(_m.id, _m.parent_id)
            .where(self._asked_for, _m.id < bindparam("below"))
            .order_by(_m.id.desc())
            .limit(bindparam("count"))
        )
        values = {"ids": [head.id], "below": below, "count": limit}
        return cast("Sequence[tuple[int, int | None]]", await _fetch(connection, statement, values))

    async def _fetch_some(
        self, connection: AsyncConnection, statement: Executable, values: Mapping[str, object]
    ) -> tuple[Sequence[Row], bool]:
        """The rows up to those that bring more than `MOST_TEXT`, and whether they are all."""
        if self._dialect is Dialect.SQLITE:
            return await connection.run_sync(_fetch_portions, statement, values)
        # PostgreSQL plans otherwise for rows that are fetched in portions, and takes longer.
        return await _fetch(connection, statement, values), True

    def _of_conversations(self) -> ColumnElement[bool]:
        """The messages of the conversations with certain ids, as far as they are inside the walls.

        Each database is told in the way that it is quickest with.
        """
        ids: BindParameter[Any] = bindparam("ids", expanding=True)
        if self._dialect is Dialect.SQLITE:
            # The walls are looked at once for each conversation, and not for each message.
            own = select(_c.id).where(_c.id.in_(ids), only_checked(self._mine))
            return _m.conversation_id.in_(own)
        # Said of the conversations as well: PostgreSQL would walk over all that come before them.
        are_mine = exists().where(_c.id == _m.conversation_id, _c.id.in_(ids), self._mine)
        return and_(_m.conversation_id.in_(ids), are_mine)

    def _lines(self, *, whole: bool) -> Select[Any]:
        texts = (self._content(), _m.metadata, _m.extra)
        content, metadata, extra = texts if whole else self._short(*texts)
        return select(
            _m.conversation_id,
            _m.id,
            _m.parent_id,
            _m.role,
            content,
            _m.model_name,
            _m.token_count,
            self._moment(_m.timestamp),
            metadata,
            extra,
            self._uuid(exchanges.c.exchange_id),
            _m.outcome,
            _m.finish_reason,
        ).select_from(conversation_messages.outerjoin(exchanges, exchanges.c.id == _m.exchange_id))

    def _content(self) -> ColumnElement[Any]:
        """What was said, as text or as the bytes of it in UTF-8."""
        if not self._utf8:
            return _m.content
        if self._dialect is Dialect.SQLITE:
            return sql_cast(_m.content, LargeBinary)
        # What goes over the wire for a text, and the driver asks for UTF-8.
        return func.textsend(_m.content)

    def _short(
        self, content: ColumnElement[Any], metadata: ColumnElement[Any], extra: ColumnElement[Any]
    ) -> tuple[ColumnElement[Any], ...]:
        """The same, but null in place of long ones."""
        others = [func.coalesce(self._bytes(text), 0) <= LARGE for text in (metadata, extra)]
        return (
            case((and_(self._bytes(_m.content) <= LARGE, *others), content)),
            case((others[0], metadata)),
            case((others[1], extra)),
        )

    def _bytes(self, text: ColumnElement[Any]) -> ColumnElement[int]:
        """How long *text* is, without reading it, as counting its characters would."""
        if self._dialect is Dialect.SQLITE:
            # It has `octet_length` from 3.43 on, and knows the length of a blob since ever.
            return func.length(sql_cast(text, LargeBinary))
        return func.octet_length(text)

    def _leaves_of_many(self) -> CompoundSelect[Any]:
        """Where there is a leaf there is its conversation; those without one are asked for."""
        is_leaf = _m.id.in_(bindparam("leaf_ids", expanding=True))
        is_empty = _c.id.in_(bindparam("empty_ids", expanding=True))
        return union_all(
            select(_m.conversation_id, _m.on_path).where(is_leaf, self._is_mine),
            select(_c.id, literal(value=True)).where(is_empty, only_checked(self._mine)),
        )

    def _moment(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A moment as ISO 8601 in UTC with Z, and with microseconds when there are any."""
        if self._dialect is Dialect.SQLITE:
            # Always 26 characters; to look for those that change would take twice as long.
            stored = type_coerce(column, Text)
            day, rest = func.substr(stored, 1, 10), func.substr(stored, 12)
            second = func.substr(stored, 12, 8)
            is_whole = func.substr(stored, 20) == ".000000"
            return day.concat("T").concat(case((is_whole, second), else_=rest)).concat("Z")
        in_utc = func.timezone("UTC", column)
        whole = func.to_char(in_utc, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        return func.replace(whole, ".000000Z", "Z")

    def _uuid(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A UUID in its usual form; SQLite has it as 32 digits."""
        if self._dialect is Dialect.SQLITE:
            plain = type_coerce(column, Text)
            first, *rest = [func.substr(plain, start, size) for start, size in _UUID_PARTS]
            return reduce(lambda text, part: text.concat("-").concat(part), rest, first)
        return sql_cast(column, Text)


_TEXTS = (4, 8, 9)
"""Where in a row its texts are."""

_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


def size_of(rows: Sequence[Row]) -> int:
    """How much text comes with *rows*, in characters or bytes."""
    texts = (filter(None, map(itemgetter(place), rows)) for place in _TEXTS)
    return sum(sum(map(len, some)) for some in texts)


def is_cut(row: Row) -> bool:
    """Whether *row* lacks a text because it is long."""
    return row[4] is None


def are_whole(rows: Sequence[Row]) -> bool:
    """Whether no row lacks a text; asked of every page, so without a step of Python for each."""
    return None not in map(itemgetter(4), rows)


def _zero() -> ColumnElement[int]:
    return literal_column("0")


async def _fetch(
    connection: AsyncConnection, statement: Executable, values: Mapping[str, object]
) -> Sequence[Row]:
    """The rows as the driver has them, without SQLAlchemy's own."""
    result = await connection.execute(statement, values)
    return cast("Sequence[Row]", result.cursor.fetchall())


def _fetch_portions(
    connection: Connection, statement: Executable, values: Mapping[str, object]
) -> tuple[Sequence[Row], bool]:
    """The same up to the portion that brings more than `MOST_TEXT`, and whether they are all."""
    result = connection.execute(statement, values, execution_options={"stream_results": True})
    # The strategy has read the first row already, as SQLAlchemy does where it streams.
    driver = result.cursor_strategy
    rows: list[Row] = []
    size, is_end = 0, False
    while size <= MOST_TEXT and not is_end:
        portion = driver.fetchmany(result, result.cursor, PORTION)
        rows += portion
        size += size_of(portion)
        is_end = len(portion) < PORTION
    result.close()
    return rows, is_end
