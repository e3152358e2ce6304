"""Every query over the call log, inside one caller's walls; numbers and names, never content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import Caller, CallRecord
from officeai_proxy.storage.paging import PageRequest, Stretch, make_cursor, read_cursor
from officeai_proxy.storage.rows import call_of
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.storage.walls import inside

_LISTING = "calls"

_x = exchanges.c


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are wanted. `model` is the one asked for or served, `api` the path.

    `after` includes its moment, `before` does not.
    """

    user: str | None = None
    session: str | None = None
    model: str | None = None
    outcome: str | None = None
    api: str | None = None
    exchange_id: str | None = None
    status: int | None = None
    after: datetime | None = None
    before: datetime | None = None


class CallRepository:
    """The calls that one caller may see; a caller bound to a user sees that user's only."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, exchanges)

    async def page(self, wanted: CallFilter, page: PageRequest) -> Stretch[CallRecord]:
        """A page of calls, newest first; not counted, because a log of millions takes long to.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        rows = select(exchanges).where(self._mine, *_conditions(wanted))
        if page.cursor is not None:
            rows = rows.where(_before(page.cursor))
        newest = rows.order_by(_x.started_at.desc(), _x.id.desc())
        limited = newest.limit(page.limit + 1).offset(page.offset)
        found = (await self._connection.execute(limited)).all()
        shown = found[: page.limit]
        has_more = len(found) > page.limit
        cursor = make_cursor(_LISTING, (shown[-1].started_at, shown[-1].id)) if has_more else None
        return Stretch(items=[call_of(row) for row in shown], has_more=has_more, next_cursor=cursor)


def _conditions(wanted: CallFilter) -> Sequence[ColumnElement[bool]]:
    tests: list[tuple[object, Callable[[Any], ColumnElement[bool]]]] = [
        (wanted.user, _x.user_identifier.__eq__),
        (wanted.session, _x.session_id.__eq__),
        (wanted.model, _has_model),
        (wanted.outcome, _x.outcome.__eq__),
        (wanted.api, _x.path.__eq__),
        (wanted.exchange_id, _has_id),
        (wanted.status, _has_status),
        (wanted.after, _x.started_at.__ge__),
        (wanted.before, _x.started_at.__lt__),
    ]
    return [test(value) for value, test in tests if value is not None]


def _has_model(model: str) -> ColumnElement[bool]:
    return or_(_x.model_asked == model, _x.model_served == model)


def _has_id(text: str) -> ColumnElement[bool]:
    """What is no UUID is the id of no call."""
    try:
        return _x.exchange_id == UUID(text)
    except ValueError:
        return false()


def _has_status(status: int) -> ColumnElement[bool]:
    """A number that the column cannot hold is the status of no call."""
    return _x.status_code == status if 0 <= status < 2**31 else false()


def _before(cursor: str) -> ColumnElement[bool]:
    moment, row_id = read_cursor(cursor, _LISTING, (datetime, int))
    last = tuple_(literal(moment, _x.started_at.type), literal(row_id, _x.id.type))
    return tuple_(_x.started_at, _x.id) < last
