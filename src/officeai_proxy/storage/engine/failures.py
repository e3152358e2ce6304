"""A database error in, whether time can heal it out; handles none of them.

The question decides what the recorder does with a record: try it again for ever, or set it aside.
So an error is transient when it is about the connection, the server or the disk, and not when it
is about the values of one statement (PostgreSQL manual, appendix A; sqlite.org/rescode.html).
"""

import sqlite3
from asyncio import CancelledError
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, EmulatedDBAPIException, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from officeai_proxy.errors import (
    DatabaseDamaged,
    DatabaseFull,
    DatabaseIncomplete,
    DatabaseOnlyReads,
    DatabaseUnavailable,
    SearchIndexDamaged,
)

CANCELED = "57014"
"""What PostgreSQL says when a statement has taken longer than `statement_timeout`."""

MOST_SAID = 300
"""Characters that are told of what a database said."""

_DISK_FULL = "53100"

READ_ONLY = "25006"
"""A server that only reads: after a failover the pool still leads to the demoted one."""

_SHARED_CONNECTION = {"26000", "42P05"}
"""A prepared statement is not there, or there already: somebody else used the connection before.

A PgBouncer that pools transactions does that. It says nothing about what was to be stored.
"""

_HOW_TO_SHARE = (
    "; behind a PgBouncer that pools transactions add ?statement_cache_size=0 to "
    "OFFICEAI_DATABASE_URL"
)

# Connection, authorization, no such database, rollback and deadlock, resources, object in use,
# operator intervention, system error, bad configuration file, internal error.
_TRANSIENT_CLASSES = ("08", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX")

_INCOMPLETE = {"42P01", "42703", "42501", "3F000"}
"""The schema is older than the code, because no migration has run yet, or rights are missing."""

_TRANSIENT_STATES = {READ_ONLY, *_SHARED_CONNECTION, *_INCOMPLETE}

_SQLITE_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOTADB,
    }
)
_SQLITE_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SQLITE_OLD_SCHEMA = ("no such table", "no such column", "has no column named")


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may well succeed later: worth retrying for ever."""
    if isinstance(error, (DatabaseUnavailable, OSError, PoolTimeout)):
        return True
    if isinstance(error, StatementError):
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return lost or (error.orig is not None and is_transient(error.orig))
    if isinstance(error, sqlite3.Error):
        return _is_transient_on_sqlite(error)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES
    return _is_about_the_connection(error)


def unavailable(error: BaseException) -> DatabaseUnavailable:
    """What to tell of an *error* that is transient.

    A damaged file is one too: a backup in its place is what its records wait for.
    """
    codes = {getattr(cause, "sqlite_errorcode", None) for cause in _causes(error)}
    if sqlite3.SQLITE_CORRUPT_VTAB in codes:
        return SearchIndexDamaged(said=said_by(error))
    if any(code is not None and code & 0xFF in _SQLITE_DAMAGE for code in codes):
        return DatabaseDamaged(said=said_by(error))
    states = {getattr(cause, "sqlstate", None) for cause in _causes(error)}
    if sqlite3.SQLITE_FULL in codes or _DISK_FULL in states:
        return DatabaseFull(said=said_by(error))
    if READ_ONLY in states:
        return DatabaseOnlyReads(said=said_by(error))
    if states & _INCOMPLETE or any(map(_is_of_old_schema, _causes(error))):
        return DatabaseIncomplete(said=said_by(error))
    hint = _HOW_TO_SHARE if states & _SHARED_CONNECTION else ""
    return DatabaseUnavailable(said=said_by(error) + hint)


def said_by(error: BaseException) -> str:
    """What the database, or the system on the way to it, said: one line of it.

    It is the words of the cause, for SQLAlchemy adds the statement and its values to them. What
    PostgreSQL says of a connection names the user and the database and never a password.
    """
    words = ""
    for cause in _causes(error):
        if not isinstance(cause, (StatementError, CancelledError)):
            words = str(cause).strip() or words
    if not words:
        is_late = any(isinstance(cause, TimeoutError) for cause in _causes(error))
        words = "no answer in time" if is_late else type(error).__name__
    return words.splitlines()[0][:MOST_SAID]


def loses_connection(error: BaseException) -> bool:
    """Whether the connection, and those beside it in the pool, should not be used again."""
    return isinstance(error, OSError) or getattr(error, "sqlstate", None) == READ_ONLY


def ran_out_of_time(error: BaseException) -> bool:
    """Whether *error* comes of a statement that was stopped because it took too long."""
    return any(
        getattr(cause, "sqlstate", None) == CANCELED
        or getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and what is behind it, however deep it is wrapped."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "orig", None) or cause.__cause__


def _is_transient_on_sqlite(error: sqlite3.Error) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "no active connection" in str(error).lower()
    return code & 0xFF in _SQLITE_TRANSIENT or _is_of_old_schema(error)


def _is_of_old_schema(error: BaseException) -> bool:
    """SQLite has one code for all that is wrong with a statement; its words tell what it is."""
    is_about_it = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return is_about_it and any(words in str(error) for words in _SQLITE_OLD_SCHEMA)


def _is_about_the_connection(error: BaseException) -> bool:
    """An asyncpg error without an SQLSTATE: the driver's own, raised before a server answered.

    Values that the driver cannot encode are a ValueError as well; those are the statement's fault.
    """
    if not isinstance(error, EmulatedDBAPIException):
        return False
    return not isinstance(error.__cause__, (ValueError, TypeError, OverflowError))
