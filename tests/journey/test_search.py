"""Search in the running program: what was just said is found, what is erased is in no file."""

import json
import subprocess
import time
from pathlib import Path

from tests import forkserver
from tests.conftest import StartProxy
from tests.proxies import COMMAND, RunningProxy, clean_environment

CHAT = "/v1/chat/completions"


def say(proxy: RunningProxy, session: str, content: str, user: str = "ann") -> None:
    with proxy.client(session, user) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": content}]}
        assert client.post(CHAT, json=body).status_code == 200


def search(proxy: RunningProxy, q: str, **params: str) -> list[str]:
    answer = proxy.get("/conversations/search", q=q, **params)
    assert answer.status_code == 200, answer.text
    return [hit["message"]["content"] for hit in answer.json()["data"]]


def run(*arguments: str, proxy: RunningProxy, **more: str) -> "subprocess.CompletedProcess[str]":
    settings = {f"OFFICEAI_{name}": value for name, value in proxy.settings.items()}
    data = str(proxy.folder / "data")
    environment = clean_environment(**settings, OFFICEAI_DATA_DIR=data, **more)
    return forkserver.run(arguments, folder=proxy.folder, environment=environment)


def test_what_was_just_said_is_found(proxy: RunningProxy) -> None:
    """Question and answer of a call are found as soon as the call has ended."""
    for number in range(5):
        say(proxy, "s1", f"用Python写第{number}个装饰器")
        assert search(proxy, f"第{number}个 python") == [
            f"echo: 用Python写第{number}个装饰器",
            f"用Python写第{number}个装饰器",
        ]
    assert search(proxy, "装饰", role="user", limit="1") == ["用Python写第4个装饰器"]


def test_on_the_command_line(proxy: RunningProxy) -> None:
    """`search` tells where each hit is, as text and as JSON, and refuses a query without words."""
    say(proxy, "s1", "Le café est ouvert", "ann")
    say(proxy, "s2", "the cafe is closed", "bob")
    assert len(search(proxy, "cafe")) == 4

    told = run("search", "cafe", "--role", "user", proxy=proxy)
    found = run("search", '"cafe is"', "--user", "bob", "--json", proxy=proxy)
    none = run("search", "absent", proxy=proxy)
    wrong = run("search", "👍", proxy=proxy)
    elsewhere = run("search", "cafe", "--workspace", "other", "--json", proxy=proxy)

    assert told.returncode == 0, told.stderr
    assert [line[18:] for line in told.stdout.splitlines()[::2]] == [
        "s2 (bob)  user",
        "s1 (ann)  user",
    ]
    assert "  Le café est ouvert" in told.stdout.splitlines()
    assert "\x1b" not in told.stdout
    hits = json.loads(found.stdout)
    assert {hit["session_id"] for hit in hits} == {"s2"}
    assert all(
        hit["snippet"][s:e].endswith("cafe is") for hit in hits for s, e in hit["highlights"]
    )
    assert none.stdout == "Nothing was found.\n"
    assert wrong.returncode == 2
    assert "letter or digit" in wrong.stderr
    assert json.loads(elsewhere.stdout) == []


def test_the_index_is_built_anew_while_calls_are_recorded(proxy: RunningProxy) -> None:
    """After `db reindex` beside a running program everything is found and `db check` is content."""
    for number in range(10):
        say(proxy, f"s{number}", "before")
    assert len(search(proxy, "before")) == 20
    building = subprocess.Popen(
        (*COMMAND, "db", "reindex"),
        cwd=proxy.folder,
        env=clean_environment(**{f"OFFICEAI_{n}": value for n, value in proxy.settings.items()}),
        stdout=subprocess.PIPE,
        text=True,
    )
    for number in range(10):
        say(proxy, f"s{number}", "during")
    output, _ = building.communicate(timeout=60)

    assert output.startswith("The search index is new:")
    assert len(search(proxy, "before", limit="100")) == 20
    assert len(search(proxy, "during", limit="100")) == 20
    assert run("db", "check", proxy=proxy).stdout == "The database is sound.\n"


def test_erased_words_leave_the_files(start_proxy: StartProxy) -> None:
    """Ten seconds after an erasure no file of SQLite's holds a word of it."""
    proxy = start_proxy()
    if not proxy.settings["DATABASE_URL"].startswith("sqlite"):
        return
    for number in range(20):
        say(proxy, "stays", f"ordinary words number{number}")
    say(proxy, "gone", "zebracanaryzebra 麒麟臂")
    assert len(search(proxy, "麒麟臂")) == 2
    with proxy.client() as client:
        erased = client.delete("/conversations/gone?permanent=true&user_identifier=ann")
        assert erased.status_code == 204
    assert search(proxy, "zebracanaryzebra") == []

    deadline = time.monotonic() + 10
    while found := _files_with(proxy.folder.parent, "racanar", "麒麟"):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert len(search(proxy, "ordinary", limit="100")) == 40


def _files_with(folder: Path, *texts: str) -> list[str]:
    found = []
    for file in folder.rglob("*"):
        try:
            content = file.read_bytes() if file.is_file() else b""
        except FileNotFoundError:
            continue
        found += [file.name for text in texts if text.encode() in content]
    return found
