"""Retention in the running program and by hand, and erasing a person; on both databases."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.conftest import StartProxy
from tests.journey.test_command_line import run
from tests.proxies import RunningProxy

LONG_AGO = "2001-02-03T04:05:06Z"


def old_chat(session: str, *, moment: str = LONG_AGO) -> dict[str, object]:
    return {
        "session_id": session,
        "user_identifier": "ann",
        "created_at": moment,
        "updated_at": moment,
        "messages": [{"role": "user", "content": f"in {session}", "timestamp": moment}],
    }


def bring(proxy: RunningProxy, *chats: dict[str, object]) -> None:
    with proxy.client() as client:
        lines = "\n".join(map(json.dumps, chats))
        answer = client.post("/conversations/import", content=lines)
        assert answer.json()["imported"] == len(chats), answer.text


def sessions(proxy: RunningProxy) -> set[str]:
    return {one["session_id"] for one in proxy.get("/conversations").json()["data"]}


def ask(text: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def test_it_goes_by_itself_and_calls_are_recorded_meanwhile(
    start_proxy: StartProxy, prepared_url: str, tmp_path: Path
) -> None:
    """A program that starts with the setting archives and deletes what is old, in one worker."""
    file = tmp_path / "old.jsonl"
    file.write_text("\n".join(json.dumps(old_chat(f"old-{n}")) for n in range(60)), "utf-8")
    settings = {"DATABASE_URL": prepared_url, "DATA_DIR": str(tmp_path / "cli")}
    assert run("import", str(file), folder=tmp_path, **settings).returncode == 0
    archive = tmp_path / "archive"
    proxy = start_proxy(WORKERS="2", RETENTION_DAYS="30", ARCHIVE_DIR=str(archive))
    deadline = time.monotonic() + 80
    number = 0
    while number == 0 or any(name.startswith("old-") for name in sessions(proxy)):
        assert time.monotonic() < deadline
        with proxy.client("new", "ann") as client:
            client.post("/v1/chat/completions", json=ask(f"q{number}"))
        number += 1

    assert len(proxy.path_of("new")) == 2 * number
    [file] = archive.iterdir()
    assert len(file.read_bytes().splitlines()) == 60
    assert proxy.stop() == 0


def test_by_hand(start_proxy: StartProxy, tmp_path: Path) -> None:
    """A look changes nothing; a yes deletes; without a yes and a person nothing happens."""
    proxy = start_proxy()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    bring(proxy, old_chat("old"), old_chat("young", moment=yesterday.isoformat()))
    settings = {
        "DATABASE_URL": proxy.settings["DATABASE_URL"],
        "DATA_DIR": str(proxy.folder / "data"),
    }
    archive = tmp_path / "kept"

    def prune(*options: str) -> tuple[int, str]:
        done = run("prune", *options, folder=tmp_path, **settings)
        return done.returncode, done.stdout

    nothing = prune()
    looked = prune("--older-than", "90d", "--dry-run")
    unsure = prune("--older-than", "90d")
    assert sessions(proxy) == {"old", "young"}
    done = prune("--older-than", "90d", "--archive-dir", str(archive), "--yes")
    assert sessions(proxy) == {"young"}
    with proxy.client() as client:
        assert client.delete("/conversations/young").status_code == 204
    emptied = prune("--bin", "--yes")

    assert nothing == (0, "Nothing is old enough.\n")
    assert looked == (0, "default: 1 conversation with 1 message, 0 calls would go\n")
    assert unsure[0] == 1
    assert done[0] == emptied[0] == 0
    assert "1 conversation with 1 message, 0 calls deleted" in done[1]
    with proxy.client() as client:
        assert client.post("/conversations/young/restore").status_code == 404
    [file] = archive.iterdir()
    back = run("import", str(file), folder=tmp_path, **settings)
    assert back.returncode == 0, back.stderr
    assert proxy.path_of("old") == [("user", "in old")]


def test_an_erased_person_is_in_no_file(start_proxy: StartProxy, tmp_path: Path) -> None:
    """By route or by hand: name and words are gone from every file, and that it was done stays."""
    proxy = start_proxy()
    settings = {
        "DATABASE_URL": proxy.settings["DATABASE_URL"],
        "DATA_DIR": str(proxy.folder / "data"),
    }
    for name in ("canary-person-1", "canary-person-2"):
        with proxy.client(f"of-{name}", name) as client:
            client.post("/v1/chat/completions", json=ask("hello"))
        with proxy.client(user=name) as client:
            client.post("/v1/chat/completions", json=ask("not recorded"))
        assert proxy.get(f"/conversations/of-{name}").status_code == 200
        assert proxy.get("/conversations", user_identifier=name).json()["total"] == 1
    with proxy.client() as client:
        erased = client.delete("/users/canary-person-1")
    by_hand = run("users", "erase", "canary-person-2", "--yes", folder=tmp_path, **settings)

    assert erased.json()["calls"] == 1
    assert by_hand.returncode == 0, by_hand.stderr
    assert "1 conversation with 2 messages, 1 other call," in by_hand.stdout
    for name in ("canary-person-1", "canary-person-2"):
        proofs = proxy.get("/audit", user=name).json()["data"]
        assert [proof["detail"]["stage"] for proof in proofs[-2:]] == ["ended", "begun"]
        assert proxy.get("/conversations", user_identifier=name).json()["total"] == 0
        assert proxy.get(f"/users/{name}").status_code == 404
        proxy.get("/stats", user=name)
    assert run("audit", "verify", folder=tmp_path, **settings).returncode == 0
    if "sqlite" in settings["DATABASE_URL"]:
        deadline = time.monotonic() + 10
        while found := files_with(tmp_path, b"canary-person"):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


def files_with(folder: Path, text: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if text in read(path)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
