"""What a database says is told to who runs the program, and rights are missed before they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from tests.databases import PostgresServer, free_port, run_apart

from officeai_proxy import cli
from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.schema.rights import missing_right


@pytest.fixture
def guest(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database for an account that may do nothing there but connect."""
    name, account = f"test_{uuid4().hex}", f"guest_{uuid4().hex[:8]}"
    url = postgres_server.create(name)
    postgres_server.execute(f"CREATE ROLE {account} LOGIN PASSWORD 'secret'")
    yield url.replace("postgres@", f"{account}:secret@")
    postgres_server.drop(name)
    postgres_server.execute(f"DROP ROLE {account}")


def parts_of(url: str) -> tuple[str, str]:
    """The account and the database."""
    return url.split("//")[1].partition(":")[0], url.rpartition("/")[2]


async def a_missing_right(url: str, *, is_current: bool) -> str | None:
    database = Database(url)
    try:
        return await missing_right(database, is_current=is_current)
    finally:
        await database.close()


async def test_a_right_to_make_tables(postgres_server: PostgresServer, guest: str) -> None:
    """Without it the schema cannot be made, and the database's own words come out."""
    account, name = parts_of(guest)
    database = Database(guest)
    with pytest.raises(DatabaseUnavailable, match="permission denied for schema public"):
        await prepare(database)
    await database.close()

    found = await a_missing_right(guest, is_current=False)
    postgres_server.execute(f"GRANT CREATE ON SCHEMA public TO {account}", name=name)

    assert found is not None
    assert account in found
    assert "CREATE" in found
    assert await a_missing_right(guest, is_current=False) is None


async def test_a_right_to_the_tables(postgres_server: PostgresServer, guest: str) -> None:
    """Tables that another account has made can be used when they are granted, and not changed."""
    account, name = parts_of(guest)
    owner = Database(postgres_server.url(name))
    await prepare(owner)
    await owner.close()
    postgres_server.execute(f"GRANT CREATE ON SCHEMA public TO {account}", name=name)

    used = await a_missing_right(guest, is_current=True)
    changed = await a_missing_right(guest, is_current=False)
    postgres_server.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {account}", name=name)

    assert used is not None
    assert "SELECT" in used
    assert changed is not None
    assert "does not own" in changed
    assert await a_missing_right(guest, is_current=True) is None
    postgres_server.execute(f"DROP OWNED BY {account}", name=name)


def wrong(url: str, how: str) -> str:
    """A URL as people get it wrong."""
    account, name = parts_of(url)
    return {
        "no such database": url.replace(name, "nowhere"),
        "no such role": url.replace(account, "nobody_here"),
        "no such host": url.rpartition("@")[0] + "@nowhere.invalid/x",
        "nobody listens": url.rpartition("@")[0] + f"@127.0.0.1:{free_port()}/x",
        "no right": url,
    }[how]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no such database", 'database "nowhere" does not exist'),
        ("no such role", 'role "nobody_here" does not exist'),
        ("no such host", "Errno"),
        ("nobody listens", "Errno 111"),
        ("no right", "may not make tables"),
    ],
)
def test_the_doctor_tells_what_the_database_said(
    guest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, words: str
) -> None:
    """Each cause has its own words, and no password is among them."""
    monkeypatch.setenv("OFFICEAI_DATABASE_URL", wrong(guest, how))
    monkeypatch.setenv("OFFICEAI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OFFICEAI_UPSTREAM_BASE_URL", "http://127.0.0.1:9/v1")

    told = CliRunner().invoke(cli.root, ["doctor", "--json"]).output
    upgraded = CliRunner().invoke(cli.root, ["db", "upgrade"]).exception

    (finding,) = [found for found in json.loads(told) if found["what"] == "database"]
    assert not finding["is_well"]
    assert words in finding["note"]
    assert "secret" not in told
    assert isinstance(upgraded, DatabaseUnavailable)
    assert upgraded.said
    assert "secret" not in str(upgraded)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """SQLite and the system say what is in the way as well."""
    (tmp_path / "x.db").mkdir()

    with pytest.raises(DatabaseUnavailable) as raised:
        run_apart(prepare(Database(f"sqlite:///{tmp_path / 'x.db'}")))

    assert raised.value.said
    assert raised.value.said not in raised.value.message
