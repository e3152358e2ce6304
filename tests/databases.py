"""Databases for tests: a SQLite file, and a PostgreSQL server that the tests start themselves.

`database` gives a prepared one and `database_url` an empty one, each on both kinds. Without the
programs of PostgreSQL the tests that need them are skipped, and fail where `CI` is set.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import asyncpg
import pytest
from tests import ports

from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

T = TypeVar("T")

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TEMPLATE = "officeai_template"

StopMode = Literal["smart", "fast", "immediate"]

# PostgreSQL manual 19.5: immediate is as near to a crash as a signal gets.
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Nothing here has to survive a power loss, and that makes the tests twice as fast.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "log_min_messages": "fatal",
}


# What a test may have done to a database beside filling it: columns, indexes, rights, constraints,
# triggers and functions, settings of its own, the revision of the schema.
_SHAPE = """
SELECT concat_ws(';',
  (SELECT string_agg(format('%s.%s %s %s', c.relname, a.attname, a.atttypid, a.attnotnull), ','
                     ORDER BY c.relname, a.attnum)
   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
   WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT string_agg(format('%s %s', relname, relacl), ',' ORDER BY relname)
   FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(conname, ',' ORDER BY conname)
   FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
  (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal),
  (SELECT string_agg(proname, ',' ORDER BY proname)
   FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
  (SELECT string_agg(s.setconfig::text, ',' ORDER BY s.setconfig::text)
   FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
   WHERE d.datname = current_database()),
  (SELECT string_agg(version_num, ',') FROM alembic_version))
"""

# A few tables are not empty when they are new; what is in them is kept in a schema of its own.
_KEEP = """
DO $$ DECLARE t text; filled bool; BEGIN
  CREATE SCHEMA origin;
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', t) INTO filled;
    IF filled THEN EXECUTE format('CREATE TABLE origin.%I AS TABLE public.%I', t, t); END IF;
  END LOOP;
END $$
"""

# What is as it was stays: to truncate a table costs as much when nothing is in it. Whoever is still
# connected is waited for, for what is looked at here must not change any more.
_EMPTY = """
DO $$ DECLARE t text; is_changed bool; is_empty bool; changed text[] := '{}'; BEGIN
  PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
   WHERE datname = current_database() AND pid <> pg_backend_pid();
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    IF to_regclass(format('origin.%I', t)) IS NULL THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', t) INTO is_changed;
    ELSE
      EXECUTE format('SELECT EXISTS ((TABLE public.%1$I EXCEPT ALL TABLE origin.%1$I)
        UNION ALL (TABLE origin.%1$I EXCEPT ALL TABLE public.%1$I))', t) INTO is_changed;
    END IF;
    IF is_changed THEN changed := changed || t; END IF;
  END LOOP;
  IF changed <> '{}' THEN
    EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('public.%I', name), ',') || ' CASCADE'
             FROM unnest(changed) AS name);
  END IF;
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'origin' LOOP
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM public.%I)', t) INTO is_empty;
    IF is_empty THEN EXECUTE format('INSERT INTO public.%1$I TABLE origin.%1$I', t); END IF;
  END LOOP;
  PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
     FROM pg_sequences WHERE last_value IS NOT NULL;
END $$
"""


class PostgresServer:
    """A PostgreSQL server of one's own: started, stopped and started again on the same port."""

    def __init__(self, programs: Path) -> None:
        """Make its folder and its database cluster; *programs* is where `initdb` is."""
        self._programs = programs
        self._account = _unprivileged_account()
        self._folder = Path(tempfile.mkdtemp(prefix="officeai-postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if self._account is not None:
            shutil.chown(self._folder, self._account, self._account)
        made = self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        )
        _, complaints = made.communicate(timeout=START_SECONDS)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {complaints.decode(errors='replace')}")

    def url(self, name: str = "postgres") -> str:
        """The URL of the database *name*."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self._process = self._run(
            "postgres", "-D", str(self._data), "-p", str(self.port), *settings
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.02)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop it and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(_SIGNALS[mode])
            process.communicate(timeout=STOP_SECONDS)
            ports.hold_for_successor(self.port)

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def create(self, name: str, *, template: str = "template0") -> str:
        """Make the database *name* as a copy of *template*; return its URL."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, name: str) -> None:
        """Delete the database *name*, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, *, name: str = "postgres") -> None:
        """Run one statement on the database *name*."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url(name))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        run_apart(run())

    def _is_ready(self) -> bool:
        """The eighth line of its pid file says so (that is how pg_ctl knows)."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self._pid())

    def _pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        account: dict[str, Any] = {}
        if self._account is not None:
            account = {"user": self._account, "group": self._account, "extra_groups": []}
        return subprocess.Popen(
            [self._programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
            **account,
        )


def postgres_programs() -> Path | None:
    """The folder with `initdb` and `postgres`: on the PATH or where Debian keeps them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(folders, key=lambda path: float(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


def new_postgres_server() -> PostgresServer:
    """A server that is not started yet; skips the test, or fails it in CI, without PostgreSQL."""
    programs = postgres_programs()
    if programs is None:
        reason = "PostgreSQL's programs are not installed (Debian: apt install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return PostgresServer(programs)


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end in a thread and a loop of its own, also while a loop runs here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def free_port() -> int:
    """A port of the loopback interface that nothing listens on, and that nobody else gets."""
    return ports.hold()


class EmptiedDatabase:
    """A database that is emptied after each test, and made anew when its tables have changed."""

    def __init__(self, server: PostgresServer) -> None:
        """Nothing is made yet."""
        self._server = server
        self._name: str | None = None
        self._shape: object = None

    def take(self) -> str:
        """Its URL."""
        if self._name is None:
            self._name = f"test_{uuid4().hex}"
            self._server.create(self._name, template=TEMPLATE)
            run_apart(self._keep())
        return self._server.url(self._name)

    def give_back(self) -> None:
        """Empty it, whoever is still connected to it."""
        if not run_apart(self._empty()):
            assert self._name is not None
            self._server.drop(self._name)
            self._name = None

    async def _keep(self) -> None:
        connection = await asyncpg.connect(self._server.url(str(self._name)))
        self._shape = await connection.fetchval(_SHAPE)
        await connection.execute(_KEEP)
        await connection.close()

    async def _empty(self) -> bool:
        """Whether it could be emptied and is as it was."""
        connection = await asyncpg.connect(self._server.url(str(self._name)))
        try:
            is_same = bool(await connection.fetchval(_SHAPE) == self._shape)
            if is_same:
                await connection.execute(_EMPTY)
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()
        return is_same


def _unprivileged_account() -> str | None:
    """PostgreSQL refuses to run as root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    accounts = Path("/etc/passwd").read_text().splitlines()
    names = {line.partition(":")[0] for line in accounts}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One running server for all tests of this process, with a migrated template database."""
    server = new_postgres_server()
    try:
        server.start()
        run_apart(_prepare(server.create(TEMPLATE)))
        yield server
    finally:
        server.remove()


async def _prepare(url: str) -> None:
    database = Database(url)
    await prepare(database)
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'officeai.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"test_{uuid4().hex}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables: copying it is much faster than making one."""
    file = tmp_path_factory.mktemp("template") / "officeai.db"
    run_apart(_prepare(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def _emptied(postgres_server: PostgresServer) -> EmptiedDatabase:
    """A PostgreSQL database that is used again and again: emptying is faster than making."""
    return EmptiedDatabase(postgres_server)


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a SQLite file with all tables and nothing in them."""
    file = tmp_path / "officeai.db"
    shutil.copyfile(_sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_url(_emptied: EmptiedDatabase) -> Iterator[str]:
    """The URL of a PostgreSQL database with all tables and nothing in them."""
    yield _emptied.take()
    _emptied.give_back()


@pytest.fixture(params=["sqlite", "postgresql"])
def prepared_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with all tables and nothing in them."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(prepared_url: str) -> AsyncIterator[Database]:
    """A database with all tables and nothing in them."""
    database = Database(prepared_url)
    yield database
    await database.close()
