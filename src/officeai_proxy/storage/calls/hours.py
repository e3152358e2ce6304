"""The call log added up per hour: whoever adds calls counts them here, in the same transaction.

Hours are kept for a workspace as a whole, for each model and for each key. What is deleted from the
log, by whomever and in whatever way, is taken off by a trigger. There is no user and no session in
these tables, so that erasing a person leaves nothing of them here.

Rows are locked in one order everywhere, that of the primary key: recorders of several hosts write
the same hour at once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Insert,
    Integer,
    Label,
    Select,
    String,
    Table,
    case,
    column,
    func,
    literal_column,
    select,
    table,
    true,
    union_all,
)

from officeai_proxy.model import CallRecord
from officeai_proxy.storage.calls.numbers import (
    HOUR_SECONDS,
    NUMBERS,
    bucket_of,
    hour_of,
    model_in,
    model_of,
    numbers_in,
    numbers_of,
    time_bucket,
)
from officeai_proxy.storage.engine.bulk import BulkStatement
from officeai_proxy.storage.engine.upsert import upsert
from officeai_proxy.storage.tables import call_hour_times, call_hours, exchanges

ALL, MODEL, KEY = "all", "model", "key"
LATENCY, TTFT = 0, 1

CELL = ("workspace", "dimension", "hour", "name")
TIME_CELL = (*CELL, "measure", "bucket")
_Cell: TypeAlias = tuple[str, str, int, str]
_TimeCell: TypeAlias = tuple[str, str, int, str, int, int]


def add(connection: Connection, these: ColumnElement[bool]) -> None:
    """Count the calls of the log for which *these* holds; they must not be counted yet."""
    dialect = connection.dialect.name
    connection.execute(_adding(call_hours, sums_of(exchanges).where(these), NUMBERS, dialect))
    connection.execute(_adding(call_hour_times, times_of(exchanges, these), ("calls",), dialect))


def count(connection: Connection, calls: Iterable[CallRecord]) -> None:
    """Count *calls*, which are written in the same transaction: as `add`, without reading them."""
    dialect = connection.dialect.name
    sums: dict[_Cell, list[int]] = {}
    times: Counter[_TimeCell] = Counter()
    for (workspace, hour, model, key), some in _alike(calls).items():
        each = [numbers_in(call, dialect=dialect) for call in some]
        numbers = [*map(sum, zip(*each, strict=True))]
        spans = Counter((LATENCY, bucket_of(call.latency_ms)) for call in some)
        spans.update((TTFT, bucket_of(c.ttft_ms)) for c in some if c.ttft_ms is not None)
        for dimension, name in ((ALL, ""), (MODEL, model), (KEY, key)):
            cell = (workspace, dimension, hour, name)
            held = sums.get(cell)
            sums[cell] = numbers if held is None else [*map(int.__add__, held, numbers)]
            for span, calls_of_it in spans.items():
                times[*cell, *span] += calls_of_it
    # In the order of the primary key, as everybody else.
    _add_hours(dialect).run(connection, [(*cell, *sums[cell]) for cell in sorted(sums)])
    _add_times(dialect).run(connection, [(*cell, times[cell]) for cell in sorted(times)])


def _alike(calls: Iterable[CallRecord]) -> dict[tuple[str, int, str, str], list[CallRecord]]:
    """The calls that count in the same hours: a batch has many, and few kinds of them."""
    alike: defaultdict[tuple[str, int, str, str], list[CallRecord]] = defaultdict(list)
    for call in calls:
        hour = int(call.started_at.timestamp()) // HOUR_SECONDS
        alike[call.workspace, hour, model_in(call), call.key_id].append(call)
    return alike


def triggers(dialect: Dialect) -> Sequence[str]:
    """The statements that make deleted calls be taken off."""
    return _sqlite_trigger(dialect) if dialect.name == "sqlite" else _postgresql_trigger(dialect)


def no_triggers(dialect: Dialect) -> Sequence[str]:
    """The statements that undo `triggers`."""
    if dialect.name == "sqlite":
        return ("DROP TRIGGER call_hours_take_off",)
    return (
        "DROP TRIGGER call_hours_take_off ON exchanges",
        "DROP FUNCTION call_hours_take_off()",
    )


def sums_of(calls: FromClause) -> Select[Any]:
    """What *calls*, with the columns of the log, add up to: the columns of `call_hours`."""
    numbers = numbers_of(calls.c)
    everything, cell = _cells(calls)
    added = [func.sum(numbers[name]).label(name) for name in NUMBERS]
    return select(*cell, *added).select_from(everything).group_by(*cell).order_by(*cell)


def times_of(calls: FromClause, these: ColumnElement[bool]) -> Select[Any]:
    """The times of those of *calls* for which *these* holds: the columns of `call_hour_times`."""
    everything, cell = _cells(calls)
    parts = [
        select(*cell, _number(measure).label("measure"), time_bucket(ms).label("bucket"))
        .select_from(everything)
        .where(these, ms.is_not(None))
        for measure, ms in ((LATENCY, calls.c.latency_ms), (TTFT, calls.c.ttft_ms))
    ]
    each = union_all(*parts).subquery("each_time")
    return select(*each.c, func.count().label("calls")).group_by(*each.c).order_by(*each.c)


def _cells(calls: FromClause) -> tuple[FromClause, list[Label[Any]]]:
    """The calls, each three times, and the columns of the cell that each time counts in."""
    kinds = union_all(*(select(_text(word).label("dimension")) for word in (ALL, MODEL, KEY)))
    kind = kinds.subquery("kinds")
    name = case(
        (kind.c.dimension == _text(ALL), _text("")),
        (kind.c.dimension == _text(MODEL), model_of(calls.c)),
        else_=calls.c.key_id,
    )
    cell = [calls.c.workspace, kind.c.dimension, hour_of(calls.c), name]
    labelled = [one.label(label) for one, label in zip(cell, CELL, strict=True)]
    return calls.join(kind, true()), labelled


def _adding(into: Table, rows: Select[Any], numbers: Sequence[str], dialect: str) -> Insert:
    names = [one.name for one in rows.selected_columns]
    # Without WHERE, SQLite would take ON CONFLICT for a condition of a join.
    found = rows.where(true()) if dialect == "sqlite" else rows
    return _counting(into, numbers, dialect).from_select(names, found)


def _counting(into: Table, numbers: Sequence[str], dialect: str) -> Insert:
    new = upsert(into, dialect)
    return new.on_conflict_do_update(
        index_elements=list(into.primary_key.columns),
        set_={name: into.c[name] + new.excluded[name] for name in numbers},
    )


@cache
def _add_hours(dialect: str) -> BulkStatement:
    return BulkStatement(_counting(call_hours, NUMBERS, dialect), (*CELL, *NUMBERS))


@cache
def _add_times(dialect: str) -> BulkStatement:
    return BulkStatement(_counting(call_hour_times, ("calls",), dialect), (*TIME_CELL, "calls"))


def _sqlite_trigger(dialect: Dialect) -> tuple[str]:
    """SQLite tells a trigger of one row at a time."""
    old = _stand_in("old")
    less = {name: _sql(number, dialect) for name, number in numbers_of(old.c).items()}
    taken = ", ".join(f"{name} = {name} - {number}" for name, number in less.items())
    steps: list[str] = []
    for dimension, name in ((ALL, _text("")), (MODEL, model_of(old.c)), (KEY, old.c.key_id)):
        cell = (
            f"workspace = old.workspace AND dimension = '{dimension}' "
            f"AND hour = {_sql(hour_of(old.c), dialect)} AND name = {_sql(name, dialect)}"
        )
        steps += [
            f"UPDATE call_hours SET {taken} WHERE {cell}",  # noqa: S608 - names of our own
            f"DELETE FROM call_hours WHERE {cell} AND calls <= 0",  # noqa: S608 - names of our own
        ]
        for measure, ms in ((LATENCY, old.c.latency_ms), (TTFT, old.c.ttft_ms)):
            # What has no time is in no bucket: a comparison with null finds nothing.
            bucket = _sql(case((ms.is_not(None), time_bucket(ms))), dialect)
            time_cell = f"{cell} AND measure = {measure} AND bucket = {bucket}"
            steps += [
                f"UPDATE call_hour_times SET calls = calls - 1 WHERE {time_cell}",  # noqa: S608 - names of our own
                f"DELETE FROM call_hour_times WHERE {time_cell} AND calls <= 0",  # noqa: S608 - names of our own
            ]
    body = "; ".join(steps)
    return (
        "CREATE TRIGGER call_hours_take_off AFTER DELETE ON exchanges "
        f"FOR EACH ROW BEGIN {body}; END",
    )


def _postgresql_trigger(dialect: Dialect) -> tuple[str, str]:
    """PostgreSQL tells a trigger of all rows of a statement, as a table named `gone`."""
    gone = _stand_in("gone")
    body = _taking_off("call_hours", CELL, NUMBERS, _sql(sums_of(gone), dialect))
    body += _taking_off(
        "call_hour_times", TIME_CELL, ("calls",), _sql(times_of(gone, true()), dialect)
    )
    return (
        "CREATE FUNCTION call_hours_take_off() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NULL; END $$",
        "CREATE TRIGGER call_hours_take_off AFTER DELETE ON exchanges "
        "REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION call_hours_take_off()",
    )


def _taking_off(name: str, cell: Sequence[str], numbers: Sequence[str], lost: str) -> str:
    columns = ", ".join(cell)
    same = " AND ".join(f"kept.{one} = lost.{one}" for one in cell)
    order = ", ".join(f"kept.{one}" for one in cell)
    less = ", ".join(f"{number} = kept.{number} - lost.{number}" for number in numbers)
    steps = (
        f"PERFORM 1 FROM {name} AS kept JOIN ({lost}) AS lost USING ({columns}) "
        f"ORDER BY {order} FOR UPDATE OF kept; ",
        f"UPDATE {name} AS kept SET {less} FROM ({lost}) AS lost WHERE {same}; ",  # noqa: S608 - names of our own
        f"DELETE FROM {name} AS kept USING ({lost}) AS lost WHERE {same} AND kept.calls <= 0; ",  # noqa: S608 - names of our own
    )
    return "".join(steps)


def _stand_in(name: str) -> FromClause:
    """The name under which a trigger knows deleted calls, with the columns of the log."""
    return table(name, *(column(one.name, one.type) for one in exchanges.c))


def _sql(element: Any, dialect: Dialect) -> str:
    compiled = element.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())


def _text(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'", String())


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer())
