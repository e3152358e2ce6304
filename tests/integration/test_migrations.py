"""Migrations on both databases: refusals first, then up, down, and two processes at once."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, inspect, text
from tests.databases import PostgresServer
from tests.integration.stored import HERE, contents, go_to, said, say, start

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema import alembic_runner
from officeai_proxy.storage.schema.migrations import SCHEMA_REVISION, check, prepare, revision_of
from officeai_proxy.storage.tables import metadata, schema

ROOT = Path(__file__).resolve().parents[2]

PREPARE = """
import asyncio, sys
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

async def main():
    database = Database(sys.argv[1])
    done = await prepare(database)
    await database.close()
    print(done, "alembic" in sys.modules)

asyncio.run(main())
"""


def run_python(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: "subprocess.Popen[str]") -> str:
    out, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    return out.strip()


async def set_revision(database: Database, revision: str) -> None:
    async with database.write() as connection:
        await connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )


async def tables(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda plain: inspect(plain).get_table_names()))


async def test_newer_database_is_refused(database: Database) -> None:
    """A schema that a newer version made is refused in words, and left alone."""
    await set_revision(database, "9999")
    with pytest.raises(ConfigurationError, match=r"9999.*newer officeai-proxy"):
        await prepare(database)

    assert await revision_of(database) == "9999"
    (problem,) = await check(database)
    assert "newer" in problem
    assert "db upgrade" not in problem


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (["CREATE TABLE conversations (id INTEGER, chat TEXT)"], "a table `conversations`"),
        (
            [
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
                "INSERT INTO alembic_version VALUES ('7e5b5dc7342b')",
            ],
            "the schema revision '7e5b5dc7342b'",
        ),
    ],
)
async def test_a_database_of_another_program_is_refused(
    database_url: str, made: list[str], found: str
) -> None:
    """It is named as what it is, and left as it is."""
    database = Database(database_url)
    async with database.alter() as connection:
        for statement in made:
            await connection.execute(text(statement))
    before = await tables(database)

    with pytest.raises(ConfigurationError, match=rf"DATABASE_URL: .*{found} of another program"):
        await prepare(database)
    (problem,) = await check(database)
    assert f"{found} of another program" in problem
    assert "db upgrade" not in problem
    assert await tables(database) == before
    await database.close()


async def test_a_database_that_cannot_keep_all_text_is_refused(
    postgres_server: PostgresServer,
) -> None:
    """In an encoding for a few languages no table is made; one that takes any bytes is good."""
    for encoding, is_wide in (("LATIN1", False), ("SQL_ASCII", True)):
        name = f"test_{uuid4().hex}"
        postgres_server.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
        )
        database = Database(postgres_server.url(name))
        if is_wide:
            assert await prepare(database)
        else:
            with pytest.raises(ConfigurationError, match=r"LATIN1.*UTF8"):
                await prepare(database)
            assert await revision_of(database) is None
        await database.close()
        postgres_server.drop(name)


async def test_empty_database_is_said_to_be_so(database_url: str) -> None:
    """`db check` of a database without a schema says what to do, and makes none."""
    database = Database(database_url)
    (problem,) = await check(database)
    assert "no revision" in problem
    assert "db upgrade" in problem

    assert await tables(database) == set()
    await database.close()


def test_revision_is_the_newest_migration() -> None:
    """The revision that the code asks for is the one that the migrations lead to."""
    assert alembic_runner.head() == SCHEMA_REVISION


async def test_prepare_makes_everything_once(database_url: str) -> None:
    """The first call makes the tables and says so; the second finds them."""
    database = Database(database_url)
    assert await prepare(database)
    assert not await prepare(database)

    ours = {name for name in await tables(database) if not name.startswith("message_search")}
    assert ours == {*metadata.tables, "alembic_version"}
    assert "message_search" in await tables(database)
    assert await check(database) == []
    await database.close()


async def test_partial_indexes_have_the_conditions_of_the_tables(database: Database) -> None:
    """Alembic does not compare them, and a unique index without its condition refuses too much."""

    def conditions(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
        dialect = connection.dialect.name
        made = inspect(connection).get_indexes("conversations")
        wanted = schema(dialect).tables["conversations"].indexes
        return (
            {
                str(one["name"]): str(where).strip("()")
                for one in made
                if (where := one.get("dialect_options", {}).get(f"{dialect}_where")) is not None
            },
            {
                str(one.name): str(where)
                for one in wanted
                if (where := one.dialect_options[dialect]["where"]) is not None
            },
        )

    async with database.read() as connection:
        made, wanted = await connection.run_sync(conditions)
    assert made == wanted
    assert len(wanted) == 2


async def test_failed_migration_leaves_nothing(database_url: str) -> None:
    """Tables that are in the way stop the migration, and nothing of it stays behind."""
    database = Database(database_url)
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE tombstones (id INTEGER)"))
    with pytest.raises(Exception, match="tombstones"):
        await prepare(database)

    assert await tables(database) == {"tombstones"}
    await database.close()


async def test_down_and_up_again(database: Database) -> None:
    """Every migration can be taken back, and taken again, without a trace."""
    await go_to(database, "base")
    assert await tables(database) == {"alembic_version"}

    assert await prepare(database)
    assert await check(database) == []


async def test_models_of_what_is_stored_are_listed(database: Database) -> None:
    """Conversations from before there was a list of their models are found by them."""
    conversation = await start(database)
    await say(database, conversation, said("a", model_name="gpt-x"), said("b", model_name="gpt-x"))
    await start(database, "other")
    await go_to(database, "0008")
    assert await prepare(database)

    async with database.read() as connection:
        page = await ConversationRepository(connection, HERE).page(
            ConversationFilter(model="gpt-x"), PageRequest(10)
        )
    assert [one.session_id for one in page.items] == ["s1"]


async def test_rebuilding_a_table_keeps_what_refers_to_it(database: Database) -> None:
    """A migration that drops conversations to make them anew does not take the messages along."""
    conversation = await start(database)
    await say(database, conversation, "precious")
    if database.path is None:
        pytest.skip("PostgreSQL changes tables in place")
    async with database.alter() as connection:
        await connection.execute(text("CREATE TABLE copy AS SELECT * FROM conversations"))
        await connection.execute(text("DROP TABLE conversations"))
        await connection.run_sync(
            lambda plain: schema("sqlite").tables["conversations"].create(plain)
        )
        await connection.execute(text("INSERT INTO conversations SELECT * FROM copy"))

    assert await contents(database, conversation) == ["precious"]


async def test_no_migration_is_cut_off_for_taking_long(database: Database) -> None:
    """Also where the account's statements may take so long only, as hosted PostgreSQL has it."""
    if database.path is not None:
        pytest.skip("SQLite has no such limit")
    async with database.write() as connection:
        name = await connection.scalar(text("SELECT current_database()"))
        await connection.execute(text(f"ALTER DATABASE \"{name}\" SET statement_timeout = '1h'"))

    async with database.alter() as connection:
        assert await connection.scalar(text("SHOW statement_timeout")) == "0"


def test_processes_at_once(database_url: str) -> None:
    """Processes that start together on an empty database all succeed, and one does the work."""
    processes = [run_python(PREPARE, database_url) for _ in range(3)]
    answers = [answer(process).split()[0] for process in processes]

    assert sorted(answers) == ["False", "False", "True"]


def test_finished_schema_needs_no_alembic(database_url: str) -> None:
    """A start-up on a finished schema does not pay for importing Alembic."""
    assert answer(run_python(PREPARE, database_url)) == "True True"
    assert answer(run_python(PREPARE, database_url)) == "False False"


def run_alembic(database_url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=ROOT,
        env={"OFFICEAI_DATABASE_URL": database_url, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_alembic_on_the_command_line(database_url: str) -> None:
    """`alembic upgrade head` works from a checkout, and `alembic check` finds nothing to do."""
    for words in (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"]):
        done = run_alembic(database_url, *words)
        assert done.returncode == 0, done.stderr

    assert answer(run_python(PREPARE, database_url)) == "False False"


def test_migrations_as_a_text_are_refused(tmp_path: Path) -> None:
    """They read what is stored: half a script would be worse than none."""
    done = run_alembic(f"sqlite:///{tmp_path / 'none.db'}", "upgrade", "head", "--sql")

    assert done.returncode != 0
    assert "--sql is not supported" in done.stdout + done.stderr
    assert "CREATE TABLE" not in done.stdout
    assert "Traceback" not in done.stderr


async def test_drift_is_found(database: Database) -> None:
    """A column that somebody added or changed by hand is told by `db check`, in few words."""
    changes = {"ADD COLUMN surprise INTEGER": "remove_column tombstones surprise"}
    if database.dialect is Dialect.POSTGRESQL:
        changes["ALTER COLUMN deleted_at DROP NOT NULL"] = "modify_nullable tombstones deleted_at"
    async with database.write() as connection:
        for change in changes:
            await connection.execute(text(f"ALTER TABLE tombstones {change}"))

    problems = await check(database)
    assert len(problems) == len(changes)
    assert all(any(told in problem for problem in problems) for told in changes.values())


class TestWhereTheMigrationsAre:
    """A checkout and an installed package keep them in different places."""

    def test_nowhere(self, tmp_path: Path) -> None:
        """An installation without them says so instead of making half a database."""
        with pytest.raises(ConfigurationError, match="install officeai-proxy again"):
            alembic_runner.scripts_folder(tmp_path / "lib" / "officeai_proxy")

    def test_in_a_wheel(self, tmp_path: Path) -> None:
        """An installed package has them inside."""
        package = tmp_path / "site-packages" / "officeai_proxy"
        (package / "_alembic").mkdir(parents=True)
        (package / "_alembic" / "env.py").touch()

        assert alembic_runner.scripts_folder(package) == package / "_alembic"

    def test_in_a_checkout(self, tmp_path: Path) -> None:
        """A checkout has them beside `src`, and these win."""
        package = tmp_path / "src" / "officeai_proxy"
        (package / "_alembic").mkdir(parents=True)
        (package / "_alembic" / "env.py").touch()
        (tmp_path / "alembic.ini").touch()

        assert alembic_runner.scripts_folder(package) == tmp_path / "alembic"
        assert alembic_runner.scripts_folder() == ROOT / "alembic"
