"""The two doors of a database: what they promise while it answers."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Insert, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.databases import free_port
from tests.integration.stored import HERE, NOW, say, start

from officeai_proxy.app import create_app
from officeai_proxy.cli.opening import database_of
from officeai_proxy.errors import DatabaseMoved, DatabaseUnavailable
from officeai_proxy.model import Durability
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database, Dialect, is_transient
from officeai_proxy.storage.engine import turns
from officeai_proxy.storage.engine.keepalives import GONE_SECONDS, IDLE_SECONDS
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.search.upkeep import purge
from officeai_proxy.storage.tables import conversation_messages, tombstones


async def count(database: Database) -> int:
    async with database.read() as connection:
        found = await connection.execute(select(func.count()).select_from(tombstones))
        return int(found.scalar_one())


async def bury(database: Database, number: int) -> None:
    async with database.write() as connection:
        await connection.execute(_burial(number))


def _burial(number: int) -> Insert:
    return insert(tombstones).values(exchange_id=UUID(int=number), deleted_at=NOW)


def twin(database: Database) -> Database:
    """The same database, as another process would open it."""
    if database.path is not None:
        return Database(f"sqlite:///{database.path}")
    return Database(f"postgresql://postgres@{database.location}")


def _files_with(folder: Path, words: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if words in file.read_bytes()]


def _counted_by_another_program(path: Path) -> int:
    script = (
        "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); "
        "print(file.execute('SELECT count(*) FROM tombstones').fetchone()[0]); file.close()"
    )
    command = (sys.executable, "-c", script, str(path))
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class TestLocks:
    """What somebody else has locked."""

    async def test_who_is_awaited_waits_some_seconds(self, database: Database) -> None:
        """A table that somebody alters is unavailable, and then there as before."""
        if database.dialect is not Dialect.POSTGRESQL:
            pytest.skip("readers of SQLite wait for nobody")
        awaited = Database(f"postgresql://postgres@{database.location}", awaited=True)
        try:
            async with database.write() as connection:
                await connection.execute(text("LOCK TABLE tombstones IN ACCESS EXCLUSIVE MODE"))
                async with asyncio.timeout(30):
                    errors = await asyncio.gather(
                        count(awaited), bury(awaited, 1), return_exceptions=True
                    )

            assert [type(error) for error in errors] == [DatabaseUnavailable] * 2
            assert {getattr(e.__cause__, "sqlstate", None) for e in errors} == {"55P03"}  # type: ignore[union-attr]
            await bury(awaited, 1)
            assert await count(awaited) == 1
        finally:
            await awaited.close()

    async def test_others_wait_as_long_as_it_takes(self, database: Database) -> None:
        """Only a database whose users are awaited is in a hurry."""
        if database.dialect is not Dialect.POSTGRESQL:
            pytest.skip("a setting of PostgreSQL")
        awaited = Database(f"postgresql://postgres@{database.location}", awaited=True)
        shown = text("SHOW lock_timeout")
        try:
            doors = (awaited.write, awaited.peek, awaited.read, database.write, database.read)
            for door in doors:
                async with door() as connection:
                    wait = (await connection.execute(shown)).scalar_one()
                    assert wait == ("5s" if door in (awaited.read, awaited.write) else "0")
        finally:
            await awaited.close()


class TestSilence:
    """The other side of a connection dies without a word."""

    async def test_both_sides_ask_whether_the_other_lives(self, database: Database) -> None:
        """A dead host's transaction must not keep its locks for the two hours of the system."""
        if database.dialect is not Dialect.POSTGRESQL:
            pytest.skip("SQLite has no other side")
        wanted = "SELECT setting::int FROM pg_settings WHERE name = ANY(:names) ORDER BY name"
        names = ("tcp_keepalives_idle", "tcp_user_timeout", "idle_in_transaction_session_timeout")
        for door in (database.write, database.peek, database.alter):
            async with door() as connection:
                found = await connection.execute(text(wanted), {"names": [*names]})
                raw = await connection.get_raw_connection()
                transport = raw.driver_connection._transport  # type: ignore[union-attr]
                ours = transport.get_extra_info("socket")

                assert [*found.scalars()] == [IDLE_SECONDS * 1000, 20, GONE_SECONDS * 1000]
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                silence = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert silence == GONE_SECONDS * 1000

    async def test_the_owners_limit_stays(self, database: Database) -> None:
        """A shorter time that somebody gave idle transactions is not made longer."""
        if database.dialect is not Dialect.POSTGRESQL:
            pytest.skip("a setting of PostgreSQL")
        other = Database(
            f"postgresql://postgres@{database.location}?idle_in_transaction_session_timeout=7000"
        )
        try:
            async with other.peek() as connection:
                shown = await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
                assert shown == "7s"
        finally:
            await other.close()


class TestTransactions:
    """All or nothing."""

    async def test_failed_write_leaves_nothing(self, database: Database) -> None:
        """When the block fails, nothing of it is stored, and the error comes out unchanged."""

        async def fail() -> None:
            async with database.write() as connection:
                await connection.execute(_burial(1))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

        assert await count(database) == 0

    async def test_read_stores_nothing(self, database: Database) -> None:
        """What is written through the reading door is refused or forgotten."""
        try:
            async with database.read() as connection:
                await connection.execute(_burial(1))
        except DatabaseUnavailable:
            assert database.dialect is Dialect.POSTGRESQL

        assert await count(database) == 0

    async def test_cancelled_write_leaves_nothing(self, database: Database) -> None:
        """A writer that is cancelled half way leaves nothing, and the next one can write."""
        written = asyncio.Event()

        async def write_and_wait() -> None:
            async with database.write() as connection:
                await connection.execute(_burial(1))
                written.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(write_and_wait())
            await written.wait()
            writer.cancel()
        await bury(database, 2)

        assert await count(database) == 1

    async def test_read_sees_one_moment(self, database: Database) -> None:
        """What others store during a read does not appear in it."""
        async with database.read() as connection:
            counted = select(func.count()).select_from(tombstones)
            before = (await connection.execute(counted)).scalar_one()
            await bury(database, 1)
            assert (await connection.execute(counted)).scalar_one() == before

        assert await count(database) == before + 1

    async def test_many_writers_all_get_their_turn(self, database: Database) -> None:
        """Forty writers at once, half of them of another process, all succeed."""
        other = twin(database)
        await asyncio.gather(*(bury(which, n) for n, which in enumerate([database, other] * 20)))
        await other.close()

        assert await count(database) == 40


class TestErrors:
    """What time can heal is DatabaseUnavailable; the rest comes out as it is."""

    async def test_integrity_error_passes(self, database: Database) -> None:
        """A row that is there already is not a reason to try again for ever."""
        await bury(database, 1)
        with pytest.raises(IntegrityError) as error:
            await bury(database, 1)

        assert not is_transient(error.value)

    async def test_data_error_passes(self, database: Database) -> None:
        """A value that does not fit is the statement's fault."""
        conversation = await start(database)
        row: dict[str, object] = {
            "conversation_id": conversation.id,
            "identity": 2**70,
            "on_path": True,
        }
        row |= {"role": "user", "content": "", "timestamp": NOW}
        async with database.write() as connection:
            with pytest.raises((DBAPIError, OverflowError)) as error:
                await connection.execute(insert(conversation_messages), row)

        assert not is_transient(error.value)

    async def test_lone_surrogate_passes(self, database: Database) -> None:
        """Text that no database can hold is the statement's fault."""
        conversation = await start(database)
        with pytest.raises((DBAPIError, UnicodeEncodeError)) as error:
            await say(database, conversation, "a\ud800")

        assert not is_transient(error.value)

    async def test_nul_passes_on_postgresql(self, database: Database) -> None:
        """PostgreSQL refuses NUL in text; that is the statement's fault."""
        if database.dialect is Dialect.SQLITE:
            pytest.skip("SQLite stores NUL")
        conversation = await start(database)
        with pytest.raises(DBAPIError) as error:
            await say(database, conversation, "a\0b")

        assert not is_transient(error.value)

    async def test_wrong_sql_passes(self, database: Database) -> None:
        """A statement that is no SQL never becomes right by waiting."""
        with pytest.raises(DBAPIError) as error:
            async with database.read() as connection:
                await connection.execute(text("SELEC 1"))

        assert not is_transient(error.value)

    async def test_missing_table_is_worth_waiting_for(self, database_url: str) -> None:
        """Before the migration has run, a statement is only too early."""
        database = Database(database_url)
        with pytest.raises(DatabaseUnavailable) as error:
            await count(database)
        assert error.value.__cause__ is not None

        await prepare(database)
        assert await count(database) == 0
        await database.close()

    async def test_ping_answers(self, database: Database) -> None:
        """A database that is there answers, also before there are tables."""
        await database.ping()


class TestLife:
    """Opening and closing."""

    def test_constructor_touches_nothing(self, tmp_path: Path) -> None:
        """Making a Database opens nothing, so it cannot fail because the database is away."""
        Database(f"sqlite:///{tmp_path}/new/officeai.db")
        Database(f"postgresql://127.0.0.1:{free_port()}/nothing")

        assert list(tmp_path.iterdir()) == []

    async def test_closed_one_opens_again(self, database: Database) -> None:
        """After close() the next use works, on new connections."""
        await bury(database, 1)
        await database.close()
        await database.close()

        assert await count(database) == 1

    async def test_belongs_to_one_loop(self, database: Database) -> None:
        """Connections of one event loop are not used in another."""
        await database.ping()

        def ping_elsewhere() -> None:
            asyncio.run(database.ping())

        with pytest.raises(RuntimeError, match="event loop"):
            await asyncio.to_thread(ping_elsewhere)


class TestSqliteFile:
    """How SQLite is set up."""

    async def test_private(self, tmp_path: Path) -> None:
        """A new file and a new folder are their owner's only."""
        database = Database(f"sqlite:///{tmp_path}/new/officeai.db")
        await prepare(database)
        await database.close()

        folder = tmp_path / "new"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    async def test_another_program_takes_no_log_away(self, tmp_path: Path) -> None:
        """However often it is open here, what is written after another program has opened and
        closed the file is there for the next one.
        """
        path = tmp_path / "officeai.db"
        ours = [Database(f"sqlite:///{path}") for _ in range(2)]
        await prepare(ours[0])
        await bury(ours[0], 1)
        await bury(ours[1], 2)

        assert await asyncio.to_thread(_counted_by_another_program, path) == 2
        await bury(ours[0], 3)
        await bury(ours[1], 4)
        assert await asyncio.to_thread(_counted_by_another_program, path) == 4
        for database in ours:
            await database.close()

    @pytest.mark.parametrize("is_inline", [False, True])
    async def test_nobody_works_beside_the_file_that_is_there(
        self, tmp_path: Path, is_inline: bool
    ) -> None:
        """Neither on one that was moved away, nor on one in its place, which is not made either."""
        path, away = tmp_path / "officeai.db", tmp_path / "away.db"
        database = Database(f"sqlite:///{path}", inline=is_inline)
        await prepare(database)
        await bury(database, 1)

        path.rename(away)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(self._find_nothing(database))
        assert not path.exists()
        path.touch()
        await self._find_nothing(database)

        away.replace(path)
        assert await count(database) == 1
        await database.close()

    async def _find_nothing(self, database: Database) -> None:
        with pytest.raises(DatabaseMoved) as error:
            await count(database)
        assert is_transient(error.value)

    async def test_existing_rights_stay(self, tmp_path: Path) -> None:
        """Rights that somebody gave on purpose are left alone."""
        file = tmp_path / "officeai.db"
        file.touch()
        file.chmod(0o660)
        database = Database(f"sqlite:///{file}")
        await database.ping()
        await database.close()

        assert file.stat().st_mode & 0o777 == 0o660

    @pytest.mark.parametrize(
        ("durability", "checkpoints", "expected"),
        [
            (Durability.PROCESS, False, ("wal", 1, 1, 0, 1, 5000)),
            (Durability.DISK, True, ("wal", 2, 1, 1000, 1, 5000)),
        ],
    )
    async def test_settings_of_each_connection(
        self,
        tmp_path: Path,
        durability: Durability,
        checkpoints: bool,
        expected: tuple[object, ...],
    ) -> None:
        """WAL, syncing as asked, foreign keys, one checkpointer, secure delete, patience."""
        names = (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "wal_autocheckpoint",
            "secure_delete",
            "busy_timeout",
        )
        database = Database(
            f"sqlite:///{tmp_path}/officeai.db", durability=durability, checkpoints=checkpoints
        )
        for _ in range(2):
            async with database.write() as connection:
                found = [
                    (await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in names
                ]
            assert tuple(found) == expected
        await database.close()

    async def test_only_one_kind_checkpoints(self, tmp_path: Path) -> None:
        """The WAL grows until the database that may checkpoint moves it into the file."""
        url, wal = f"sqlite:///{tmp_path}/officeai.db", tmp_path / "officeai.db-wal"
        writer, keeper = Database(url), Database(url, checkpoints=True)
        await prepare(writer)
        conversation = await start(writer)
        for _ in range(3):
            await say(writer, conversation, "x" * 2_000_000)
        grown = wal.stat().st_size

        assert grown > 6_000_000
        assert await keeper.checkpoint()
        assert wal.stat().st_size == 0
        assert b"xxxx" in (tmp_path / "officeai.db").read_bytes()
        await writer.close()
        await keeper.close()

    async def test_erased_is_in_no_file(self, tmp_path: Path) -> None:
        """After erasing and a checkpoint, no file has a trace of what was said."""
        keeper = Database(f"sqlite:///{tmp_path}/officeai.db", checkpoints=True)
        await prepare(keeper)
        conversation = await start(keeper, title="a-secret-title")
        await say(keeper, conversation, "a-secret " * 5000, "a-secret")
        assert await keeper.checkpoint()
        assert _files_with(tmp_path, b"a-secret")
        async with keeper.write() as connection:
            await ConversationRepository(connection, HERE).erase(conversation, now=NOW)
        assert await purge(keeper)
        assert await keeper.checkpoint()

        assert _files_with(tmp_path, b"secret") == []
        await keeper.close()

    async def test_checkpoint_tells_what_holds_it_back(self, tmp_path: Path) -> None:
        """While somebody reads an older state, a checkpoint says that it is not complete."""
        url = f"sqlite:///{tmp_path}/officeai.db"
        keeper, reader = Database(url, checkpoints=True), Database(url)
        await prepare(keeper)
        async with reader.read() as connection:
            await connection.execute(select(tombstones))
            await bury(keeper, 1)
            assert not await keeper.checkpoint()
        await reader.close()

        assert await keeper.checkpoint()
        await keeper.close()

    async def test_locked_file_is_worth_waiting_for(self, tmp_path: Path) -> None:
        """A program that keeps the file locked for long makes it unavailable, then all is well."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db")
        await prepare(database)
        lock = sqlite3.connect(tmp_path / "officeai.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable) as error:
            await bury(database, 1)
        assert "locked" in str(error.value.__cause__)
        assert await count(database) == 0, "readers are not held up"

        lock.execute("ROLLBACK")
        lock.close()
        await bury(database, 1)
        assert await count(database) == 1
        await database.close()

    @pytest.mark.parametrize("who", ["a command", "a route"])
    async def test_who_writes_much_lets_others_write(
        self, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After some work there is a rest before the next, and whoever waits gets the file."""
        settings = load_settings(data_dir=tmp_path, api_keys="sk-test-0123456789", _env_file=None)
        recording = Database(settings.database)
        await prepare(recording)
        async with AsyncExitStack() as stack:
            if who == "a command":
                busy = database_of(settings)
                stack.push_async_callback(busy.close)
            else:
                routes = create_app(settings).routes
                await stack.enter_async_context(routes.router.lifespan_context(routes))
                busy = routes.state.services.database
            await bury(busy, 1)
            monkeypatch.setattr(turns, "AT_A_STRETCH", 0)
            monkeypatch.setattr(turns, "REST_SECONDS", 600)
            resting = asyncio.create_task(bury(busy, 2))
            for number in range(3, 13):
                await bury(recording, number)
            assert not resting.done()
            assert await count(recording) == 11

            resting.cancel()
            await asyncio.wait([resting])
            monkeypatch.setattr(turns, "REST_SECONDS", 0)
            await bury(busy, 2)
            assert await count(recording) == 12
        await recording.close()

    async def test_what_is_no_database(self, tmp_path: Path) -> None:
        """A file of something else, a folder, and a place that does not exist are unavailable."""
        (tmp_path / "text.db").write_text("this is not a database at all" * 100)
        (tmp_path / "file").touch()
        for path in ("text.db", "", "file/below.db"):
            database = Database(f"sqlite:///{tmp_path}/{path}")
            with pytest.raises(DatabaseUnavailable):
                await database.ping()
            await database.close()

    def test_folder_without_rights(self, tmp_path: Path) -> None:
        """A folder that cannot be written makes the database unavailable, not the program fall."""
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        tmp_path.chmod(0o500)
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(Database(f"sqlite:///{tmp_path}/officeai.db").ping())


class TestInline:
    """SQLite in the thread of the loop."""

    @pytest.fixture
    async def inline(self, tmp_path: Path) -> AsyncIterator[Database]:
        database = Database(f"sqlite:///{tmp_path}/officeai.db", checkpoints=True, inline=True)
        await prepare(database)
        yield database
        await database.close()

    async def test_no_thread_but_where_others_wait(self, inline: Database) -> None:
        """It has no thread to hand statements to, and every other database has."""
        before = set(threading.enumerate())
        await bury(inline, 1)
        assert await count(inline) == 1
        assert set(threading.enumerate()) <= before

        other = twin(inline)
        await bury(other, 2)
        assert set(threading.enumerate()) - before, "the loop that serves calls never waits"
        await other.close()

    async def test_nothing_of_a_failed_write(self, inline: Database) -> None:
        """A refused row, and a writer that is cancelled, leave nothing and hold up nobody."""
        written = asyncio.Event()

        async def write_and_wait() -> None:
            async with inline.write() as connection:
                await connection.execute(_burial(3))
                written.set()
                await asyncio.Event().wait()

        async def write_what_is_there() -> None:
            async with inline.write() as connection:
                await connection.execute(_burial(2))
                await connection.execute(_burial(1))

        await bury(inline, 1)
        with pytest.raises(IntegrityError):
            await write_what_is_there()
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(write_and_wait())
            await written.wait()
            writer.cancel()
        await bury(inline, 4)

        assert await count(inline) == 2

    async def test_reading_beside_writing(self, inline: Database) -> None:
        """Several connections work in turns, each with what it began with."""
        async with inline.read() as reader:
            counted = select(func.count()).select_from(tombstones)
            assert (await reader.execute(counted)).scalar_one() == 0
            await asyncio.gather(*(bury(inline, n) for n in range(8)))
            assert not await inline.checkpoint(), "somebody reads an older state"
            assert (await reader.execute(counted)).scalar_one() == 0

        assert await inline.checkpoint()
        assert await count(inline) == 8

    async def test_rows_in_pieces(self, inline: Database) -> None:
        """What is too much at once comes as it is asked for."""
        for n in range(7):
            await bury(inline, n)
        async with inline.read() as connection, connection.stream(select(tombstones)) as found:
            pieces = [len(piece) async for piece in found.partitions(3)]

        assert pieces == [3, 3, 1]

    async def test_opens_again(self, inline: Database) -> None:
        """A closed database opens when it is used again, as every other."""
        await bury(inline, 1)
        await inline.close()

        assert await count(inline) == 1

    async def test_file_that_is_no_database(self, tmp_path: Path) -> None:
        """What cannot be opened is unavailable, as for every other."""
        (tmp_path / "text.db").write_text("this is not a database at all" * 100)
        database = Database(f"sqlite:///{tmp_path}/text.db", inline=True)

        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await database.close()


class TestPostgresqlAddress:
    """What a PostgreSQL URL can be wrong about."""

    async def test_nobody_listens(self) -> None:
        """A server that is not there is unavailable, at once."""
        with pytest.raises(DatabaseUnavailable):
            await Database(f"postgresql://127.0.0.1:{free_port()}/x").ping()

    async def test_silent_server(self) -> None:
        """A server that takes the connection and says nothing is given up after five seconds."""
        clients: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(
            lambda _, writer: clients.append(writer), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        async with server, asyncio.timeout(12):
            with pytest.raises(DatabaseUnavailable):
                await Database(f"postgresql://127.0.0.1:{port}/x").ping()
            for writer in clients:
                writer.close()

        assert clients
