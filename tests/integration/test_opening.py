"""The schema is changed in a process of its own, and what fails there is told by the next one."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.integration.stored import NOW

from officeai_proxy.cli.opening import database_of, first_key, upgrade_apart, with_database
from officeai_proxy.errors import ConfigurationError, DatabaseUnavailable
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import SCHEMA_REVISION, revision_of

SOURCES = Path(__file__).resolve().parents[2] / "src"

# In a process of its own, for a test's has threads beside its first.
UPGRADE = """
import sys
from officeai_proxy.cli.opening import upgrade_apart, with_database
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.schema.migrations import revision_of

settings = load_settings(database_url=sys.argv[1], _env_file=None)
for _ in range(2):
    upgrade_apart(settings)
print(with_database(settings, revision_of), "alembic" in sys.modules)
"""

NEWER = """
import sys
from officeai_proxy.cli.opening import upgrade_apart
from officeai_proxy.settings import load_settings

upgrade_apart(load_settings(database_url=sys.argv[1], _env_file=None))
print("went on")
"""


def run_python(program: str, database_url: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", program, database_url],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip(), done.stderr


def settings_for(database_url: str) -> Settings:
    return load_settings(database_url=database_url, _env_file=None)


async def set_revision(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def revision(settings: Settings) -> str | None:
    async def look() -> str | None:
        database = database_of(settings)
        try:
            return await revision_of(database)
        finally:
            await database.close()

    return asyncio.run(look())


def test_a_database_that_is_away_is_told() -> None:
    """There is nothing to be done apart then."""
    with pytest.raises(DatabaseUnavailable):
        upgrade_apart(settings_for("postgresql://nobody@127.0.0.1:9/nothing"))


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    """It was told that a file exists, which nobody can do anything with."""
    with pytest.raises(DatabaseUnavailable, match="Is a directory"):
        revision(settings_for(f"sqlite:///{tmp_path}"))


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    """What it leads to is missing, and nobody lacks a permission."""
    (tmp_path / "link.db").symlink_to(tmp_path / "unmounted" / "real.db")
    with pytest.raises(DatabaseUnavailable, match=r"No such file .*unmounted/real\.db"):
        revision(settings_for(f"sqlite:///{tmp_path}/link.db"))


def test_a_newer_database_is_left_to_the_next(database_url: str) -> None:
    """The other process says nothing; whoever opens the database next says what is in the way."""
    settings = settings_for(database_url)
    with_database(settings, set_revision)

    assert run_python(NEWER, database_url) == ("went on", "")
    with pytest.raises(ConfigurationError, match="a newer officeai-proxy made it"):
        with_database(settings, revision_of)


def test_nothing_is_done_beside_other_threads(database_url: str) -> None:
    """A copy of a process with threads may hang; the schema is left to whoever opens it next."""
    settings = settings_for(database_url)
    may_end = threading.Event()
    other = threading.Thread(target=may_end.wait)
    other.start()
    try:
        upgrade_apart(settings)
    finally:
        may_end.set()
        other.join()

    assert revision(settings) is None
    assert with_database(settings, revision_of) == SCHEMA_REVISION


def test_alembic_goes_with_the_process_that_needed_it(database_url: str) -> None:
    """The schema is there, and the program that goes on has not loaded what made it."""
    assert run_python(UPGRADE, database_url) == (f"{SCHEMA_REVISION} False", "")


async def test_hosts_that_start_together_make_one_key(prepared_url: str) -> None:
    """Each of several would have every scope, and who knows of one would not revoke the rest."""
    hosts = [Database(prepared_url) for _ in range(4)]

    made = await asyncio.gather(*(first_key(host, now=NOW) for host in hosts))

    assert len([key for key in made if key]) == 1
    for host in hosts:
        await host.close()
