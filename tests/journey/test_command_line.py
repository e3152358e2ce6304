"""The command line beside a running program: keys, database, doctor, demo."""

import json
import re
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests import forkserver
from tests.conftest import StartProxy
from tests.databases import free_port
from tests.proxies import COMMAND, PLAIN, CopiedProxy, RunningProxy, clean_environment

IN_FORCE = 5.0
"""Seconds after which a change of a key is in force."""


def run(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    named = {f"OFFICEAI_{name}": value for name, value in settings.items()}
    return forkserver.run(arguments, folder=folder, environment=clean_environment(**named))


def status_with(proxy: RunningProxy, key: str) -> int:
    with proxy.client() as client:
        authorization = {"Authorization": f"Bearer {key}"}
        return client.get("/conversations", headers=authorization).status_code


def wait_for(proxy: RunningProxy, key: str, status: int) -> None:
    """Wait until *key* gives *status*; whoever asks five seconds from now has to get it.

    When it was asked counts: the answer may take its time on a busy machine.
    """
    began = asked = time.monotonic()
    while status_with(proxy, key) != status:
        assert asked - began < IN_FORCE
        time.sleep(0.1)
        asked = time.monotonic()


def test_keys_are_made_and_revoked_while_the_program_runs(
    start_proxy: StartProxy, prepared_url: str, tmp_path: Path
) -> None:
    """A new key opens, and a revoked one closes, within five seconds, in every worker."""
    proxy = start_proxy(WORKERS="2")
    settings = {"DATABASE_URL": prepared_url, "DATA_DIR": str(tmp_path / "cli")}

    made = run("keys", "create", "--name", "laptop", folder=tmp_path, **settings)
    *_, identity, key = made.stdout.split()
    wait_for(proxy, key, 200)
    listed = run("keys", "list", "--json", folder=tmp_path, **settings)
    (entry,) = json.loads(listed.stdout)
    revoked = run("keys", "revoke", identity, folder=tmp_path, **settings)
    wait_for(proxy, key, 401)
    again = run("keys", "revoke", identity, folder=tmp_path, **settings)

    assert (entry["id"], entry["name"], entry["state"]) == (identity, "laptop", "active")
    assert key not in listed.stdout
    assert revoked.returncode == 0
    assert again.returncode == 1
    assert "no key" in again.stderr


def test_the_list_of_keys_says_when_they_end_and_whose_they_are(tmp_path: Path) -> None:
    """The end of an overlap is seen in the text, and the rotated key has the end of the first."""
    settings = {"DATA_DIR": str(tmp_path / "data")}
    made = run("keys", "create", "--name", "a", "--expires", "90d", folder=tmp_path, **settings)
    identity = made.stdout.split()[-2]
    # Whoever is in another folder than `serve` hears of it.
    assert f"no database {tmp_path}/data/officeai.db; it is made now" in made.stderr
    for overlap in ("2h", "1h"):
        done = run("keys", "rotate", identity, "--overlap", overlap, folder=tmp_path, **settings)
        assert (done.returncode, done.stderr) == (0, "")
    run("keys", "create", "--name", "b", "--user", "ann", folder=tmp_path, **settings)

    lines = run("keys", "list", folder=tmp_path, **settings).stdout.splitlines()

    ends = [re.search(r" ends=(\S+Z)  a$", line) for line in lines]
    old, first, again = [datetime.fromisoformat(end[1]) for end in ends[:3] if end]
    assert old - datetime.now(UTC) <= timedelta(hours=1)
    assert first == again
    assert first - datetime.now(UTC) > timedelta(days=89)
    assert "ends=" not in lines[3]
    assert ["user=ann" in line.split() for line in lines] == [False, False, False, True]


def test_a_key_for_chatting_reads_nothing_and_a_key_for_reading_does_not_chat(
    start_proxy: StartProxy, prepared_url: str, tmp_path: Path
) -> None:
    """Scopes hold on both sides, and a key of another workspace sees nothing of this one."""
    proxy = start_proxy()
    settings = {"DATABASE_URL": prepared_url, "DATA_DIR": str(tmp_path / "cli")}

    def key(*options: str) -> str:
        made = run("keys", "create", "--name", "k", "--json", *options, folder=tmp_path, **settings)
        assert made.returncode == 0, made.stderr
        return str(json.loads(made.stdout)["key"])

    chat, read = key("--scopes", "chat"), key("--scopes", "read")
    other = key("--workspace", "elsewhere")
    bound = key("--user", "ann")
    wait_for(proxy, bound, 200)

    def call(key: str, user: str) -> int:
        with proxy.client("s1", user) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"Authorization": f"Bearer {key}"}
            return client.post("/v1/chat/completions", json=body, headers=headers).status_code

    assert (call(chat, "ann"), call(read, "ann")) == (200, 403)
    assert (call(bound, "bob"), call(bound, "ann")) == (403, 200)
    assert (status_with(proxy, chat), status_with(proxy, read)) == (403, 200)
    with proxy.client() as client:
        foreign = client.get("/conversations/s1", headers={"Authorization": f"Bearer {other}"})
    assert foreign.status_code == 404
    assert len(proxy.path_of("s1")) == 4


def test_no_first_key_is_made_for_nobody_to_see(tmp_path: Path) -> None:
    """Without standard output the program serves, and what could not be shown is not there."""
    port = free_port()
    settings = {"DATA_DIR": str(tmp_path / "data"), "PORT": str(port)}
    process = subprocess.Popen(
        ("sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "serve"),
        cwd=tmp_path,
        env=clean_environment(**{f"OFFICEAI_{name}": value for name, value in settings.items()}),
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}/health/live"
    began = time.monotonic()
    while time.monotonic() < began + 60:
        with suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False, verify=PLAIN).status_code == 200:
                break
        time.sleep(0.1)
    process.terminate()
    _, log = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "no first key is made" in log
    assert "Traceback" not in log
    assert json.loads(run("keys", "list", "--json", folder=tmp_path, **settings).stdout) == []


@pytest.mark.parametrize("place", ["closed/officeai.db", f"{'x' * 256}/officeai.db"])
def test_a_database_that_may_not_be_looked_for_is_one_line(tmp_path: Path, place: str) -> None:
    """In a folder of another account, or with a name that no file has, the reason is told."""
    (tmp_path / "closed").mkdir(mode=0o000)

    told = run("keys", "list", folder=tmp_path, DATABASE_URL=f"sqlite:///{place}")

    assert told.returncode in {0, 1}
    assert "Traceback" not in told.stderr
    assert told.stderr.count("\n") == 1


def test_what_a_terminal_has_no_letters_for_is_told_by_escapes(tmp_path: Path) -> None:
    """Help and lists come in an old encoding, too, and JSON is read whatever stands in it."""
    settings = {"OFFICEAI_DATA_DIR": str(tmp_path / "data")}
    run("keys", "create", "--name", "für 张三 😀", folder=tmp_path, DATA_DIR=str(tmp_path / "data"))

    def told(*arguments: str) -> str:
        environment = clean_environment(PYTHONIOENCODING="latin-1", **settings)
        done = subprocess.run(
            (*COMMAND, *arguments), cwd=tmp_path, env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode("latin-1")

    assert "OFFICEAI_\\u2026 variables" in told("--help")
    assert "für \\u5f20\\u4e09 \\U0001f600" in told("keys", "list")
    assert json.loads(told("keys", "list", "--json"))[0]["name"] == "für 张三 😀"


def test_who_has_no_standard_error_gets_the_work_done(tmp_path: Path) -> None:
    """An export whose progress nobody can see is written all the same."""
    done = subprocess.run(
        ("sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "export", "-o", "all.json"),
        cwd=tmp_path,
        env=clean_environment(OFFICEAI_DATA_DIR=str(tmp_path / "data")),
        check=False,
    )

    assert done.returncode == 0
    assert json.loads((tmp_path / "all.json").read_text())["complete"] is True


def test_the_first_key_is_shown_once(start_proxy: StartProxy, tmp_path: Path) -> None:
    """Without any key the first start makes one and prints it; the next start does not."""
    proxy = start_proxy(API_KEYS="")
    found = re.search(r"sk-oai-[\w-]{43}\n", proxy.banner)
    assert found
    key = found[0].strip()
    assert status_with(proxy, key) == 200
    assert proxy.stop() == 0

    proxy.start()

    assert "sk-oai-" not in proxy.banner
    assert status_with(proxy, key) == 200
    assert key not in proxy.stderr()


def test_a_program_that_still_starts_ends_in_order(tmp_path: Path) -> None:
    """A start that waits for its database is no failure when it is told to end."""
    with socket.create_server(("127.0.0.1", 0)) as database:
        address = f"postgresql://nobody@127.0.0.1:{database.getsockname()[1]}/nothing"
        settings = {"OFFICEAI_DATABASE_URL": address, "OFFICEAI_PORT": "0"}
        with subprocess.Popen(
            (*COMMAND, "serve"), cwd=tmp_path, env=clean_environment(**settings)
        ) as starting:
            waiting, _ = database.accept()
            starting.terminate()
            ended = starting.wait(60)
            waiting.close()

    assert ended == 0


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_a_folder_has_one_database(proxy: RunningProxy, tmp_path: Path) -> None:
    """A second program there with another one is refused: its calls would go to the first's."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    folder = str(proxy.folder / "data")
    refused = run("serve", folder=tmp_path, DATA_DIR=folder, DATABASE_URL=other, PORT="0")

    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert "OFFICEAI_DATA_DIR" in line
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_wrong_options_say_what_is_right(database_url: str, tmp_path: Path) -> None:
    """A wrong scope, duration or name is told with what would be right, and nothing is done."""
    settings = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    key, long = ("keys", "create", "--name", "k"), "x" * 256
    for command, option, value in (
        (key, "--scopes", "chat,root"),
        (key, "--expires", "soon"),
        (key, "--user", "a/b"),
        (("search", "hi"), "--user", ""),
        (("search", "hi"), "--workspace", long),
        (("stats",), "--workspace", long),
    ):
        done = run(*command, option, value, folder=tmp_path, **settings)
        assert done.returncode == 2, done.stdout
        assert option in done.stderr
        assert "Traceback" not in done.stderr


def test_the_database_can_be_upgraded_and_checked(database_url: str, tmp_path: Path) -> None:
    """`db check` refuses a database without tables, and finds a new one sound."""
    settings = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}

    before = run("db", "check", folder=tmp_path, **settings)
    upgraded = run("db", "upgrade", folder=tmp_path, **settings)
    again = run("db", "upgrade", folder=tmp_path, **settings)
    after = run("db", "check", folder=tmp_path, **settings)

    assert before.returncode == 1
    assert "db upgrade" in before.stdout
    assert upgraded.returncode == again.returncode == after.returncode == 0
    assert "already" in again.stdout
    assert "sound" in after.stdout


def test_the_doctor_tells_what_is_wrong(proxy: RunningProxy, tmp_path: Path) -> None:
    """Everything well is exit code 0; an upstream that is not there is named, and exit code 1."""
    settings = {
        "DATABASE_URL": proxy.settings["DATABASE_URL"],
        "DATA_DIR": str(tmp_path / "doctor"),
    }
    well = run(
        "doctor",
        "--json",
        folder=tmp_path,
        UPSTREAM_BASE_URL=proxy.settings["UPSTREAM_BASE_URL"],
        RETENTION_DAYS="90",
        ARCHIVE_DIR=str(tmp_path / "archive"),
        **settings,
    )
    (tmp_path / "file").touch()
    ill = run(
        "doctor",
        folder=tmp_path,
        UPSTREAM_BASE_URL="http://127.0.0.1:9/v1",
        RETENTION_DAYS="90",
        ARCHIVE_DIR=str(tmp_path / "file"),
        RETENTION_DAY="secret",
        **settings,
    )

    lost = run("doctor", folder=tmp_path, UPSTREAM_BASE_URL=f"{proxy.root}/nowhere", **settings)

    assert (
        "answers 404; if calls are answered so, too, a path such as /v1 is missing" in lost.stdout
    )
    assert well.returncode == 0, well.stdout
    assert {finding["what"] for finding in json.loads(well.stdout)} == {
        "settings",
        "data",
        "archive",
        "database",
        "upstream",
        "keys",
    }
    assert ill.returncode == 1
    assert "BAD  upstream" in ill.stdout
    assert "OFFICEAI_UPSTREAM_BASE_URL" in ill.stdout
    assert "BAD  archive" in ill.stdout
    assert "OFFICEAI_ARCHIVE_DIR" in ill.stdout
    assert "BAD  settings  OFFICEAI_RETENTION_DAY in the environment" in ill.stdout
    assert "secret" not in ill.stdout


def test_the_demo_needs_nothing(tmp_path: Path) -> None:
    """The two commands that its banner offers record a conversation and show it."""
    demo = CopiedProxy(tmp_path / "demo", {"API_KEYS": ""}, command=("demo", "--port", "0"))
    try:
        demo.start()
        commands = demo.banner.partition("  try\n")[2]
        done = subprocess.run(
            ["sh", "-ec", commands], capture_output=True, text=True, timeout=60, check=True
        )
        call, conversation = [json.loads(line) for line in _objects(done.stdout)]
        assert "Hello!" in call["choices"][0]["message"]["content"]
        assert [m["role"] for m in conversation["messages"]] == ["user", "assistant"]
        assert demo.stop() == 0
    finally:
        if demo.process.poll() is None:
            demo.kill()


def _objects(text: str) -> list[str]:
    """The JSON objects that stand one after the other in *text*."""
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        found.append(json.dumps(value))
        text = text.lstrip()[end:]
    return found
