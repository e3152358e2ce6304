"""`officeai-proxy export` beside a running program: the file is whole or not there."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks.exports import download, fill
from tests.conftest import StartProxy
from tests.databases import run_apart
from tests.integration.stored import say, start
from tests.journey.test_command_line import run
from tests.proxies import COMMAND, RunningProxy, clean_environment

from officeai_proxy.storage.database import Database

PATIENCE = 30.0


@pytest.fixture
def talked(start_proxy: StartProxy) -> RunningProxy:
    """A running proxy that has recorded a conversation of ann, and one of bob."""
    proxy = start_proxy()
    for session, user in (("trip", "ann"), ("work", "bob")):
        with proxy.client(session, user) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": f"=去 {session}"}]}
            client.post("/v1/chat/completions", json=body)
        proxy.path_of(session)
    return proxy


def test_the_format_follows_from_the_name(
    talked: RunningProxy, prepared_url: str, tmp_path: Path
) -> None:
    """Each file is what HTTP gives, is told on standard error, and leaves nothing beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("all.json", "all.csv", "all.zip"):
        done = run("export", "-o", name, folder=folder, DATABASE_URL=prepared_url)
        assert (done.returncode, done.stdout) == (0, "")
        assert "2 conversations with 4 messages" in done.stderr

    served = talked.get("/conversations/export-all").content
    assert (folder / "all.json").read_bytes() == served
    rows = list(csv.DictReader(io.StringIO((folder / "all.csv").read_text("utf-8-sig"))))
    assert rows[0]["content"] == "'=去 trip"
    with zipfile.ZipFile(folder / "all.zip") as archive:
        assert archive.testzip() is None
    assert sorted(path.name for path in folder.iterdir()) == ["all.csv", "all.json", "all.zip"]


def test_filters_and_standard_output(
    talked: RunningProxy, prepared_url: str, tmp_path: Path
) -> None:
    """Session, user, workspace and format, into a pipe."""
    del talked

    def lines(*arguments: str) -> list[str]:
        done = run("export", "-f", "jsonl", *arguments, folder=tmp_path, DATABASE_URL=prepared_url)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["session_id"] for line in done.stdout.splitlines()]

    assert lines() == ["trip", "work"]
    assert lines("--session", "trip") == ["trip"]
    assert lines("--user", "bob") == ["work"]
    assert lines("--workspace", "other") == []
    assert lines("--before", "2020-01-01") == []
    raw = run("export", "-f", "csv", "--no-csv-safe", folder=tmp_path, DATABASE_URL=prepared_url)
    assert "=去 trip" in raw.stdout
    assert "'=去" not in raw.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--session", "nobody"), 1, "no conversation"),
        (("--format", "pdf"), 2, "pdf"),
        (("--after", "yesterday"), 2, "yesterday"),
        (("-o", "no/such/folder/a.json"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_file(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """The message says what is wrong, without a traceback."""
    folder = tmp_path / "out"
    folder.mkdir()
    output = () if "-o" in arguments else ("-o", "a.json")

    url = f"sqlite:///{tmp_path / 'a.db'}"
    done = run("export", *arguments, *output, folder=folder, DATABASE_URL=url)

    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_ctrl_c_leaves_the_old_file(tmp_path: Path) -> None:
    """Stopped in the middle, neither a half file nor the part of one is there."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    run("db", "upgrade", folder=tmp_path, DATABASE_URL=url)
    run_apart(fill(url, 100_000, 100_000))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "all.xlsx").write_text("old")

    process = subprocess.Popen(
        (*COMMAND, "export", "-o", "all.xlsx"),
        cwd=folder,
        env=clean_environment(OFFICEAI_DATABASE_URL=url),
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has Ctrl-C ignored in all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part, began = folder / "all.xlsx.part", time.monotonic()
    while not part.exists() or part.stat().st_size == 0:
        assert process.poll() is None, "it was too fast"
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)

    assert process.returncode != 0
    assert b"Traceback" not in told
    assert [path.name for path in folder.iterdir()] == ["all.xlsx"]
    assert (folder / "all.xlsx").read_text() == "old"


def test_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    """On a terminal there are the count, the rate and the time that is left; and the file."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    run("db", "upgrade", folder=tmp_path, DATABASE_URL=url)
    run_apart(_fill(url))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (*COMMAND, "export", "-o", "all.jsonl"),
        cwd=tmp_path,
        env=clean_environment(OFFICEAI_DATABASE_URL=url, TERM="xterm", COLUMNS="100"),
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    # A terminal that nobody has open any more answers with an error instead of an end.
    with suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)

    assert process.wait(PATIENCE) == 0
    assert b"Exporting" in shown
    assert re.search(rb"10000/10000.*messages, [\d,]+ a second, .*0:00:00", shown)
    assert (tmp_path / "all.jsonl").read_bytes().count(b"\n") == 1


async def _fill(url: str) -> None:
    database = Database(url)
    conversation = await start(database)
    for _ in range(10):
        await say(database, conversation, *[f"{n} {'words ' * 300}" for n in range(1000)])
    await database.close()


def test_memory_does_not_grow_with_the_export(tmp_path: Path) -> None:
    """A conversation of 200,000 messages takes the server a few megabytes, and starts at once."""
    url = f"sqlite:///{tmp_path / 'large.db'}"
    run_apart(fill(url, 200_000, 200_000))
    with RunningProxy(tmp_path / "run", {"DATABASE_URL": url}) as proxy:
        for name in ("csv", "json"):
            done = download(proxy, name)
            assert done.size > 100_000_000
            assert done.growth < 50 * 1024**2
            assert done.first_byte < 1
