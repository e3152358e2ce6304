"""`officeai-proxy import`: a file straight into the database, as a person runs it."""

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from tests.exports import CURSOR, own_conversation, own_jsonl

from officeai_proxy import cli
from officeai_proxy.errors import ProxyError
from officeai_proxy.imports import MAX_ERRORS
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import conversations


@pytest.fixture(autouse=True)
def _in_a_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICEAI_DATABASE_URL", database_url)


def import_(tmp_path: Path, data: bytes, *options: str) -> Result:
    """Run the command on a file of *data*."""
    file = tmp_path / "file"
    file.write_bytes(data)
    return CliRunner().invoke(cli.root, ["import", str(file), *options])


def owners(database_url: str) -> list[tuple[str, str]]:
    """Workspace and user of what is there."""

    async def read() -> list[tuple[str, str]]:
        database = Database(database_url)
        try:
            async with database.read() as connection:
                c = conversations.c
                found = await connection.execute(select(c.workspace, c.user_identifier))
                return [(row.workspace, row.user_identifier) for row in found]
        finally:
            await database.close()

    return asyncio.run(read())


def test_a_file_that_is_none_of_them_fails(tmp_path: Path) -> None:
    """What cannot be imported is said in the words of the error, and no row is made."""
    result = import_(tmp_path, b"hello")

    assert isinstance(result.exception, ProxyError)
    assert "none of those that can be imported" in result.exception.message


def test_a_bad_name_is_refused(tmp_path: Path) -> None:
    """A user that can be none is refused before anything is read."""
    assert import_(tmp_path, CURSOR.encode(), "--user", "a/b").exit_code == 2


def test_failures_are_told_and_end_with_1(tmp_path: Path) -> None:
    """Each failure is a line with its place, and all else is imported."""
    bad = [own_conversation(f"a/{number}") for number in range(MAX_ERRORS + 1)]

    result = import_(tmp_path, own_jsonl(own_conversation(), *bad))

    assert result.exit_code == 1
    assert "conversation 2: session_id holds a `/`" in result.output
    assert "and 1 more that failed" in result.output
    assert "1 imported, 0 there already, 101 failed; 6 messages added" in result.output


def test_what_comes_through_a_pipe_is_read_as_a_file_is(database_url: str) -> None:
    """An export is handed on without a file between, though its reader goes to and fro in it."""
    reading, writing = os.pipe()
    os.write(writing, own_jsonl(own_conversation()))
    os.close(writing)

    through_a_pipe = CliRunner().invoke(cli.root, ["import", f"/dev/fd/{reading}"])
    os.close(reading)
    by_standard_input = CliRunner().invoke(cli.root, ["import", "-"], input=CURSOR)

    assert (through_a_pipe.exit_code, by_standard_input.exit_code) == (0, 0)
    assert sorted(owners(database_url)) == [("default", "alice"), ("default", "imported")]


def test_it_lands_where_it_is_told_to(tmp_path: Path, database_url: str) -> None:
    """Workspace and user are those of the options; again adds nothing."""
    options = ("--user", "ann", "--workspace", "team")

    first = import_(tmp_path, CURSOR.encode(), *options)
    again = import_(tmp_path, CURSOR.encode(), *options)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "1 imported, 0 there already, 0 failed; 4 messages added" in first.output
    assert "0 imported, 1 there already, 0 failed; 0 messages added" in again.output
    assert owners(database_url) == [("team", "ann")]
