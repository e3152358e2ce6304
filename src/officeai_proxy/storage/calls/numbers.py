"""A line of the call log to the numbers that statistics add up: the expressions, once.

The log is counted per hour (`hours`) and counted anew where that is not enough (`stats`). Both use
these expressions, on both databases, so that all answers agree.
"""

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Integer,
    String,
    and_,
    case,
    func,
    literal_column,
    or_,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from officeai_proxy.model import FAILED, FIRST_ERROR_STATUS, CallRecord

NANO = 1_000_000_000
"""Costs are added up as whole billionths of a dollar: what is taken away again leaves nothing."""

MOST_TOKENS = 10**12
"""More tokens in one call are garbage, and must not make a sum overflow."""

HOUR_SECONDS = 3600

STEPS = 16
"""Buckets between a time and twice that time."""

DOUBLINGS = 27
"""The last bucket ends at 2²⁷ ms, a day and a half."""

NUMBERS = (
    "calls",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "priced_calls",
    "cost_nano",
)
"""What is added up, as columns of `call_hours`."""


class epoch_seconds(FunctionElement[int]):  # noqa: N801 - it reads as a function of SQL
    """Whole seconds between 1970 and a moment, rounded down."""

    type = BigInteger()
    inherit_cache = True


@compiles(epoch_seconds, "sqlite")
def _epoch_seconds_sqlite(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite rounds to milliseconds, and would push the last moment of an hour into the next one.
    return f"CAST(strftime('%s', substr({_inside(element, compiler, kw)}, 1, 19)) AS INTEGER)"


@compiles(epoch_seconds, "postgresql")
def _epoch_seconds_postgresql(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {_inside(element, compiler, kw)})) AS bigint)"


class time_bucket(FunctionElement[int]):  # noqa: N801 - it reads as a function of SQL
    """The bucket of a time in milliseconds, see `bucket_of`."""

    type = Integer()
    inherit_cache = True


@compiles(time_bucket, "sqlite")
def _time_bucket_sqlite(element: time_bucket, compiler: SQLCompiler, **kw: Any) -> str:
    return _bucket_case(_inside(element, compiler, kw), "CAST({} AS INTEGER)".format)


@compiles(time_bucket, "postgresql")
def _time_bucket_postgresql(element: time_bucket, compiler: SQLCompiler, **kw: Any) -> str:
    return _bucket_case(_inside(element, compiler, kw), "CAST(floor({}) AS integer)".format)


def _inside(element: FunctionElement[Any], compiler: SQLCompiler, kw: dict[str, Any]) -> str:
    (clause,) = element.clauses
    return str(compiler.process(clause, **kw))


def _bucket_case(ms: str, whole: Callable[[str], str]) -> str:
    """`bucket_of` in SQL. Powers of two divide without an error, so both give the same."""
    whens = [f"WHEN {ms} < 1 THEN {whole(f'{ms} * {STEPS}')}"]
    for doubling in range(DOUBLINGS):
        low = 2**doubling
        place = whole(f"({ms} / {low}.0 - 1) * {STEPS}")
        whens.append(f"WHEN {ms} < {2 * low} THEN {STEPS * (doubling + 1)} + {place}")
    return f"(CASE {' '.join(whens)} ELSE {STEPS * (DOUBLINGS + 1) - 1} END)"


def bucket_of(ms: float) -> int:
    """The bucket of a time: 16 equal ones up to a millisecond, then 16 to each doubling.

    A time differs from the middle of its bucket by at most 1/32 of itself, above a millisecond.
    """
    if ms < 1:
        return int(ms * STEPS)
    doubling = min(int(ms).bit_length() - 1, DOUBLINGS)
    if doubling == DOUBLINGS:
        return STEPS * (DOUBLINGS + 1) - 1
    return STEPS * (doubling + 1) + int((ms / 2**doubling - 1) * STEPS)


def middle_of(bucket: int) -> float:
    """The time in milliseconds in the middle of *bucket*."""
    doubling, step = divmod(bucket, STEPS)
    if doubling == 0:
        return (step + 0.5) / STEPS
    return float(2 ** (doubling - 1) * (1 + (step + 0.5) / STEPS))


def model_of(call: Any) -> ColumnElement[str]:
    """The model that served a call, else the one asked for; empty when neither is known."""
    return func.coalesce(call.model_served, call.model_asked, literal_column("''", String()))


def model_in(call: CallRecord) -> str:
    """The same of a call that is not in the log yet."""
    served = call.model_served
    return (call.model_asked or "") if served is None else served


def is_error(call: Any) -> ColumnElement[bool]:
    """Whether a call failed: see FAILED, or the caller was told so by the status."""
    outcomes = [literal_column(f"'{outcome.value}'", String()) for outcome in FAILED]
    refused = and_(
        call.status_code.is_not(None),
        call.status_code >= literal_column(str(FIRST_ERROR_STATUS), Integer()),
    )
    return or_(call.outcome.in_(outcomes), refused)


def hour_of(call: Any) -> ColumnElement[int]:
    """Whole hours between 1970 and the moment a call began."""
    return epoch_seconds(call.started_at) // literal_column(str(HOUR_SECONDS), Integer())


def numbers_of(call: Any) -> dict[str, ColumnElement[int]]:
    """What a call adds to each of NUMBERS."""
    zero, one = literal_column("0", BigInteger()), literal_column("1", BigInteger())
    nano = literal_column(f"{NANO}.0", Float())
    return {
        "calls": one,
        "errors": case((is_error(call), one), else_=zero),
        "prompt_tokens": _tokens(call.prompt_tokens),
        "completion_tokens": _tokens(call.completion_tokens),
        "total_tokens": _tokens(call.total_tokens),
        "priced_calls": case((call.cost.is_(None), zero), else_=one),
        "cost_nano": case(
            (call.cost.is_(None), zero), else_=sql_cast(func.round(call.cost * nano), BigInteger())
        ),
    }


def numbers_in(call: CallRecord, *, dialect: str) -> list[int]:
    """The same of a call that is not in the log yet, in the order of NUMBERS.

    *dialect* is the database's name: of a number between two, SQLite takes the larger one and
    PostgreSQL the even one, and what is added has to be what is taken off.
    """
    usage, cost = call.usage, call.cost
    failed = call.outcome in FAILED or (call.status or 0) >= FIRST_ERROR_STATUS
    nano = 0.0 if cost is None else cost * NANO
    return [
        1,
        int(failed),
        min(usage.prompt_tokens or 0, MOST_TOKENS),
        min(usage.completion_tokens or 0, MOST_TOKENS),
        min(usage.total_tokens or 0, MOST_TOKENS),
        int(cost is not None),
        math.floor(nano + 0.5) if dialect == "sqlite" else round(nano),
    ]


def _tokens(count: ColumnElement[int]) -> ColumnElement[int]:
    most = literal_column(str(MOST_TOKENS), BigInteger())
    zero = literal_column("0", BigInteger())
    return case((count.is_(None), zero), (count > most, most), else_=count)
