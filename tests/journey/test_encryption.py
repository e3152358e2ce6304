"""The running program with encryption keys: what is on its disk, and what it does without them."""

import base64
import json
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from tests.conftest import StartProxy
from tests.databases import free_port
from tests.journey.test_command_line import run
from tests.nightingale import BIRD, files_with_bird
from tests.proxies import COMMAND, CopiedProxy, RunningProxy, clean_environment
from tests.upstream import ScriptedUpstream


def key(name: str, byte: bytes) -> str:
    return f"{name}:{base64.b64encode(byte * 32).decode()}"


OLD, NEW, WRONG = key("old", b"1"), key("new", b"2"), key("old", b"3")


def ask(proxy: RunningProxy, text: str, *, session: str = "s") -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    with proxy.client(session, "ann") as client:
        assert client.post("/v1/chat/completions", json=body).status_code == 200


def numbers(proxy: RunningProxy, *, session: str = "s") -> set[int]:
    said = {text for role, text in proxy.path_of(session) if role == "user"}
    return {int(text.rsplit(" ", 1)[1]) for text in said}


def test_what_was_said_is_read_by_those_with_a_key_only(start_proxy: StartProxy) -> None:
    """Recorded, imported, searched and exported as ever, and in no file of the program."""
    proxy = start_proxy(ENCRYPTION_KEYS=OLD)
    ask(proxy, f"{BIRD} one")
    export = proxy.get("/conversations/export-all", format="json")
    with proxy.client() as client:
        imported = client.post(
            "/conversations/import", content=export.text.replace('"s"', '"copy"')
        )
    found = proxy.get("/conversations/search", q='nightingale "夜莺 one"').json()["data"]

    assert BIRD in export.text
    assert imported.json()["messages"] == 2, imported.text
    assert [hit["message"]["content"] for hit in found if hit["message"]["role"] == "user"] == [
        f"{BIRD} one"
    ] * 2
    assert files_with_bird(proxy.folder) == []
    proxy.kill()
    assert files_with_bird(proxy.folder) == []


def test_wrong_keys_start_nothing(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """A key that is missing, wrong or malformed is one line and exit code 2, in every command."""
    proxy = CopiedProxy(
        tmp_path / "proxy", {"UPSTREAM_BASE_URL": upstream.base_url, "ENCRYPTION_KEYS": OLD}
    ).start()
    ask(proxy, "hello")
    proxy.path_of("s")
    assert proxy.stop() == 0
    data = proxy.folder / "data"
    before = {file.name: file.read_bytes() for file in data.glob("*.db*")}

    cases = [
        (("serve",), ""),
        (("serve",), "old:c2hvcnQ="),
        (("export",), WRONG),
    ]
    for command, keys in cases:
        told = run(*command, folder=tmp_path, DATA_DIR=str(data), ENCRYPTION_KEYS=keys)
        assert (told.returncode, told.stdout) == (2, ""), (command, told.stderr)
        assert told.stderr.startswith("officeai-proxy: OFFICEAI_ENCRYPTION_KEYS: "), told.stderr
        assert told.stderr.count("\n") == 1
        assert "MTEx" not in told.stderr + told.stdout
        assert "MzMz" not in told.stderr + told.stdout
    assert {file.name: file.read_bytes() for file in data.glob("*.db*")} == before


def test_keys_are_looked_at_while_the_database_is_away(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """The journal knows its keys: without them nothing is kept in the clear meanwhile."""
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "ENCRYPTION_KEYS": OLD}
    proxy = CopiedProxy(tmp_path / "proxy", settings).start()
    proxy.get("/conversations")
    assert proxy.stop() == 0
    away = f"postgresql://127.0.0.1:{free_port()}/away"
    data = str(proxy.folder / "data")
    told = run("serve", folder=tmp_path, DATA_DIR=data, DATABASE_URL=away)
    assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr

    proxy.settings["DATABASE_URL"] = away
    proxy.start()
    ask(proxy, BIRD)
    assert files_with_bird(proxy.folder) == []
    proxy.kill()
    del proxy.settings["DATABASE_URL"]
    proxy.start()
    assert (proxy.path_of("s")[0]) == ("user", BIRD)
    proxy.kill()


def chat(number: int) -> str:
    messages = [{"role": "user", "content": f"{BIRD} {number} {n}"} for n in range(100)]
    return json.dumps({"session_id": f"old-{number}", "messages": messages})


def not_sealed_with(proxy: RunningProxy, key_id: str) -> int:
    with sqlite3.connect(proxy.folder / "data" / "officeai.db") as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM conversation_messages WHERE sealed_with IS NOT ?", (key_id,)
        ).fetchone()
    connection.close()
    return int(count)


def test_keys_change_while_the_program_serves(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Turned on under load, killed half way and run again: every call and message is there."""
    proxy = CopiedProxy(tmp_path / "proxy", {"UPSTREAM_BASE_URL": upstream.base_url}).start()
    with proxy.client() as client:
        lines = "\n".join(chat(number) for number in range(15))
        assert client.post("/conversations/import", content=lines).json()["messages"] == 1500
    assert proxy.stop() == 0
    proxy.settings["ENCRYPTION_KEYS"] = f"{NEW},{OLD}"
    proxy.start()
    done = threading.Event()
    asked: set[int] = set()

    def call() -> None:
        while not done.wait(0.02):
            ask(proxy, f"late {len(asked)}")
            asked.add(len(asked))

    settings = {"DATA_DIR": str(proxy.folder / "data"), "ENCRYPTION_KEYS": f"{NEW},{OLD}"}
    named = {f"OFFICEAI_{name}": value for name, value in settings.items()}
    caller = threading.Thread(target=call)
    caller.start()
    try:
        killed = subprocess.Popen(
            (*COMMAND, "db", "rotate"), env=clean_environment(**named), cwd=proxy.folder
        )
        deadline = time.monotonic() + 60
        while not_sealed_with(proxy, "new") == 1500:
            assert time.monotonic() < deadline
        killed.send_signal(signal.SIGKILL)
        killed.wait(60)
        rotated = run("db", "rotate", folder=proxy.folder, **settings)
    finally:
        done.set()
        caller.join()

    assert rotated.returncode == 0, rotated.stderr
    assert not_sealed_with(proxy, "new") == 0
    assert numbers(proxy) == asked
    hits = proxy.get("/conversations/search", q=f'"{BIRD} 7 99"').json()["data"]
    assert [hit["conversation"]["session_id"] for hit in hits] == ["old-7"]
    assert proxy.stop() == 0
    assert files_with_bird(proxy.folder) == []
    settings["ENCRYPTION_KEYS"] = NEW
    checked = run("db", "check", folder=proxy.folder, **settings)
    assert checked.stdout == "The database is sound.\n", checked.stdout
