"""Where the numbers of calls come from: the sums per hour, the log itself, or both; builds SQL.

Sums per hour answer what asks for whole hours of a workspace, of its models or of its keys. What is
asked for beyond that, and the parts of hours at both ends, comes from the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from officeai_proxy.model import Caller
from officeai_proxy.storage.calls.filter import CallFilter, conditions_of
from officeai_proxy.storage.calls.hours import ALL, KEY, LATENCY, MODEL, TTFT
from officeai_proxy.storage.calls.numbers import (
    HOUR_SECONDS,
    NUMBERS,
    epoch_seconds,
    model_of,
    numbers_of,
    time_bucket,
)
from officeai_proxy.storage.tables import call_hour_times, call_hours, exchanges
from officeai_proxy.storage.walls import inside

DAY_HOURS = 24

_x = exchanges.c
_LAST_HOUR = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp()) // HOUR_SECONDS


class GroupBy(StrEnum):
    """What calls are put together by."""

    DAY = "day"
    HOUR = "hour"
    MODEL = "model"
    USER = "user"
    SESSION = "session"
    KEY = "key"

    @property
    def is_time(self) -> bool:
        """Whether a group is a stretch of time."""
        return self in (GroupBy.DAY, GroupBy.HOUR)


_DIMENSIONS = {
    None: ALL,
    GroupBy.DAY: ALL,
    GroupBy.HOUR: ALL,
    GroupBy.MODEL: MODEL,
    GroupBy.KEY: KEY,
}


_NAMED: dict[GroupBy | None, ColumnElement[str]] = {
    GroupBy.USER: _x.user_identifier,
    GroupBy.SESSION: _x.session_id,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """The calls that *caller* may see and that are *wanted*, in groups; without *by*, in one.

    Days and hours begin at whole ones *ahead* of UTC, as they do in time zones. Of users or of
    sessions, only those of *names* are looked at, if there are any.
    """

    caller: Caller
    wanted: CallFilter
    by: GroupBy | None
    ahead: timedelta = timedelta(0)
    names: Sequence[str] = ()

    def numbers(self) -> FromClause:
        """Rows of a `key` and NUMBERS; a key may be there several times."""
        parts = []
        if self._is_by_hours:
            columns = [call_hours.c[name] for name in NUMBERS]
            hours = select(self._key_of_hours(call_hours).label("key"), *columns)
            parts.append(hours.where(*self._hours(call_hours)))
        if self._log_conditions is not None:
            numbers = numbers_of(_x)
            added = [func.sum(numbers[name]).label(name) for name in NUMBERS]
            log = select(self._key_of_call().label("key"), *added)
            parts.append(log.where(*self._log_conditions).group_by(*self._grouped()))
        return union_all(*parts).subquery("facts")

    def times(self) -> FromClause:
        """Rows of `key`, `measure`, `bucket` and `calls`."""
        parts: list[Select[Any]] = []
        if self._is_by_hours:
            h = call_hour_times.c
            named = self._key_of_hours(call_hour_times).label("key")
            hours = select(named, h.measure, h.bucket, h.calls)
            parts.append(hours.where(*self._hours(call_hour_times)))
        if self._log_conditions is not None:
            for measure, ms in ((LATENCY, _x.latency_ms), (TTFT, _x.ttft_ms)):
                key, bucket = self._key_of_call(), time_bucket(ms)
                number = literal_column(str(measure), Integer()).label("measure")
                columns = (key.label("key"), number, bucket.label("bucket"))
                counted = select(*columns, func.count().label("calls"))
                ours = counted.where(*self._log_conditions, ms.is_not(None))
                parts.append(ours.group_by(*self._grouped(), bucket))
        return union_all(*parts).subquery("facts")

    @property
    def _bounds(self) -> tuple[int | None, int | None]:
        """The first of the whole hours that are asked for, and the first behind them."""
        after, before = self.wanted.after, self.wanted.before
        first = None if after is None else -(-_seconds(after, up=True) // HOUR_SECONDS)
        last = None if before is None else _seconds(before) // HOUR_SECONDS
        return first, last

    @property
    def _is_by_hours(self) -> bool:
        if self.by not in _DIMENSIONS or self.caller.user is not None:
            return False
        first, last = self._bounds
        is_empty = first is not None and last is not None and first >= last
        # Rounded up, the last moments that a date can say are in an hour that none can.
        is_empty |= first is not None and first > _LAST_HOUR
        is_split = self.ahead % timedelta(hours=1) and self.by is not None and self.by.is_time
        return self.wanted.names_only_times and not is_empty and not is_split

    @property
    def _log_conditions(self) -> Sequence[ColumnElement[bool]] | None:
        """What of the log is needed; None for nothing."""
        conditions = [inside(self.caller, exchanges), *conditions_of(self.wanted)]
        if (column := _NAMED.get(self.by)) is not None and self.names:
            unnamed = [column.is_(None)] if "" in self.names else []
            conditions.append(or_(column.in_(self.names), *unnamed))
        if not self._is_by_hours:
            return conditions
        first, last = self._bounds
        edges = []
        if first is not None and _moment(first) != self.wanted.after:
            edges.append(_x.started_at < _moment(first))
        if last is not None and _moment(last) != self.wanted.before:
            edges.append(_x.started_at >= _moment(last))
        return [*conditions, or_(*edges)] if edges else None

    def _hours(self, hours: FromClause) -> Sequence[ColumnElement[bool]]:
        first, last = self._bounds
        conditions = [
            hours.c.workspace == self.caller.workspace,
            hours.c.dimension == _DIMENSIONS[self.by],
        ]
        if first is not None:
            conditions.append(hours.c.hour >= first)
        if last is not None:
            conditions.append(hours.c.hour < last)
        return [and_(*conditions)]

    def _key_of_hours(self, hours: FromClause) -> ColumnElement[Any]:
        if self.by is None or not self.by.is_time:
            return hours.c.name
        local = hours.c.hour + _whole(self.ahead // timedelta(hours=1))
        return local // _whole(DAY_HOURS) if self.by is GroupBy.DAY else local

    def _grouped(self) -> Sequence[ColumnElement[Any]]:
        """What calls of the log are put together by: a column itself where an index has it.

        PostgreSQL groups by no constant, which the key of all calls together is.
        """
        if self.by is None:
            return ()
        column = _NAMED.get(self.by)
        return (self._key_of_call() if column is None else column,)

    def _key_of_call(self) -> ColumnElement[Any]:
        nothing = literal_column("''", String())
        match self.by:
            case None:
                return nothing
            case GroupBy.MODEL:
                return model_of(_x)
            case GroupBy.KEY:
                return _x.key_id
            case GroupBy.USER | GroupBy.SESSION:
                return func.coalesce(_NAMED[self.by], nothing)
        hours = DAY_HOURS if self.by is GroupBy.DAY else 1
        local = epoch_seconds(_x.started_at) + _whole(int(self.ahead.total_seconds()))
        return local // _whole(hours * HOUR_SECONDS)


def _whole(number: int) -> ColumnElement[int]:
    return literal_column(f"({number})", Integer())


def _seconds(moment: datetime, *, up: bool = False) -> int:
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole + 1 if up and moment.microsecond else whole


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_SECONDS, UTC)
