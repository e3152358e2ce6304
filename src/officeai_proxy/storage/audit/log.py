"""Every query over the audit log: rows are added to its end, listed, struck of names, cut off.

Whoever adds a row locks the log's head until their transaction ends, so it is added last. What is
listed is inside one caller's walls.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import Unavailable
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Event, Row, row_of
from officeai_proxy.storage.conditions import where_given
from officeai_proxy.storage.paging import Page, PageRequest, cut, newest_first
from officeai_proxy.storage.rows import AnyRow
from officeai_proxy.storage.tables import audit_head, audit_log
from officeai_proxy.storage.walls import inside

_LISTING = "audit"

_a = audit_log.c


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends: how many rows were ever written, and the hash of the last."""

    count: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows are wanted. `after` includes its moment, `before` does not.

    `user` finds the rows that name a user, and those that prove that this user was erased.
    """

    actor: str | None = None
    action: str | None = None
    user: str | None = None
    after: datetime | None = None
    before: datetime | None = None


async def append(connection: AsyncConnection, *events: Event) -> None:
    """Add *events* to the end of the log, as a part of the transaction of *connection*.

    Raises:
        Unavailable: the log has lost its end, and nothing can be added.
    """
    head = await locked_head(connection)
    rows = []
    for event in events:
        row = row_of(event, number=head.count + 1, previous=head.hash)
        head = Head(row.id, row.hash)
        rows.append({name: getattr(row, name) for name in _COLUMNS})
    await connection.execute(insert(audit_log), rows)
    await connection.execute(update(audit_head).values(count=head.count, hash=head.hash))


async def locked_head(connection: AsyncConnection) -> Head:
    """The end of the chain, which nobody else can move before this transaction ends."""
    head = await read_head(connection, is_locked=True)
    if head is None:
        raise Unavailable(
            "The audit log has lost its end, so nothing can be added to it; whoever runs this "
            "proxy: look at it with `officeai-proxy audit verify`."
        )
    return head


async def read_head(connection: AsyncConnection, *, is_locked: bool = False) -> Head | None:
    """The end of the chain; None when somebody has deleted it."""
    wanted = select(audit_head.c.count, audit_head.c.hash)
    found = await connection.execute(wanted.with_for_update() if is_locked else wanted)
    row = found.first()
    return None if row is None else Head(row[0], row[1])


async def anonymise(connection: AsyncConnection, *, workspace: str, user: str) -> int:
    """Strike the names out of all rows about *user* for good; how many those were."""
    about = update(audit_log).where(_a.workspace == workspace, _a.user_identifier == user)
    struck = about.values(user_identifier=None, target=None, names_salt=None)
    return (await connection.execute(struck)).rowcount


async def cut_off(
    connection: AsyncConnection, *, before: datetime, limit: int
) -> dict[str, str | int]:
    """Delete at most *limit* of the oldest rows, those from before *before*; how many, and more.

    What is given back belongs into the row about it, from which the chain then goes on: see
    `storage/audit/verification.py`. Nothing is given when nothing was deleted.
    """
    await locked_head(connection)
    oldest = await connection.scalar(select(func.min(_a.id)))
    if oldest is None:
        return {}
    younger = select(_a.id).where(_a.at >= before, _a.id < oldest + limit).order_by(_a.id).limit(1)
    end = await connection.scalar(younger)
    last = oldest + limit - 1 if end is None else cast("int", end) - 1
    old = select(audit_log).where(_a.id <= last).order_by(_a.id)
    rows = [row_from(row) for row in await connection.execute(old)]
    if not rows:
        return {}
    is_checkpoint = _a.action == Action.PRUNE_AUDIT.value
    newest = select(audit_log).where(is_checkpoint).order_by(_a.id.desc()).limit(1)
    checkpoint = (await connection.execute(newest)).first()
    owed = 0 if checkpoint is None else int(detail_of(row_from(checkpoint)).get("owed", 0))
    owed += sum(anonymised_by(row) - row.is_anonymised for row in rows)
    await connection.execute(delete(audit_log).where(_a.id <= rows[-1].id))
    end_of_them: dict[str, str | int] = {"through": rows[-1].id, "hash": rows[-1].hash.hex()}
    return {"rows": len(rows), "owed": owed, **end_of_them}


def anonymised_by(row: Row) -> int:
    """How many rows were struck of their names when *row* was written."""
    return int(detail_of(row).get("anonymised", 0)) if row.action == Action.ERASE_USER else 0


def detail_of(row: Row) -> dict[str, Any]:
    """The detail of *row*."""
    return cast("dict[str, Any]", json.loads(row.detail)) if row.detail else {}


def row_from(found: AnyRow) -> Row:
    """A row of `audit_log` as a value."""
    return Row(**{name: getattr(found, name) for name in _COLUMNS})


class AuditRepository:
    """The rows that one caller may see; a caller bound to a user sees those about that user."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, audit_log)

    async def page(self, wanted: AuditFilter, page: PageRequest) -> Page[Row]:
        """A page of rows, newest first.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        conditions = [self._mine, *await self._conditions(wanted)]
        rows = select(audit_log).where(*conditions)
        limited = newest_first(rows, page, _LISTING, _a.at, _a.id)
        found = (await self._connection.execute(limited)).all()
        shown, cursor = cut(found, page, _LISTING, lambda row: (row.at, row.id))
        total = select(func.count()).select_from(audit_log).where(*conditions)
        return Page(
            items=[row_from(row) for row in shown],
            next_cursor=cursor,
            total=(await self._connection.execute(total)).scalar_one(),
        )

    async def _conditions(self, wanted: AuditFilter) -> Sequence[ColumnElement[bool]]:
        conditions = where_given(
            (wanted.actor, _a.actor.__eq__),
            (wanted.action, _a.action.__eq__),
            (wanted.after, _a.at.__ge__),
            (wanted.before, _a.at.__lt__),
        )
        if wanted.user is not None:
            is_named = _a.user_identifier == wanted.user
            # There are hardly ever any, and a condition with an OR has no use for an index.
            proofs = await self._proofs(wanted.user)
            conditions.append(or_(is_named, _a.id.in_(proofs)) if proofs else is_named)
        return conditions

    async def _proofs(self, user: str) -> Sequence[int]:
        """The rows which say that *user* was erased; they do so only to who knows the name."""
        sealed = select(audit_log).where(
            self._mine, _a.action == Action.ERASE_USER.value, _a.is_sealed
        )
        rows = [row_from(row) for row in await self._connection.execute(sealed)]
        return [row.id for row in rows if row.is_about(user, user)]


_COLUMNS = [column.name for column in fields(Row)]
