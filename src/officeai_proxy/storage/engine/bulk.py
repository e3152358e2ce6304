"""Rows in, one statement for all of them out to the driver; nothing is read and nothing comes back.

SQLAlchemy puts a statement and the parameters of each row together anew, which takes longer than
writing the row. Here a statement is compiled once, and rows are tuples in an order of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Boolean, Connection, Dialect, Insert, Update
from sqlalchemy.types import TypeEngine

from officeai_proxy.storage.engine.driver_values import sqlite_moment
from officeai_proxy.storage.tables import UtcDateTime

BulkRow: TypeAlias = tuple[object, ...]
_Convert: TypeAlias = Callable[[Any], object]


@dataclass(frozen=True, eq=False)
class BulkStatement:
    """A statement that is run for many rows, and what the values of a row are called, in order."""

    statement: Insert | Update
    names: tuple[str, ...]

    def run(self, connection: Connection, rows: Sequence[BulkRow]) -> None:
        """Run it for each of *rows*.

        Raises:
            IntegrityError: one of them is there already, or refers to what is not there.
        """
        if rows:
            plan = _plan(self, connection.dialect)
            connection.exec_driver_sql(plan.statement, plan.as_driver_takes_them(rows))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A compiled statement, and how the values of a row become its parameters."""

    statement: str
    take: Callable[[BulkRow], BulkRow] | None
    """Puts them into the order that the statement wants; None: it is theirs."""
    converts: tuple[tuple[int, _Convert], ...]

    def as_driver_takes_them(self, rows: Sequence[BulkRow]) -> list[BulkRow]:
        ordered = rows if self.take is None else map(self.take, rows)
        return [*map(self._converted, ordered)] if self.converts else [*ordered]

    def _converted(self, row: BulkRow) -> BulkRow:
        values = list(row)
        for place, convert in self.converts:
            values[place] = convert(values[place])
        return tuple(values)


@lru_cache(maxsize=64)
def _plan(bulk: BulkStatement, dialect: Dialect) -> _Plan:
    names = bulk.names
    column_keys = list(names) if isinstance(bulk.statement, Insert) else None
    compiled = bulk.statement.compile(dialect=dialect, column_keys=column_keys)
    order = tuple(compiled.positiontup or names)
    converts = [
        (place, convert)
        for place, name in enumerate(order)
        if (convert := _convert(compiled.binds[name].type, dialect))
    ]
    # itemgetter gives a tuple for two names and more; every statement here has them.
    take = None if order == names else itemgetter(*map(names.index, order))
    return _Plan(str(compiled), take, tuple(converts))


def _convert(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    if dialect.name == "sqlite" and isinstance(kind, UtcDateTime):
        return sqlite_moment
    if isinstance(kind, Boolean):
        # Both drivers take what is true or false as it is; SQLAlchemy would only look at it.
        return None
    return kind.dialect_impl(dialect).bind_processor(dialect)
