"""Whether the hours of the call log are the sums of its calls, in sentences; changes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, select, true, union_all

from officeai_proxy.storage.calls.hours import CELL, TIME_CELL, sums_of, times_of
from officeai_proxy.storage.calls.numbers import HOUR_SECONDS, NUMBERS
from officeai_proxy.storage.tables import call_hour_times, call_hours, exchanges


def hour_faults(connection: Connection, *, told: int) -> list[str]:
    """Hours that are not the sums of their calls, a sentence each, *told* of each kind at most."""
    counted = sums_of(exchanges)
    timed = times_of(exchanges, true())
    numbers = _differing(call_hours, counted, (*CELL, *NUMBERS))
    times = _differing(call_hour_times, timed, (*TIME_CELL, "calls"))
    faults = [_told("numbers", row) for row in connection.execute(numbers.limit(told))]
    return faults + [_told("times", row) for row in connection.execute(times.limit(told))]


def _differing(kept: Table, counted: Select[Any], names: Sequence[str]) -> Select[Any]:
    """Where one of both has a row that the other one has not."""
    found = counted.order_by(None).cte("counted")
    ours, theirs = select(*(kept.c[name] for name in names)), select(*(found.c[n] for n in names))
    only = union_all(
        select(ours.except_(theirs).subquery()), select(theirs.except_(ours).subquery())
    ).subquery("only")
    places = [only.c[name] for name in CELL]
    return select(*places).distinct().order_by(*places)


def _told(what: str, row: Any) -> str:
    begin = datetime.fromtimestamp(row.hour * HOUR_SECONDS, UTC)
    whose = f" of the {row.dimension} {row.name!r}" if row.name else ""
    return (
        f"the {what}{whose} in the hour from {begin:%Y-%m-%d %H:%M} are not those of its calls, "
        f"in the workspace {row.workspace!r}"
    )
