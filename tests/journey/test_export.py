"""`officeai-proxy export` beside a running program: the file is whole or not there."""

import csv
import io
import json
import os
import pty
import re
import signal
import stat
import subprocess
import time
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from benchmarks.exports import download, fill
from tests import forkserver
from tests.conftest import StartProxy
from tests.databases import run_apart
from tests.integration.stored import say, start
from tests.journey.test_command_line import run
from tests.proxies import COMMAND, CopiedProxy, RunningProxy, clean_environment
from tests.timing import soon

from officeai_proxy.storage.database import Database

PATIENCE = 60.0


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
    """Session, user, workspace and format, into a pipe. A name without anything is sealed."""

    def lines(*arguments: str) -> list[str]:
        done = run("export", "-f", "jsonl", *arguments, folder=tmp_path, DATABASE_URL=prepared_url)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["session_id"] for line in done.stdout.splitlines()]

    assert lines() == ["trip", "work"]
    assert lines("--session", "trip") == ["trip"]
    assert lines("--user", "bob") == ["work"]
    assert lines("--workspace", "other") == []
    assert lines("--before", "2020-01-01", "--user", "ann") == []
    [row] = talked.get("/audit", action="workspace.export", limit="1").json()["data"]
    assert row["user_identifier"] is None
    assert lines("--before", "2020-01-01t00:00:00z") == []
    raw = run("export", "-f", "csv", "--no-csv-safe", folder=tmp_path, DATABASE_URL=prepared_url)
    assert "=去 trip" in raw.stdout
    assert "'=去" not in raw.stdout
    odd = run("export", "-o", "all.docx", folder=tmp_path, DATABASE_URL=prepared_url)
    assert "to all.docx, as json." in odd.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--session", "nobody"), 1, "no conversation"),
        (("--format", "pdf"), 2, "pdf"),
        (("--after", "yesterday"), 2, "yesterday"),
        (("--after", "0001-01-01T00:00+14:00"), 2, "is not a moment"),
        (("-o", "no/such/folder/a.json"), 1, "cannot be written"),
        (("-o", ""), 2, "needs a name"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_file(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """The message says what is wrong, without a traceback."""
    folder = tmp_path / "out"
    folder.mkdir()
    output = () if "-o" in arguments else ("-o", "a.json")

    done = run("export", *arguments, *output, folder=folder, DATABASE_URL=sqlite_url)

    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_link_stays_and_leads_to_the_new_file(sqlite_url: str, tmp_path: Path) -> None:
    """The file that it points to is replaced, also in another folder, and keeps its rights."""
    folder, far = tmp_path / "out", tmp_path / "far"
    folder.mkdir()
    far.mkdir()
    (far / "real.json").write_text("old")
    (far / "real.json").chmod(0o600)
    (folder / "all.json.part").write_text("somebody's own")
    (folder / "all.json").symlink_to(far / "real.json")

    done = run("export", "-o", "all.json", folder=folder, DATABASE_URL=sqlite_url)

    assert done.returncode == 0, done.stderr
    assert (folder / "all.json").is_symlink()
    assert json.loads((far / "real.json").read_text())["complete"] is True
    assert stat.S_IMODE((far / "real.json").stat().st_mode) == 0o600
    assert (folder / "all.json.part").read_text() == "somebody's own"
    assert sorted(path.name for path in folder.iterdir()) == ["all.json", "all.json.part"]


def test_a_new_file_has_ordinary_rights(sqlite_url: str, tmp_path: Path) -> None:
    """Those that the umask leaves, as any other file."""
    done = run("export", "-o", "new.json", folder=tmp_path, DATABASE_URL=sqlite_url)

    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    before = os.umask(0o022)
    os.umask(before)
    return before


def test_a_pipe_is_written_to_and_stays_a_pipe(sqlite_url: str, tmp_path: Path) -> None:
    """Whoever reads at its other end gets the export."""
    pipe = tmp_path / "all.jsonl"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)

    done = run("export", "-f", "json", "-o", "all.jsonl", folder=tmp_path, DATABASE_URL=sqlite_url)
    if not pipe.is_fifo():
        reader.kill()
    got, _ = reader.communicate(timeout=PATIENCE)

    assert done.returncode == 0, done.stderr
    assert pipe.is_fifo()
    assert json.loads(got)["complete"] is True


def test_the_device_of_standard_output_is_standard_output(sqlite_url: str, tmp_path: Path) -> None:
    """What stands in the file that it leads to stays, and the export comes behind it."""
    file = tmp_path / "all.json"
    with file.open("wb") as output:
        output.write(b" " * 100)
        output.flush()
        done = forkserver.run(
            ("export", "-o", "/dev/stdout"),
            folder=tmp_path,
            environment=clean_environment(OFFICEAI_DATABASE_URL=sqlite_url),
            stdout=output,
        )
    assert done.returncode == 0, done.stderr
    assert file.read_text().startswith(" " * 100 + "{")
    assert json.loads(file.read_text())["complete"] is True


@pytest.mark.parametrize("is_closed", [False, True], ids=["full", "closed"])
@pytest.mark.parametrize(
    "arguments",
    [
        *(("search", "hello"), ("export",), ("db", "check"), ("--help",), ("stats",)),
        *(("keys", "list"), ("keys", "create", "--name", "n")),
    ],
)
def test_an_output_that_takes_no_more_is_one_line(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], is_closed: bool
) -> None:
    """The exit code is 1, the reason stands on standard error, and nothing of Python's.

    A key that nobody can have seen was not made.
    """
    environment = clean_environment(OFFICEAI_DATABASE_URL=sqlite_url)
    if is_closed:
        done = subprocess.run(
            ("sh", "-c", '"$@" >&-', "sh", *COMMAND, *arguments),
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    else:
        with Path("/dev/full").open("wb") as full:
            done = forkserver.run(arguments, folder=tmp_path, environment=environment, stdout=full)
    (line,) = done.stderr.splitlines()
    reason = "Bad file descriptor" if is_closed else "No space left on device"
    assert f"cannot be written: {reason}" in line
    assert done.returncode == 1
    if arguments[0] == "keys":
        listed = run("keys", "list", "--json", folder=tmp_path, DATABASE_URL=sqlite_url)
        assert json.loads(listed.stdout) == []


def test_a_file_that_takes_no_more_is_one_line(sqlite_url: str, tmp_path: Path) -> None:
    """It is named."""
    done = run("export", "-o", "/dev/full", folder=tmp_path, DATABASE_URL=sqlite_url)
    (line,) = done.stderr.splitlines()
    assert "/dev/full cannot be written: No space left on device" in line
    assert done.returncode == 1


def test_a_key_is_rotated_only_for_somebody_to_see(sqlite_url: str, tmp_path: Path) -> None:
    """The old key goes on when the new one cannot be shown."""
    made = json.loads(
        run(
            "keys", "create", "--name", "n", "--json", folder=tmp_path, DATABASE_URL=sqlite_url
        ).stdout
    )
    with Path("/dev/full").open("wb") as full:
        code = forkserver.run(
            ("keys", "rotate", made["id"], "--overlap", "0"),
            folder=tmp_path,
            environment=clean_environment(OFFICEAI_DATABASE_URL=sqlite_url),
            stdout=full,
        ).returncode
    (left,) = json.loads(
        run("keys", "list", "--json", folder=tmp_path, DATABASE_URL=sqlite_url).stdout
    )
    assert code == 1
    assert (left["id"], left["revoked_at"]) == (made["id"], None)


def test_statistics_can_be_printed_in_ascii(sqlite_url: str, tmp_path: Path) -> None:
    """A table has lines and dashes, which a stream that is ASCII does not take by itself."""
    done = subprocess.run(
        (*COMMAND, "stats"),
        cwd=tmp_path,
        env={
            **clean_environment(OFFICEAI_DATABASE_URL=sqlite_url),
            "PYTHONIOENCODING": "ascii",
            "LC_ALL": "C",
        },
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"calls" in done.stdout
    assert done.stderr == b""


def test_a_signal_leaves_the_old_file(sqlite_url: str, tmp_path: Path) -> None:
    """Stopped in the middle by Ctrl-C, by `kill` or by a terminal that closes, neither a half file
    nor the part of one is there.
    """
    run_apart(fill(sqlite_url, 100_000, 100_000))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "all.xlsx").write_text("old")

    assert _stopped_export(folder, sqlite_url, signal.SIGINT) == 1
    assert _stopped_export(folder, sqlite_url, signal.SIGTERM) == 128 + signal.SIGTERM
    assert _stopped_export(folder, sqlite_url, signal.SIGHUP) == 128 + signal.SIGHUP


def _stopped_export(folder: Path, url: str, number: signal.Signals) -> int:
    """The exit code of an export to `all.xlsx` that gets the signal *number* while it writes."""
    process = subprocess.Popen(
        (*COMMAND, "export", "-o", "all.xlsx"),
        cwd=folder,
        env=clean_environment(OFFICEAI_DATABASE_URL=url),
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has Ctrl-C ignored in all that they start.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    began = time.monotonic()
    while not any(part.stat().st_size for part in folder.glob(".*.part")):
        assert process.poll() is None, "it was too fast"
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.002)
    process.send_signal(number)
    _, told = process.communicate(timeout=PATIENCE)

    assert b"Traceback" not in told
    assert [path.name for path in folder.iterdir()] == ["all.xlsx"]
    assert (folder / "all.xlsx").read_text() == "old"
    return process.returncode


def test_a_terminal_shows_a_bar(sqlite_url: str, tmp_path: Path) -> None:
    """On a terminal there are the count, the rate and the time that is left; and the file."""
    run_apart(_fill(sqlite_url))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (*COMMAND, "export", "-o", "all.jsonl"),
        cwd=tmp_path,
        env=clean_environment(OFFICEAI_DATABASE_URL=sqlite_url, TERM="xterm", COLUMNS="100"),
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
    with CopiedProxy(tmp_path / "run", {"DATABASE_URL": url}) as proxy:

        def seconds_to_begin(name: str) -> float:
            done = download(proxy, name)
            assert done.size > 100_000_000
            assert done.growth < 50 * 1024**2
            return done.first_byte

        for name in ("csv", "json"):
            soon(partial(seconds_to_begin, name), within=1)
