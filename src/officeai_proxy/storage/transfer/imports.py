"""Conversations of a file into the database: what is not there yet, and nothing twice.

Importing again changes nothing; importing a longer export adds the rest. Nothing that is stored is
changed but the path, which goes where the file's goes when that brings something new. Several small
conversations share a transaction and its statements, because most of the time of a small one is
the way to the database and back; if one of them cannot be stored, none is, and the caller brings
them one by one.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from sqlalchemy import and_, false, insert, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import DatabaseUnavailable, NotAllowed, UnprocessableInput
from officeai_proxy.formats.reading.imported import ImportedConversation
from officeai_proxy.model import Caller
from officeai_proxy.storage.conversations.tree import (
    HEAD_COLUMNS,
    Head,
    HeadUpdate,
    Placed,
    head_of,
    insert_messages,
    reserve_ids,
    set_heads,
    set_on_path,
)
from officeai_proxy.storage.rows import AnyRow, json_text
from officeai_proxy.storage.sealing.sealed_rows import identity_of, seal_conversation
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import conversation_messages, conversations
from officeai_proxy.storage.transfer.grafting import (
    Graft,
    NewPath,
    StoredMessage,
    graft,
    keeps_path,
    path_to_leaf,
)
from officeai_proxy.storage.transfer.locking import lock_names
from officeai_proxy.storage.walls import inside, only_checked
from officeai_proxy.wire.titles import title_in

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 500
"""Rows of one statement; while one is put together, nothing else of the process runs."""

BATCH_TEXT = 8 * 1024**2
"""Characters of their texts, if there is more than one."""

# From so many messages on, a conversation is read in parts and compared in a thread.
_MANY = 5000

# Conversations whose messages are read in one statement.
_TOGETHER = 50

# SQLite's driver refuses some values itself, before there is a statement that could fail.
_REFUSALS = (DBAPIError, OverflowError, UnicodeError)

_c = conversations.c
_m = conversation_messages.c
_FOUND = (_c.id, _c.session_id, _c.user_identifier, *HEAD_COLUMNS)
_STORED = (_m.id, _m.parent_id, _m.identity, _m.role, _m.on_path, _m.sealed_with)


@dataclass(frozen=True, slots=True)
class Owned:
    """A conversation of a file, and whose it is going to be."""

    conversation: ImportedConversation
    user_identifier: str

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from others in its workspace, unless it is in the bin."""
        return (self.conversation.session_id, self.user_identifier)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What importing one conversation has done: whether it began it, and how much it added."""

    is_new: bool
    messages: int

    @property
    def has_changed(self) -> bool:
        """Whether anything is different from before."""
        return self.is_new or self.messages > 0


@dataclass(slots=True)
class _Place:
    """Where a conversation of the file belongs in the database, and what of it is new there."""

    incoming: ImportedConversation
    id: int
    head: Head
    is_new: bool
    found: Graft = field(default_factory=Graft)
    path: NewPath | None = None

    @property
    def is_left_alone(self) -> bool:
        """Whether nothing of the file is put into what is stored: it is a copy of that."""
        return self.incoming.is_copy and not self.is_new

    @property
    def on_path(self) -> set[int]:
        """The ids of the new path; nothing when the path stays."""
        return set(self.path.ids) if self.path else set()


class ImportRepository:
    """Conversations of files, on their way into one caller's workspace."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._caller = caller
        self._mine = inside(caller, conversations)
        self._sealer = sealer_of(connection)

    async def add(self, owned: Sequence[Owned]) -> list[Outcome]:
        """Bring *owned*, no two of which have the same name, into the database.

        Raises:
            NotAllowed: the caller is bound to another user.
            UnprocessableInput: the database cannot hold a value of one of them.
            DatabaseUnavailable: others keep beginning the same conversations; try again.
        """
        if any(self._caller.user not in (None, one.user_identifier) for one in owned):
            raise NotAllowed("This key is bound to one user, and the conversation is another's.")
        try:
            places = await self._places(owned)
            await self._compare([place for place in places if not place.is_left_alone])
            await self._write([place for place in places if place.found.new])
        except _REFUSALS as exc:
            reason = getattr(exc, "orig", None) or exc
            raise UnprocessableInput(f"the database cannot hold it: {reason}") from exc
        return [Outcome(place.is_new, len(place.found.new)) for place in places]

    async def _places(self, owned: Sequence[Owned]) -> list[_Place]:
        """Find the conversations that are there, and begin the others."""
        binned = [one.name for one in owned if one.conversation.deleted_at is not None]
        if binned:
            names = [one.name for one in owned]
            await lock_names(self._connection, self._caller, names, binned=binned)
        rows = await self._find(owned)
        missing = [one for one in owned if one.name not in rows]
        begun = await self._begin(missing)
        return [
            _Place(one.conversation, begun[one.name], Head(), is_new=True)
            if one.name in begun
            else self._found(one, rows[one.name])
            for one in owned
        ]

    def _found(self, owned: Owned, row: AnyRow) -> _Place:
        head = head_of(row, conversation_id=row.id, sealer=self._sealer)
        return _Place(owned.conversation, row.id, head, is_new=False)

    async def _find(self, owned: Sequence[Owned]) -> dict[tuple[str, str], AnyRow]:
        """The conversations of *owned* that are there, locked."""
        live = [one.name for one in owned if one.conversation.deleted_at is None]
        named = or_(
            false(),
            *(
                and_(
                    _c.workspace == self._caller.workspace,
                    _c.session_id == session,
                    _c.user_identifier == user,
                )
                for session, user in live
            ),
        )
        found = (
            select(*_FOUND)
            .where(only_checked(self._mine), named, _c.deleted_at.is_(None))
            .order_by(_c.id)
            .with_for_update()
        )
        rows = (await self._connection.execute(found)).all() if live else []
        there = {(row.session_id, row.user_identifier): row for row in rows}
        for one in owned:
            if one.conversation.deleted_at is not None:
                row = await self._find_binned(one)
                if row is not None:
                    there[one.name] = row
        return there

    async def _find_binned(self, owned: Owned) -> AnyRow | None:
        """The conversation that one of the bin is, locked, wherever it is now.

        Several of one session may be in the bin. They began at different times, but for a file that
        was imported again while what it had brought was in the bin: of those, the one that went
        there at the same moment is meant.
        """
        same_moment = _c.deleted_at == owned.conversation.deleted_at
        for state in (same_moment, _c.deleted_at.is_(None), _c.deleted_at.is_not(None)):
            found = select(*_FOUND).where(
                self._mine,
                _c.session_id == owned.conversation.session_id,
                _c.user_identifier == owned.user_identifier,
                _c.created_at == owned.conversation.created_at,
                state,
            )
            first = found.order_by(_c.id).limit(1).with_for_update()
            row = (await self._connection.execute(first)).one_or_none()
            if row is not None:
                return row
        return None

    async def _begin(self, owned: Sequence[Owned]) -> dict[tuple[str, str], int]:
        """Make conversations, still without messages; their ids."""
        if not owned:
            return {}
        # The order of the ids is the order of the file, which lists and exports keep.
        ids = await reserve_ids(self._connection, conversations, len(owned))
        begun = zip(ids, owned, strict=True)
        # Two who import the same wait for one another in the same order.
        ordered = sorted(begun, key=lambda one: one[1].name)
        values = [self._values(number, one) for number, one in ordered]
        try:
            await self._connection.execute(insert(conversations), values)
        except IntegrityError as exc:
            # Somebody else began one of them in this moment; the next try finds it.
            raise DatabaseUnavailable from exc
        return {one.name: number for number, one in ordered}

    def _values(self, number: int, owned: Owned) -> Mapping[str, object]:
        conversation = owned.conversation
        values = {
            "id": number,
            "workspace": self._caller.workspace,
            "user_identifier": owned.user_identifier,
            "session_id": conversation.session_id,
            "title": conversation.title or title_in(conversation.messages),
            "metadata": json_text(conversation.metadata),
            "created_at": conversation.created_at,
            "updated_at": conversation.updated_at,
            "deleted_at": conversation.deleted_at,
        }
        return seal_conversation(values, number, self._sealer)

    async def _compare(self, places: Sequence[_Place]) -> None:
        """Find out what of each conversation is new."""
        small = [place for place in places if 0 < place.head.message_count < _MANY]
        known: dict[int, list[StoredMessage]] = {}
        for begin in range(0, len(small), _TOGETHER):
            known.update(await self._stored_of([p.id for p in small[begin : begin + _TOGETHER]]))
        for place in places:
            stored = known.get(place.id, [])
            if place.head.message_count >= _MANY:
                stored = await self._stored_in_parts(place.id)
            size = len(place.incoming.messages) + len(stored)
            place.found = await _run(size, graft, place.incoming, stored)

    async def _stored_of(self, ids: Sequence[int]) -> dict[int, list[StoredMessage]]:
        """All messages of some conversations, in their order."""
        own = select(_c.id).where(_c.id.in_(ids), only_checked(self._mine))
        rows = select(*_STORED, _m.conversation_id).where(_m.conversation_id.in_(own))
        found: dict[int, list[StoredMessage]] = {}
        for row in await self._connection.execute(rows.order_by(_m.id)):
            found.setdefault(row.conversation_id, []).append(_stored(row, self._sealer))
        return found

    async def _stored_in_parts(self, conversation_id: int) -> list[StoredMessage]:
        """All messages of one conversation, however many, in their order."""
        own = select(_c.id).where(_c.id == conversation_id, self._mine).scalar_subquery()
        found: list[StoredMessage] = []
        behind = 0
        while True:
            part = select(*_STORED).where(_m.conversation_id == own, _m.id > behind)
            rows = (await self._connection.execute(part.order_by(_m.id).limit(_MANY))).all()
            found += [_stored(row, self._sealer) for row in rows]
            if len(rows) < _MANY:
                return found
            behind = rows[-1].id

    async def _write(self, places: Sequence[_Place]) -> None:
        """Write what is new in *places*."""
        count = sum(len(place.found.new) for place in places)
        ids = iter(await reserve_ids(self._connection, conversation_messages, count))
        for place in places:
            stays = keeps_path(place.incoming, place.found)
            for at in place.found.new:
                place.found.ids[at] = next(ids)
            if not stays:
                size = len(place.incoming.messages)
                place.path = await _run(size, path_to_leaf, place.incoming, place.found)
                await self._switch_path(place.path, place.found)
        for batch in _batches(_rows(places)):
            await insert_messages(self._connection, batch, serves_others=True)
        await set_heads(self._connection, [_head_update(place) for place in places])

    async def _switch_path(self, path: NewPath, found: Graft) -> None:
        """Take the stored messages of the old path off it, and put those of the new one on it."""
        new = set(path.ids)
        on = [one.id for one in found.stored.values() if one.id in new and not one.on_path]
        off = [one.id for one in found.stored.values() if one.id not in new and one.on_path]
        for ids, on_path in ((on, True), (off, False)):
            for begin in range(0, len(ids), BATCH):
                some = ids[begin : begin + BATCH]
                await set_on_path(self._connection, some, on_path=on_path)


def _stored(row: AnyRow, sealer: Sealer | None) -> StoredMessage:
    return StoredMessage(row.id, row.parent_id, identity_of(row, sealer), row.role, row.on_path)


async def _run(size: int, work: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> T:
    """*work* on so many messages; in a thread, unless it is done in no time."""
    if size >= _MANY:
        return await asyncio.to_thread(work, *given, **named)
    return work(*given, **named)


def _rows(places: Iterable[_Place]) -> Iterable[tuple[int, Placed]]:
    """The new messages, each with the id of its conversation."""
    for place in places:
        found, incoming, on_path = place.found, place.incoming, place.on_path
        for at in found.new:
            number, parent = found.ids[at], incoming.parents[at]
            if number is None:
                raise ValueError("a message was placed that has no id yet")
            placed = Placed(
                message=incoming.messages[at],
                id=number,
                parent_id=None if parent is None else found.ids[parent],
                on_path=number in on_path,
            )
            yield place.id, placed


def _batches(rows: Iterable[tuple[int, Placed]]) -> Iterator[list[tuple[int, Placed]]]:
    """*rows*, as many at once as one statement may have."""
    batch: list[tuple[int, Placed]] = []
    length = 0
    for row in rows:
        message = row[1].message
        batch.append(row)
        length += len(message.content) + len(message.extra or "")
        if len(batch) == BATCH or length >= BATCH_TEXT:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _head_update(place: _Place) -> HeadUpdate:
    head = replace(place.head, message_count=place.head.message_count + len(place.found.new))
    if place.path is not None:
        head = replace(
            head,
            leaf_id=place.path.ids[-1],
            leaf_chain=place.path.leaf_chain,
            instructions=place.path.instructions,
            path_count=len(place.path.ids),
        )
    return HeadUpdate(
        conversation_id=place.id,
        head=head,
        updated_at=place.incoming.updated_at,
        title=place.incoming.title or title_in(place.incoming.messages),
    )
