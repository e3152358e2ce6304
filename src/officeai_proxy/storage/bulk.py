"""Rows in, one statement for all of them out to the driver; nothing is read and nothing comes back.

SQLAlchemy puts the parameters of each row together anew, which takes longer than writing the row.
Here the statement is compiled once for a table, and rows become tuples in its order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Dialect, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

_Convert: TypeAlias = Callable[[Any], object]
_Row: TypeAlias = Mapping[str, object]


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[_Row]) -> None:
    """Insert *rows*, all of which name the same columns of *table*.

    Raises:
        IntegrityError: one of them is there already, or refers to what is not there.
    """
    if not rows:
        return
    plan = _plan(table, tuple(rows[0]), connection.dialect)
    await connection.exec_driver_sql(plan.statement, [plan.values_of(row) for row in rows])


@dataclass(frozen=True, slots=True)
class _Plan:
    """A compiled statement, how a row becomes its tuple, and what has to be converted in that."""

    statement: str
    take: Callable[[_Row], tuple[object, ...]]
    converts: tuple[tuple[int, _Convert], ...]

    def values_of(self, row: _Row) -> tuple[object, ...]:
        values = list(self.take(row))
        for place, convert in self.converts:
            values[place] = convert(values[place])
        return tuple(values)


@lru_cache(maxsize=64)
def _plan(table: Table, names: tuple[str, ...], dialect: Dialect) -> _Plan:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    # itemgetter gives a tuple for two names and more; every table here has them.
    order = compiled.positiontup or list(names)
    converts = [
        (place, convert)
        for place, name in enumerate(order)
        if (convert := table.c[name].type.dialect_impl(dialect).bind_processor(dialect))
    ]
    return _Plan(str(compiled), itemgetter(*order), tuple(converts))
