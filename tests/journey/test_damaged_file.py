"""An SQLite file that is damaged or replaced: all say so and what to do; no call is given up."""

import re
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from tests.journey.test_command_line import run
from tests.proxies import CopiedProxy
from tests.upstream import ScriptedUpstream

from officeai_proxy.errors import DatabaseDamaged, DatabaseMoved

PAGE = 4096
PATIENCE = 60.0
STORE_FAILED = re.compile(r"^officeai_recorder_store_failures_total [1-9]", re.MULTILINE)
RESCUE = DatabaseDamaged().message


def fill(file: Path) -> None:
    """Conversations enough for many pages, all of them in the file and none in its log."""
    run("db", "upgrade", folder=file.parent, DATABASE_URL=f"sqlite:///{file}")
    connection = sqlite3.connect(file)
    connection.executemany(
        "INSERT INTO conversations (workspace, user_identifier, session_id, title, metadata, "
        "message_count, path_count, created_at, updated_at) VALUES ('default', 'ann', ?, ?, '{}', "
        "0, 0, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000')",
        [(f"s{number}", "words " * 100) for number in range(500)],
    )
    connection.commit()
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()


def overwrite_rows(file: Path) -> None:
    """Spoil every page that holds a title: the database disk image is malformed."""
    data = bytearray(file.read_bytes())
    for at in range(PAGE, len(data), PAGE):
        if b"words words" in data[at : at + PAGE]:
            data[at : at + PAGE] = b"\xa5" * PAGE
    file.write_bytes(data)


def overwrite_head(file: Path) -> None:
    """Spoil the first page: the file is not a database."""
    file.write_bytes(b"\xa5" * PAGE + file.read_bytes()[PAGE:])


@pytest.fixture(params=[overwrite_rows, overwrite_head], ids=lambda way: way.__name__)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of which a part was overwritten."""
    file = tmp_path / "damaged.db"
    fill(file)
    request.param(file)
    return file


@pytest.mark.parametrize("command", [("db", "check"), ("export", "-o", "all.json"), ("doctor",)])
def test_commands_say_what_to_do(damaged: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit code 1, no traceback, no file, and never that waiting would help."""
    folder = tmp_path / "cli"
    folder.mkdir()

    done: subprocess.CompletedProcess[str] = run(
        *command,
        folder=folder,
        DATABASE_URL=f"sqlite:///{damaged}",
        UPSTREAM_BASE_URL="http://127.0.0.1:9/v1",
        API_KEYS="sk-test",
    )

    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert RESCUE in told
    assert "Traceback" not in told
    assert "cannot be reached right now" not in told
    assert not list(folder.glob("*.json*"))


def test_reads_say_so_and_calls_wait_for_the_backup(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """A call that was made meanwhile is in the file that is put in the damaged one's place."""
    file, backup = tmp_path / "a.db", tmp_path / "backup.db"
    fill(file)
    backup.write_bytes(file.read_bytes())
    overwrite_rows(file)
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": f"sqlite:///{file}"}
    with CopiedProxy(tmp_path / "run", settings) as proxy:
        refused = proxy.get("/conversations")
        with proxy.client("after", "bob") as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "kept"}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        began = time.monotonic()
        while not STORE_FAILED.search(proxy.get("/metrics").text):
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.05)
        recorder = proxy.get("/health").json()["recorder"]
        proxy.stop()

        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_damaged")
        assert RESCUE in refused.json()["error"]["message"]
        assert (recorder["pending"], recorder["set_aside"]) == (1, 0)

        for name in (f"{file}-wal", f"{file}-shm"):
            Path(name).unlink(missing_ok=True)
        backup.replace(file)
        proxy.start()
        assert proxy.path_of("after") == [("user", "kept"), ("assistant", "echo: kept")]


def test_calls_wait_where_another_file_takes_its_place(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """What is said after a backup was put there is in it with the next start."""
    file, backup = tmp_path / "a.db", tmp_path / "backup.db"
    fill(file)
    backup.write_bytes(file.read_bytes())
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": f"sqlite:///{file}"}
    body = {"model": "m", "messages": [{"role": "user", "content": "kept"}]}
    with CopiedProxy(tmp_path / "run", settings) as proxy:
        assert proxy.get("/conversations").status_code == 200
        backup.replace(file)
        for name in (f"{file}-wal", f"{file}-shm"):
            Path(name).unlink(missing_ok=True)
        with proxy.client("after", "bob") as client:
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        health, refused = proxy.get("/health").json(), proxy.get("/conversations")
        proxy.kill()

        assert DatabaseMoved().message in health["reasons"]
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "database_unavailable",
        )

        proxy.start()
        assert proxy.path_of("after") == [("user", "kept"), ("assistant", "echo: kept")]
