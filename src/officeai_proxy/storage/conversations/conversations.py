"""Every query over conversations, inside one caller's walls; never reads a message."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from officeai_proxy.burials import burials_of
from officeai_proxy.errors import AmbiguousSession, Conflict, NotAllowed, NotFound
from officeai_proxy.model import Caller, Conversation, JsonObject
from officeai_proxy.storage.conversations.burials import (
    bury,
    erase_calls,
    wait_for_recorders,
)
from officeai_proxy.storage.conversations.listing import (
    ConversationFilter,
    ConversationSort,
    Deleted,
    conditions_of,
    cursor_behind,
    in_state,
    select_page,
    select_total,
)
from officeai_proxy.storage.conversations.title_order import rows_by_title
from officeai_proxy.storage.conversations.tree import reserve_ids
from officeai_proxy.storage.paging import Page, PageRequest
from officeai_proxy.storage.rows import (
    CONVERSATION_COLUMNS,
    AnyRow,
    conversation_of,
    json_text,
)
from officeai_proxy.storage.sealing.sealed_rows import seal_conversation
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search.index import remove_conversation
from officeai_proxy.storage.tables import conversations, exchanges
from officeai_proxy.storage.walls import inside, only_checked

__all__ = ["ConversationFilter", "ConversationRepository", "ConversationSort", "Deleted"]

NAMED_USERS = 20
"""How many users an AmbiguousSession names at most."""

_c = conversations.c

_Returning: TypeAlias = ReturningInsert[*tuple[Any, ...]] | ReturningUpdate[*tuple[Any, ...]]


class ConversationRepository:
    """The conversations that one caller may see."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._caller = caller
        self._mine = inside(caller, conversations)
        self._sealer = sealer_of(connection)

    async def create(
        self,
        *,
        session_id: str,
        user_identifier: str,
        title: str | None,
        metadata: JsonObject,
        now: datetime,
    ) -> Conversation:
        """Add an empty conversation.

        Raises:
            Conflict: there is one of this session and user already (the bin does not count).
            NotAllowed: the caller is bound to another user.
        """
        if self._caller.user not in (None, user_identifier):
            raise NotAllowed(
                f"This key is bound to the user {self._caller.user!r} and cannot write for another."
            )
        values: dict[str, Any] = {
            "workspace": self._caller.workspace,
            "user_identifier": user_identifier,
            "session_id": session_id,
            "title": title,
            "metadata": json_text(metadata),
            "created_at": now,
            "updated_at": now,
        }
        new = insert(conversations).values(await self._sealed(values))
        taken = (
            f"This user has a conversation with the session id {session_id!r} already; "
            "add messages to it, or choose another session id."
        )
        rows = await self._unless_taken(new.returning(*CONVERSATION_COLUMNS), message=taken)
        return conversation_of(rows[0], self._sealer)

    async def find(
        self,
        session_id: str,
        *,
        user_identifier: str | None = None,
        deleted: Deleted = Deleted.NO,
        number: int | None = None,
    ) -> Conversation:
        """The conversation of a session: the live one, or of those in the bin the last deleted.

        A session may be in the bin several times; *number*, a conversation's id, chooses one.

        Raises:
            NotFound: there is none inside the caller's walls.
            AmbiguousSession: several users have one and *user_identifier* chooses none.
        """
        wanted = [self._mine, _c.session_id == session_id]
        if number is not None:
            wanted.append(_c.id == number)
        if user_identifier is not None:
            wanted.append(_c.user_identifier == user_identifier)
        rows: list[AnyRow] = []
        for state in [Deleted.NO, Deleted.ONLY] if deleted is Deleted.WITH else [deleted]:
            rows += await self._last_deleted([*wanted, *in_state(state)])
        if not rows:
            raise NotFound(f"There is no conversation with the session id {session_id!r}.")
        if len(rows) > 1:
            await self._refuse_several_users(session_id, [*wanted, *in_state(deleted)])
        return conversation_of(rows[0], self._sealer)

    async def page(self, wanted: ConversationFilter, page: PageRequest) -> Page[Conversation]:
        """A page of the conversations that *wanted* describes.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        conditions = [self._mine, *conditions_of(wanted)]
        if self._sealer is not None and wanted.sort.field == "title":
            rows = await rows_by_title(self._connection, conditions, page, sort=wanted.sort)
        else:
            statement = select_page(conditions, page, sort=wanted.sort)
            rows = (await self._connection.execute(statement)).all()
        items = [conversation_of(row, self._sealer) for row in rows[: page.limit]]
        has_more = len(rows) > page.limit
        total = select_total(self._mine, wanted)
        return Page(
            items=items,
            next_cursor=cursor_behind(items[-1], sort=wanted.sort) if has_more else None,
            total=(await self._connection.execute(total)).scalar_one(),
        )

    async def rename(
        self,
        conversation: Conversation,
        *,
        title: str | None,
        metadata: JsonObject | None,
        now: datetime,
    ) -> Conversation:
        """Give a new title, new metadata or both; None leaves it as it is.

        Raises:
            NotFound: the conversation is gone, or not the caller's.
        """
        later = case((_c.updated_at > now, _c.updated_at), else_=literal(now, _c.updated_at.type))
        changes: dict[str, Any] = {"updated_at": later}
        if title is not None:
            changes["title"] = title
        if metadata is not None:
            changes["metadata"] = json_text(metadata)
        sealed = seal_conversation(changes, conversation.id, self._sealer)
        changed = update(conversations).where(*self._this(conversation)).values(sealed)
        result = await self._connection.execute(changed.returning(*CONVERSATION_COLUMNS))
        row = result.one_or_none()
        if row is None:
            raise _gone(conversation)
        return conversation_of(row, self._sealer)

    async def bin(self, conversation: Conversation, *, now: datetime) -> None:
        """Put a conversation into the bin.

        Raises:
            NotFound: it is there already, is gone, or is not the caller's.
        """
        live = update(conversations).where(*self._this(conversation), _c.deleted_at.is_(None))
        if (await self._connection.execute(live.values(deleted_at=now))).rowcount == 0:
            raise _gone(conversation)

    async def restore(self, conversation: Conversation, *, now: datetime) -> Conversation:  # noqa: ARG002 - to restore is no activity; the time is for a trail of who did what
        """Take a conversation out of the bin.

        Raises:
            Conflict: a live one has taken its name meanwhile.
            NotFound: it is not in the bin, is gone, or is not the caller's.
        """
        binned = (
            update(conversations)
            .where(*self._this(conversation), _c.deleted_at.is_not(None))
            .values(deleted_at=None)
        )
        taken = (
            f"A newer conversation has the session id {conversation.session_id!r}; delete "
            f"that one first, then restore this one by its id, with ?id={conversation.id}."
        )
        rows = await self._unless_taken(binned.returning(*CONVERSATION_COLUMNS), message=taken)
        if not rows:
            raise _gone(conversation)
        return conversation_of(rows[0], self._sealer)

    async def erase(
        self, conversation: Conversation, *, now: datetime, is_asked: bool = True
    ) -> int:
        """Delete a conversation, its messages and its calls for good; how many calls those were.

        The ids of the calls stay behind as tombstones, so that a journal that is read again does
        not bring them back. When somebody has asked for it (*is_asked*), calls that began before
        *now* and are not stored yet do not bring it back either.

        Raises:
            NotFound: it is gone, or not the caller's.
        """
        locked = select(_c.id).where(*self._this(conversation)).with_for_update()
        if (await self._connection.execute(locked)).first() is None:
            raise _gone(conversation)
        await remove_conversation(self._connection, conversation.id)
        # The messages go with it: the foreign key cascades.
        await self._connection.execute(delete(conversations).where(*self._this(conversation)))
        calls = (
            exchanges.c.workspace == self._caller.workspace,
            exchanges.c.conversation_id == conversation.id,
        )
        gone = await erase_calls(self._connection, *calls, now=now)
        if is_asked:
            await bury(self._connection, _names_of(conversation), now=now)
        return gone

    async def erase_life(self, conversation: Conversation, *, now: datetime) -> datetime:
        """Delete one of a session's lives for good; the moment up to which calls belong to it.

        A conversation that went to the bin ended there, and the next one of the name began: a call
        since then belongs to that one, and is stored even if it runs at this moment.

        Raises:
            NotFound: it is gone, or not the caller's.
        """
        until = conversation.deleted_at or now
        await wait_for_recorders(self._connection)
        await self.erase(conversation, now=now, is_asked=False)
        await bury(self._connection, _names_of(conversation), now=until, keeps_later=True)
        return until

    async def erase_session(self, conversation: Conversation, *, now: datetime) -> int:
        """Delete a session for good with all of its lives, also those in the bin; how many.

        One that was binned and begun anew is several conversations of one name. Whoever deletes the
        name for good means all that was ever said under it, and `restore` must not bring any back.

        Raises:
            NotFound: nothing is there of it, or it is not the caller's.
        """
        await wait_for_recorders(self._connection)
        lives = self._lives(conversation).with_for_update()
        found = (await self._connection.execute(lives)).all()
        if not found:
            raise _gone(conversation)
        for row in found:
            await self.erase(conversation_of(row, self._sealer), now=now)
        return len(found)

    async def long_lives(self, conversation: Conversation, *, above: int) -> list[Conversation]:
        """Those lives of a session, also in the bin, that have more messages than *above*."""
        long_ones = self._lives(conversation).where(_c.message_count > above)
        found = await self._connection.execute(long_ones)
        return [conversation_of(row, self._sealer) for row in found]

    async def clear(self, user_identifier: str, *, now: datetime) -> int:
        """Put all live conversations of a user into the bin; how many those were."""
        live = select(_c.id).where(
            self._mine, _c.user_identifier == user_identifier, _c.deleted_at.is_(None)
        )
        # An update by itself locks them as it finds them, and others lock in the order of ids.
        in_order = live.order_by(_c.id).with_for_update()
        binned = update(conversations).where(_c.id.in_(in_order), only_checked(self._mine))
        return (await self._connection.execute(binned.values(deleted_at=now))).rowcount

    async def _sealed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of a new row; they are sealed for its id, so it must be known before."""
        if self._sealer is None:
            return values
        (number,) = await reserve_ids(self._connection, conversations, 1)
        return seal_conversation({**values, "id": number}, number, self._sealer)

    def _this(self, conversation: Conversation) -> tuple[ColumnElement[bool], ...]:
        return (_c.id == conversation.id, self._mine)

    def _lives(self, one: Conversation) -> Select[Any]:
        """The conversations of a session, also those in the bin, oldest first."""
        is_life = (_c.session_id == one.session_id, _c.user_identifier == one.user_identifier)
        return select(*CONVERSATION_COLUMNS).where(self._mine, *is_life).order_by(_c.id)

    async def _last_deleted(self, wanted: Sequence[ColumnElement[bool]]) -> Sequence[AnyRow]:
        """Two rows at most: whether there is more than one is all that matters."""
        rows = select(*CONVERSATION_COLUMNS).where(*wanted)
        newest = rows.order_by(_c.deleted_at.desc(), _c.id.desc()).limit(2)
        return (await self._connection.execute(newest)).all()

    async def _refuse_several_users(
        self, session_id: str, wanted: Sequence[ColumnElement[bool]]
    ) -> None:
        users = select(_c.user_identifier).where(*wanted).distinct().order_by(_c.user_identifier)
        names = (await self._connection.execute(users.limit(NAMED_USERS + 1))).scalars().all()
        if len(names) < 2:
            return
        listed = ", ".join(repr(name) for name in names[:NAMED_USERS])
        more = " and others" if len(names) > NAMED_USERS else ""
        raise AmbiguousSession(
            f"Several users have a session {session_id!r}: {listed}{more}; "
            "add ?user_identifier= to choose one.",
            param="user_identifier",
        )

    async def _unless_taken(
        self,
        change: _Returning,
        *,
        message: str,
    ) -> Sequence[AnyRow]:
        """Run a change that the unique index of live sessions may refuse.

        The savepoint keeps the transaction usable: PostgreSQL gives up a whole transaction in which
        one statement failed.
        """
        try:
            async with self._connection.begin_nested():
                return (await self._connection.execute(change)).all()
        except IntegrityError as exc:
            raise Conflict(message, param="session_id") from exc


def _names_of(one: Conversation) -> Sequence[UUID]:
    """What `burials` calls it."""
    return burials_of(one.workspace, one.user_identifier, one.session_id)


def _gone(conversation: Conversation) -> NotFound:
    return NotFound(f"There is no conversation with the session id {conversation.session_id!r}.")
