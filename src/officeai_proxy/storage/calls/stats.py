"""Statistics of calls, inside one caller's walls: how many, how they went, how long, how dear."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import EPOCH, Caller, iso_text
from officeai_proxy.storage.calls.facts import Facts, GroupBy
from officeai_proxy.storage.calls.filter import CallFilter
from officeai_proxy.storage.calls.hours import LATENCY
from officeai_proxy.storage.calls.numbers import NANO, NUMBERS
from officeai_proxy.storage.calls.times import Times
from officeai_proxy.storage.paging import Key, PageRequest, Stretch, cut, read_cursor

__all__ = ["CallStats", "GroupBy", "GroupStats", "StatsPage", "StatsRepository"]

_LENGTHS = {GroupBy.DAY: timedelta(days=1), GroupBy.HOUR: timedelta(hours=1)}


@dataclass(slots=True)
class CallStats:
    """What some calls add up to. Costs are known of `priced_calls` of them."""

    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    priced_calls: int = 0
    cost_nano: int = 0
    latency: Times = field(default_factory=Times)
    ttft: Times = field(default_factory=Times)

    @property
    def cost(self) -> float | None:
        """US dollars; None when the cost of no call is known."""
        return self.cost_nano / NANO if self.priced_calls else None

    def add(self, other: "CallStats") -> None:
        """Add the calls of *other*."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latency.update(other.latency)
        self.ttft.update(other.ttft)


@dataclass(frozen=True, slots=True)
class GroupStats:
    """One group; `key` is None for calls of which it is not known."""

    key: str | None
    stats: CallStats


@dataclass(frozen=True, slots=True)
class StatsPage:
    """Some of the groups, and all calls together."""

    groups: Stretch[GroupStats]
    total: CallStats


class StatsRepository:
    """The statistics that one caller may see; a caller bound to a user sees that user's only."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._caller = caller

    async def page(
        self, wanted: CallFilter, page: PageRequest, *, by: GroupBy, ahead: timedelta = timedelta(0)
    ) -> StatsPage:
        """A page of groups: the latest times first, or the names with most calls first.

        Days and hours are those of a clock that is *ahead* of UTC.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        facts = Facts(self._caller, wanted, by, ahead)
        rows = (await self._connection.execute(_groups(facts.numbers(), by, page))).all()
        some, cursor = cut(rows, page, _listing(by), lambda row: _keys(row, by))
        shown = {row.key: _stats(row) for row in some}
        if shown:
            await self._add_times(_narrowed(facts, list(shown)), shown)
        groups = Stretch(
            items=[GroupStats(_name(key, by, ahead), stats) for key, stats in shown.items()],
            next_cursor=cursor,
        )
        is_whole = cursor is None and page.cursor is None and not page.offset
        total = _together(shown.values()) if is_whole else await self._total(wanted)
        return StatsPage(groups, total)

    async def _total(self, wanted: CallFilter) -> CallStats:
        facts = Facts(self._caller, wanted, None)
        numbers = facts.numbers()
        row = (await self._connection.execute(select(*_sums(numbers)))).one()
        stats = _stats(row)
        times = facts.times()
        rows = select(*_time_columns(times)).group_by(times.c.measure, times.c.bucket)
        for measure, bucket, calls in await self._connection.execute(rows):
            _times_of(stats, measure)[bucket] += int(calls)
        return stats

    async def _add_times(self, facts: Facts, shown: dict[Any, CallStats]) -> None:
        times = facts.times()
        rows = select(times.c.key, *_time_columns(times)).where(times.c.key.in_(list(shown)))
        grouped = rows.group_by(times.c.key, times.c.measure, times.c.bucket)
        for key, measure, bucket, calls in await self._connection.execute(grouped):
            if key in shown:
                _times_of(shown[key], measure)[bucket] += int(calls)


def _groups(facts: FromClause, by: GroupBy, page: PageRequest) -> Select[Any]:
    key, calls = facts.c.key, func.sum(facts.c.calls)
    groups = select(key, *_sums(facts)).group_by(key).limit(page.limit + 1).offset(page.offset)
    if by.is_time:
        if page.cursor is not None:
            (last,) = read_cursor(page.cursor, _listing(by), (int,))
            groups = groups.where(key < last)
        return groups.order_by(key.desc())
    if page.cursor is not None:
        count, name = read_cursor(page.cursor, _listing(by), (int, str))
        groups = groups.having(or_(calls < count, and_(calls == count, key > name)))
    return groups.order_by(calls.desc(), key)


def _sums(facts: FromClause) -> Sequence[ColumnElement[Any]]:
    return [func.sum(facts.c[name]).label(name) for name in NUMBERS]


def _time_columns(times: FromClause) -> Sequence[ColumnElement[Any]]:
    return [times.c.measure, times.c.bucket, func.sum(times.c.calls)]


def _stats(row: Any) -> CallStats:
    """PostgreSQL gives sums as decimals, and the sum of nothing is null."""
    stats = CallStats()
    for name in NUMBERS:
        setattr(stats, name, int(getattr(row, name) or 0))
    return stats


def _times_of(stats: CallStats, measure: int) -> Times:
    return stats.latency if measure == LATENCY else stats.ttft


def _together(parts: Iterable[CallStats]) -> CallStats:
    total = CallStats()
    for part in parts:
        total.add(part)
    return total


def _narrowed(facts: Facts, keys: Sequence[Any]) -> Facts:
    """The same facts of some names, or between some times, so that no others are read."""
    if facts.by is None or not facts.by.is_time:
        return replace(facts, names=keys)
    begin = _begin_of(min(keys), facts.by, facts.ahead)
    end = _begin_of(max(keys) + 1, facts.by, facts.ahead)
    after, before = facts.wanted.after, facts.wanted.before
    wanted = replace(
        facts.wanted,
        after=begin if after is None else max(after, begin),
        before=end if before is None else min(before, end),
    )
    return replace(facts, wanted=wanted)


def _begin_of(key: int, by: GroupBy, ahead: timedelta) -> datetime:
    return EPOCH + key * _LENGTHS[by] - ahead


def _name(key: Any, by: GroupBy, ahead: timedelta) -> str | None:
    if not by.is_time:
        return key or None
    local = _begin_of(key, by, ahead).astimezone(timezone(ahead))
    if by is GroupBy.DAY:
        return local.date().isoformat()
    return iso_text(local)


def _keys(row: Any, by: GroupBy) -> Sequence[Key]:
    """The sort keys of a group."""
    return (row.key,) if by.is_time else (int(row.calls), row.key)


def _listing(by: GroupBy) -> str:
    return f"stats-{by.value}"
