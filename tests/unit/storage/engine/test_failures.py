"""Which errors are worth another try: statement's faults first."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from officeai_proxy.errors import (
    DatabaseDamaged,
    DatabaseFull,
    DatabaseIncomplete,
    DatabaseOnlyReads,
    DatabaseUnavailable,
)
from officeai_proxy.storage.engine.failures import (
    is_transient,
    loses_connection,
    ran_out_of_time,
    unavailable,
)


class ServerError(Exception):
    """An error as asyncpg raises it: with the server's SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def wrapped(error: Exception, *, lost: bool = False) -> DBAPIError:
    """The same as SQLAlchemy hands it on."""
    return DBAPIError("SELECT 1", {}, error, connection_invalidated=lost)


def file_error(code: int, message: str = "something") -> sqlite3.OperationalError:
    """An error as the sqlite3 module raises it."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "state", ["22001", "22021", "22P02", "23505", "23503", "42601", "54000", "0A000", "P0001"]
)
def test_server_blames_the_statement(state: str) -> None:
    """Data, integrity, syntax and program limits never heal."""
    assert not is_transient(ServerError(state))
    assert not is_transient(wrapped(ServerError(state)))


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        TypeError(),
        KeyError(),
        OverflowError(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        StatementError("bad value", "SELECT 1", {}, ValueError()),
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        file_error(sqlite3.SQLITE_ERROR, 'near "SELEC": syntax error'),
        file_error(sqlite3.SQLITE_TOOBIG, "string or blob too big"),
        file_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed"),
        sqlite3.ProgrammingError("Error binding parameter 1: type 'set' is not supported"),
    ],
    ids=repr,
)
def test_other_faults_of_the_statement(error: Exception) -> None:
    """Values that a driver cannot take, and broken rules, never heal."""
    assert not is_transient(error)


@pytest.mark.parametrize(
    "state",
    [
        "08006",
        "25006",
        "26000",
        "28P01",
        "3D000",
        "40001",
        "40P01",
        "42P01",
        "42P05",
        "42703",
        "53100",
        "53300",
        "55P03",
        "57014",
        "57P01",
        "XX001",
    ],
)
def test_server_blames_itself(state: str) -> None:
    """Connections, locks, resources, shutdown, a missing schema: time heals them."""
    assert is_transient(ServerError(state))
    assert is_transient(wrapped(ServerError(state)))


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    ],
)
def test_file_is_in_trouble(code: int) -> None:
    """A locked, full, failing or missing file: time, or a person, heals it."""
    assert is_transient(file_error(code))
    assert is_transient(wrapped(file_error(code)))


@pytest.mark.parametrize(
    "message",
    [
        "no such table: exchanges",
        "no such column: cost",
        "table exchanges has no column named cost",
    ],
)
def test_schema_is_older(message: str) -> None:
    """A table or column that the migration is about to make: worth waiting for."""
    assert is_transient(file_error(sqlite3.SQLITE_ERROR, message))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        OSError(28, "No space left on device"),
        PoolTimeout("no connection is free"),
        DatabaseUnavailable(),
        DatabaseDamaged(),
        wrapped(Exception("anything"), lost=True),
    ],
    ids=repr,
)
def test_the_way_is_blocked(error: Exception) -> None:
    """Whatever stands between us and the database may go away."""
    assert is_transient(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, DatabaseUnavailable),
        (sqlite3.SQLITE_IOERR_READ, DatabaseUnavailable),
        (sqlite3.SQLITE_CORRUPT, DatabaseDamaged),
        (sqlite3.SQLITE_CORRUPT_INDEX, DatabaseDamaged),
        (sqlite3.SQLITE_NOTADB, DatabaseDamaged),
    ],
)
def test_a_damaged_file_is_told_from_one_that_is_away(code: int, kind: type[Exception]) -> None:
    """However deep it is wrapped: waiting alone does not heal it, a person does."""
    assert type(unavailable(file_error(code))) is kind
    assert type(unavailable(wrapped(file_error(code)))) is kind


def test_a_server_that_is_away_is_not_damaged() -> None:
    """An error without a code of SQLite's is about the way to the database."""
    assert type(unavailable(ServerError("08006"))) is DatabaseUnavailable


def test_a_server_that_only_reads_is_told_from_one_that_is_away() -> None:
    """Who asked for a change, or for a read that leaves a row, hears what is the matter."""
    assert type(unavailable(wrapped(ServerError("25006")))) is DatabaseOnlyReads


@pytest.mark.parametrize("state", ["42P01", "42703", "42501", "3F000"])
def test_a_server_that_lacks_something_is_told_from_one_that_is_away(state: str) -> None:
    """Waiting alone does not heal it, an administrator does."""
    assert type(unavailable(wrapped(ServerError(state)))) is DatabaseIncomplete


def test_a_full_disk_is_told_from_a_database_that_is_away(tmp_path: Path) -> None:
    """Who wants to delete something for room would try it for ever."""
    with closing(sqlite3.connect(tmp_path / "full.db")) as full:
        full.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as raised:
            full.execute("CREATE TABLE one (a)")
    assert type(unavailable(wrapped(raised.value))) is DatabaseFull
    assert type(unavailable(wrapped(ServerError("53100")))) is DatabaseFull


def test_a_file_that_lacks_something_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    """SQLite has one code for every wrong statement, and words for what is wrong."""
    with (
        closing(sqlite3.connect(tmp_path / "empty.db")) as empty,
        pytest.raises(sqlite3.OperationalError) as raised,
    ):
        empty.execute("SELECT * FROM missing")
    assert type(unavailable(wrapped(raised.value))) is DatabaseIncomplete


@pytest.mark.parametrize("state", ["26000", "42P05"])
def test_a_connection_that_others_use_is_told_with_the_option_for_it(state: str) -> None:
    """PostgreSQL says only that a statement is not prepared, or already is."""
    assert "?statement_cache_size=0" in unavailable(wrapped(ServerError(state))).said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ServerError("25006"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (ServerError("40001"), False),
        (ValueError(), False),
    ],
)
def test_whole_pool_is_lost(error: Exception, expected: object) -> None:
    """A demoted server and a broken network mean all connections; a deadlock means none."""
    assert loses_connection(error) is expected


class TestOutOfTime:
    """A statement that was stopped is told from a database that is away."""

    def unavailable(self, cause: Exception) -> DatabaseUnavailable:
        error = DatabaseUnavailable()
        error.__cause__ = cause
        return error

    def test_away_is_not_slow(self) -> None:
        """A lost connection, a locked file and an error without a cause are something else."""
        causes = (ServerError("08006"), file_error(sqlite3.SQLITE_BUSY), OSError())

        assert not ran_out_of_time(DatabaseUnavailable())
        assert not any(ran_out_of_time(self.unavailable(cause)) for cause in causes)

    def test_stopped_statements(self) -> None:
        """Both databases say it in their own way, however deep it is wrapped."""
        for cause in (ServerError("57014"), file_error(sqlite3.SQLITE_INTERRUPT)):
            assert ran_out_of_time(self.unavailable(cause))
            assert ran_out_of_time(self.unavailable(wrapped(cause)))


def test_what_a_database_said_has_neither_statement_nor_values() -> None:
    """It is one line of the cause itself; who calls the proxy gets none of it."""
    error = DBAPIError("SELECT 'a secret'", {"a": "a secret"}, file_error(5, "locked\nDETAIL: x"))

    told = unavailable(error)

    assert str(told) == f"{DatabaseUnavailable().message} It said: locked"
    assert told.message == DatabaseUnavailable().message
    assert unavailable(TimeoutError()).said == "no answer in time"
    assert unavailable(OSError()).said == "OSError"
