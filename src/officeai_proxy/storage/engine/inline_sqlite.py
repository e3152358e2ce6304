"""SQLite in the thread of the event loop: what aiosqlite does, without a thread of its own.

A statement runs where it is asked for, and the loop stands still meanwhile, so this is only for a
loop that has nothing else to do: the recorder's. A thread and back costs a hundred microseconds,
which is more than most statements do.

The classes have the names that SQLAlchemy's dialect for aiosqlite asks a connection for.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any


async def connect(database: str, **options: Any) -> "InlineConnection":
    """Open the file *database*; *options* are those of `sqlite3.connect`.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    return InlineConnection(sqlite3.connect(database, **options))


class InlineConnection:
    """A connection of the thread that opened it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work with *connection*, which is nobody else's."""
        # SQLAlchemy looks at this name to tell whether the connection is still open.
        self._connection: sqlite3.Connection | None = connection

    def cursor(self) -> "InlineCursor":
        """A new cursor."""
        return InlineCursor(self._opened().cursor())

    async def commit(self) -> None:
        """Commit the transaction, if there is one."""
        self._opened().commit()

    async def rollback(self) -> None:
        """Roll the transaction back, if there is one."""
        self._opened().rollback()

    async def execute_fetchall(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows that *statement* gives."""
        return self._opened().execute(statement).fetchall()

    async def create_function(
        self, name: str, count: int, function: Callable[..., Any], **options: bool
    ) -> None:
        """Make *function* of *count* arguments known to SQL."""
        self._opened().create_function(name, count, function, **options)

    async def close(self) -> None:
        """Close it; nothing happens when it is closed."""
        self.stop()

    def stop(self) -> None:
        """The same at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            # In these words SQLAlchemy knows that the connection is lost.
            raise ValueError("no active connection")
        return self._connection


class InlineCursor:
    """A cursor of such a connection."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        """Work with *cursor*, which is nobody else's."""
        self._cursor = cursor

    async def __aenter__(self) -> "InlineCursor":
        """Itself."""
        return self

    async def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run *statement*."""
        self._cursor.execute(statement, parameters)

    async def executemany(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run *statement* for each of *rows*."""
        self._cursor.executemany(statement, rows)

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self._cursor.fetchall()

    async def fetchmany(self, size: int) -> list[Any]:
        """The next *size* rows."""
        return self._cursor.fetchmany(size)

    async def close(self) -> None:
        """Close it."""
        self._cursor.close()

    @property
    def description(self) -> Any:
        """The columns of the rows (PEP 249); None when there are no rows."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed (PEP 249)."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The id of the row that was inserted last (PEP 249)."""
        return self._cursor.lastrowid
