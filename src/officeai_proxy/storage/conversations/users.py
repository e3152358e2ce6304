"""Every query over users, inside one caller's walls: who there is, and erasing one of them.

A user is whoever has a conversation, in the bin or not; there is no table of users.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, and_, case, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller, Conversation, UserSummary
from officeai_proxy.storage.conversations.burials import erase_calls
from officeai_proxy.storage.paging import Page, PageRequest, cut, read_cursor
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS, AnyRow, conversation_of
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import audit_log, conversations, exchanges
from officeai_proxy.storage.walls import inside, only_checked

_LISTING = "users"

UnnamedCall: TypeAlias = tuple[datetime, int]
"""When a call that names nobody began, and its id."""

_c = conversations.c
_x = exchanges.c
_a = audit_log.c

_is_live = _c.deleted_at.is_(None)
_SUMMARY = (
    _c.user_identifier,
    func.sum(case((_is_live, 1), else_=0)).label("conversations"),
    func.sum(case((_is_live, _c.message_count), else_=0)).label("messages"),
    func.count(_c.deleted_at).label("binned"),
    func.min(_c.created_at).label("first_seen_at"),
    func.max(_c.updated_at).label("last_active_at"),
)


class UserRepository:
    """The users whom one caller may see; a caller bound to a user sees that one only."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, conversations)
        self._my_calls = inside(caller, exchanges)
        self._my_calls_by_id = only_checked(self._my_calls)
        self._my_audit = inside(caller, audit_log)

    async def page(self, page: PageRequest) -> Page[UserSummary]:
        """A page of users, by name.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        names = select(func.count(_c.user_identifier.distinct()), func.count()).where(self._mine)
        total, count = (await self._connection.execute(names)).one()
        takes_all = page.cursor is None and total <= page.limit and await self._is_most(count)
        mine = only_checked(self._mine) if takes_all else self._mine
        rows = select(*_SUMMARY).where(mine).group_by(_c.user_identifier)
        if page.cursor is not None:
            (last,) = read_cursor(page.cursor, _LISTING, (str,))
            rows = rows.where(_c.user_identifier > last)
        limited = rows.order_by(_c.user_identifier).limit(page.limit + 1).offset(page.offset)
        found = (await self._connection.execute(limited)).all()
        shown, cursor = cut(found, page, _LISTING, lambda row: (row.user_identifier,))
        return Page(items=[_summary(row) for row in shown], next_cursor=cursor, total=total)

    async def _is_most(self, count: int) -> bool:
        """Whether SQLite reads *count* conversations faster one after the other, with all others.

        By users they lie all over the file: 100,000 of them take a second, and all in their order a
        quarter of it. PostgreSQL knows that by itself.
        """
        if self._connection.dialect.name != "sqlite":
            return False
        last: int | None = (await self._connection.execute(select(func.max(_c.id)))).scalar_one()
        return 4 * count > (last or 0)

    async def find(self, user: str) -> UserSummary:
        """What is there of *user*.

        Raises:
            NotFound: nothing is, or it is not the caller's to see.
        """
        rows = select(*_SUMMARY).where(self._mine, _c.user_identifier == user)
        row = (await self._connection.execute(rows.group_by(_c.user_identifier))).one_or_none()
        if row is None:
            raise NotFound(f"There is no user {user!r} in this workspace.", param="user")
        return _summary(row)

    async def check_known(self, user: str) -> None:
        """Make sure that there is something of *user*: a conversation, a line of the call log, or
        the name in the audit log, which stays when the others were deleted or became too old.

        Raises:
            NotFound: nothing is, or it is not the caller's to see.
        """
        some = select(_c.id).where(self._mine, _c.user_identifier == user).limit(1)
        call = select(_x.id).where(self._my_calls, _x.user_identifier == user).limit(1)
        name = select(_a.id).where(self._my_audit, _a.user_identifier == user).limit(1)
        # What takes longest comes last.
        for wanted in (some, call, name, self._unnamed(user).limit(1)):
            if (await self._connection.execute(wanted)).first() is not None:
                return
        raise NotFound(f"There is no user {user!r} in this workspace.", param="user")

    async def some_conversations(self, user: str, *, limit: int) -> list[Conversation]:
        """The first of *user*'s conversations, in the bin or not, locked in the order of ids."""
        rows = select(*CONVERSATION_COLUMNS).where(self._mine, _c.user_identifier == user)
        # The recorder locks in the same order, and before anything else, so that neither waits for
        # what the other has.
        locked = rows.order_by(_c.id).limit(limit).with_for_update()
        sealer = sealer_of(self._connection)
        return [conversation_of(row, sealer) for row in await self._connection.execute(locked)]

    async def long_conversations(self, user: str, *, above: int) -> list[Conversation]:
        """Those of *user*'s conversations, in the bin or not, that have more messages than that."""
        is_long = (_c.user_identifier == user, _c.message_count > above)
        rows = select(*CONVERSATION_COLUMNS).where(self._mine, *is_long).order_by(_c.id)
        sealer = sealer_of(self._connection)
        return [conversation_of(row, sealer) for row in await self._connection.execute(rows)]

    async def erase_calls(self, user: str, *, limit: int, now: datetime) -> int:
        """Delete at most *limit* lines of the call log that name *user*; how many there were."""
        some = select(_x.id).where(self._my_calls, _x.user_identifier == user).limit(limit)
        ids = (await self._connection.execute(some)).scalars().all()
        return await self._erase(ids, now=now)

    async def unnamed_calls(
        self, address: str, *, behind: UnnamedCall | None, limit: int
    ) -> list[UnnamedCall]:
        """The next calls from *address* that name nobody, whose user the address is; oldest first.

        No index knows addresses, so that all calls without a user are looked at. Nobody should have
        to wait for that: it is asked outside of a transaction that writes.
        """
        rows = self._unnamed(address).order_by(_x.started_at, _x.id).limit(limit)
        if behind is not None:
            last = tuple_(literal(behind[0], _x.started_at.type), literal(behind[1], _x.id.type))
            rows = rows.where(tuple_(_x.started_at, _x.id) > last)
        return [(row.started_at, row.id) for row in await self._connection.execute(rows)]

    async def erase_unnamed(self, calls: Sequence[UnnamedCall], *, now: datetime) -> int:
        """Delete *calls*, which `unnamed_calls` found; how many were still there."""
        return await self._erase([number for _, number in calls], now=now)

    async def _erase(self, ids: Sequence[int], *, now: datetime) -> int:
        return await erase_calls(self._connection, self._my_calls_by_id, _x.id.in_(ids), now=now)

    def _unnamed(self, address: str) -> Select[Any]:
        """Calls that name nobody, from *address*, which is their user."""
        is_theirs = and_(_x.user_identifier.is_(None), _x.client_ip == address)
        return select(_x.started_at, _x.id).where(self._my_calls, is_theirs)


def _summary(row: AnyRow) -> UserSummary:
    return UserSummary(
        user_identifier=row.user_identifier,
        conversations=int(row.conversations),
        messages=int(row.messages),
        binned=int(row.binned),
        first_seen_at=row.first_seen_at,
        last_active_at=row.last_active_at,
    )
