"""Rows past SQLAlchemy into a table of a database in memory, read back through SQLAlchemy."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    create_engine,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from officeai_proxy.storage.engine.bulk import BulkStatement
from officeai_proxy.storage.tables import UtcDateTime

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
THINGS = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("code", Uuid),
    Column("at", UtcDateTime),
    Column("is_new", Boolean),
    Column("name", Text),
)
# Not in the order of the table.
ADD = BulkStatement(insert(THINGS), ("name", "id", "at", "code", "is_new"))
ROWS = [("one", 1, NOW, UUID(int=1), True), ("two", 2, None, None, False)]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        THINGS.create(connection)
        yield connection
    engine.dispose()


def _stored(connection: Connection) -> list[tuple[object, ...]]:
    c = THINGS.c
    found = connection.execute(select(c.name, c.id, c.at, c.code, c.is_new).order_by(c.id))
    return [tuple(row) for row in found]


def test_no_rows(connection: Connection) -> None:
    """Nothing to do does nothing."""
    ADD.run(connection, [])

    assert _stored(connection) == []


def test_row_that_is_there_already(connection: Connection) -> None:
    """The database's refusal comes out as SQLAlchemy says it."""
    ADD.run(connection, ROWS)

    with pytest.raises(IntegrityError):
        ADD.run(connection, ROWS[:1])


def test_values_come_back(connection: Connection) -> None:
    """Whatever the order of the names, SQLAlchemy reads what was given."""
    ADD.run(connection, ROWS)

    assert _stored(connection) == ROWS


def test_statement_that_asks_for_a_value_twice(connection: Connection) -> None:
    """An update may use a value in several places, each of them converted."""
    ADD.run(connection, ROWS)
    new = bindparam("b_at", type_=UtcDateTime)
    later = (
        update(THINGS)
        .where(THINGS.c.id == bindparam("b_id"), or_(THINGS.c.at.is_(None), THINGS.c.at > new))
        .values(at=new)
    )

    BulkStatement(later, ("b_id", "b_at")).run(
        connection, [(1, NOW + timedelta(hours=1)), (2, NOW), (2, NOW - timedelta(hours=1))]
    )

    assert [row[2] for row in _stored(connection)] == [NOW, NOW - timedelta(hours=1)]
