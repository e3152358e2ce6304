"""SQLite without a thread: what SQLAlchemy's dialect relies on."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from officeai_proxy.storage.engine.inline_sqlite import InlineConnection, connect


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[InlineConnection]:
    connection = await connect(str(tmp_path / "file.db"), isolation_level=None)
    yield connection
    await connection.close()


async def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """What SQLite says of a file that cannot be opened comes out as it is."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await connect(str(tmp_path))


async def test_closed_is_lost(connection: InlineConnection) -> None:
    """A closed connection says so in the words by which SQLAlchemy knows it; closing can repeat."""
    await connection.close()
    await connection.close()
    connection.stop()

    with pytest.raises(ValueError, match="no active connection"):
        connection.cursor()
    with pytest.raises(ValueError, match="no active connection"):
        await connection.commit()


async def test_no_other_thread(connection: InlineConnection) -> None:
    """A statement runs in the thread that asks for it, and no thread may use another's."""
    ran_in: list[int] = []
    await connection.create_function("here", 0, lambda: ran_in.append(threading.get_ident()))
    await connection.execute_fetchall("SELECT here()")
    assert ran_in == [threading.get_ident()]

    with pytest.raises(sqlite3.ProgrammingError, match="thread"):
        await asyncio.to_thread(connection.cursor)


async def test_rolled_back_is_gone(connection: InlineConnection) -> None:
    """Transactions end as they are told to."""
    await connection.execute_fetchall("CREATE TABLE t (n)")
    for n, end in ((1, connection.rollback), (2, connection.commit), (3, connection.rollback)):
        await connection.execute_fetchall("BEGIN")
        await connection.execute_fetchall(f"INSERT INTO t VALUES ({n})")
        await end()

    assert await connection.execute_fetchall("SELECT n FROM t") == [(2,)]


async def test_cursor(connection: InlineConnection) -> None:
    """A cursor tells of rows and changes as PEP 249 says."""
    cursor = await connection.cursor().__aenter__()
    await cursor.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
    await cursor.executemany("INSERT INTO t (n) VALUES (?)", [(n,) for n in "abc"])
    assert cursor.rowcount == 3
    await cursor.execute("INSERT INTO t (n) VALUES (?)", ("d",))
    assert (cursor.lastrowid, cursor.description) == (4, None)

    await cursor.execute("SELECT n FROM t ORDER BY id")
    assert [column[0] for column in cursor.description] == ["n"]
    assert await cursor.fetchmany(3) == [("a",), ("b",), ("c",)]
    assert await cursor.fetchall() == [("d",)]
    await cursor.close()
