"""Several workers, one database: every worker reads what any of them recorded, once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import until
from tests.proxies import KEY, RunningProxy, clean_environment
from tests.timing import soon

ASK = "/v1/chat/completions"


def ask(text: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def test_a_read_right_after_a_call_sees_it_whichever_worker_answers(
    start_proxy: StartProxy,
) -> None:
    """Each request comes on a connection of its own, so that both workers get some of them."""
    proxy = start_proxy(WORKERS="2")

    for number in range(20):
        with proxy.client("s1", "ann") as client:
            assert client.post(ASK, json=ask(f"q{number}")).status_code == 200
        assert proxy.path_of("s1")[-1] == ("assistant", f"echo: q{number}")

    assert len(proxy.path_of("s1")) == 40
    assert proxy.stop() == 0


def test_two_programs_on_one_database_and_one_folder(
    start_proxy: StartProxy, tmp_path: object
) -> None:
    """A second program beside the first shares its journal's recorder and loses nothing."""
    folder = str(tmp_path / "shared")  # type: ignore[operator]
    first = start_proxy(DATA_DIR=folder)
    second = start_proxy(DATA_DIR=folder)

    for number, proxy in enumerate([first, second] * 5):
        with proxy.client("s1", "ann") as client:
            client.post(ASK, json=ask(f"q{number}"))
        assert second.path_of("s1")[-1] == ("assistant", f"echo: q{number}")
    assert first.stop() == 0
    with second.client("s1", "ann") as client:
        client.post(ASK, json=ask("last"))

    assert len(second.path_of("s1")) == 22


@pytest.mark.parametrize("level", ["memory", "process", "disk"])
def test_every_level_of_durability_records(start_proxy: StartProxy, level: str) -> None:
    """Whatever the end of a reply waits for, the call is there right after it."""
    proxy = start_proxy(DURABILITY=level)

    with proxy.client("s1", "ann") as client:
        client.post(ASK, json=ask("json"))
        client.post(ASK, json={**ask("stream"), "stream": True})

    assert [text for _, text in proxy.path_of("s1")] == [
        "json",
        "echo: json",
        "stream",
        "echo: stream",
    ]


def test_what_was_deleted_for_good_is_in_no_file_any_more(
    start_proxy: StartProxy, prepared_url: str
) -> None:
    """Ten seconds after an erasure neither the journal nor SQLite's files hold the words."""
    proxy = start_proxy()
    canary = "canary-6f1c"
    with proxy.client("s1", "ann") as client:
        client.post(ASK, json=ask(canary))
        assert proxy.path_of("s1")[0] == ("user", canary)
        assert client.delete("/conversations/s1?permanent=true").status_code == 204

    deadline = time.monotonic() + 10
    while found := files_with(proxy, canary):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def files_with(proxy: RunningProxy, text: str) -> list[str]:
    folder = proxy.folder.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in _bytes(path)]


def _bytes(path) -> bytes:  # type: ignore[no-untyped-def]
    try:
        return bytes(path.read_bytes())
    except FileNotFoundError:
        return b""


def test_a_worker_that_says_nothing_for_a_while_is_not_killed(start_proxy: StartProxy) -> None:
    """A machine may sleep, or have much else to do; whoever starts again and again never serves."""
    proxy = start_proxy(WORKERS="2")
    before = until(lambda: found if len(found := workers_of(proxy)) == 2 else [])
    for worker in before:
        os.kill(worker, signal.SIGSTOP)
    time.sleep(7)
    for worker in before:
        os.kill(worker, signal.SIGCONT)
    time.sleep(1)

    assert workers_of(proxy) == before
    assert proxy.get("/health/live").status_code == 200


def test_workers_killed_while_they_are_asked_are_missed_at_once(start_proxy: StartProxy) -> None:
    """The supervisor does not wait for the answer of a dead worker before it starts another."""

    def seconds_without_service() -> float:
        proxy = start_proxy(WORKERS="2")
        workers = until(lambda: found if len(found := workers_of(proxy)) == 2 else [])
        assert proxy.get("/health/live").status_code == 200
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        # By now the first of them has been asked, and cannot answer.
        time.sleep(1.5)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

        began = time.monotonic()
        with proxy.client("s1", "ann") as client:
            until(lambda: client.post(ASK, json=ask("hello"), timeout=60).status_code == 200)
        took = time.monotonic() - began
        assert proxy.stop() == 0
        return took

    # To wait for the answer of a dead one would take half a minute.
    soon(seconds_without_service, within=15)


# What `serve` does once it has proved what workers open: that may still change under their feet.
SERVE_UNPROVED = """
import sys
from officeai_proxy.server import bind, run
from officeai_proxy.settings import load_settings

settings = load_settings()
sys.exit(run(settings, bind(settings), on_ready=lambda: print("ready")))
"""


def test_workers_that_cannot_start_are_no_success(tmp_path: Path) -> None:
    """Nobody is told that it is ready, and what started the program learns that it has failed."""
    metrics = tmp_path / "data" / "metrics"
    metrics.parent.mkdir()
    metrics.touch()

    ended = subprocess.run(
        (sys.executable, "-c", SERVE_UNPROVED),
        cwd=tmp_path,
        env=clean_environment(OFFICEAI_WORKERS="2", OFFICEAI_PORT="0", OFFICEAI_API_KEYS=KEY),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert ended.returncode == 3
    assert ended.stdout == ""
    assert str(metrics.name) in ended.stderr


def test_workers_end_with_their_supervisor(start_proxy: StartProxy) -> None:
    """A supervisor that is killed leaves nobody behind, and the port to its successor."""

    def seconds_that_workers_stay() -> float:
        proxy = start_proxy(WORKERS="2")
        workers = until(lambda: found if len(found := workers_of(proxy)) == 2 else [])
        with proxy.client("s1", "ann") as client:
            assert client.post(ASK, json=ask("hello")).status_code == 200

        os.kill(proxy.process.pid, signal.SIGKILL)
        proxy.process.wait(60)
        began = time.monotonic()
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
        took = time.monotonic() - began

        proxy.kill()
        again = start_proxy(WORKERS="2", PORT=str(proxy.port), DATA_DIR=str(proxy.folder / "data"))
        assert again.path_of("s1")[0] == ("user", "hello")
        assert again.stop() == 0
        return took

    soon(seconds_that_workers_stay, within=5)


def test_signals_for_the_supervisor_kill_no_worker(start_proxy: StartProxy) -> None:
    """A terminal that closes, and whoever rotates logs, send them to every process."""
    proxy = start_proxy(WORKERS="2")
    assert proxy.get("/health/live").status_code == 200
    workers = until(lambda: found if len(found := workers_of(proxy)) == 2 else [])
    numbers = (signal.SIGHUP, signal.SIGUSR1)
    until(lambda: all(_ignores(worker, number) for worker in workers for number in numbers))
    for worker in workers:
        for number in numbers:
            os.kill(worker, number)
    os.kill(proxy.process.pid, signal.SIGUSR1)
    time.sleep(1.5)

    assert workers_of(proxy) == workers
    assert proxy.stop() == 0


def _ignores(process: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (number - 1) & 1)


def workers_of(proxy: RunningProxy) -> list[int]:
    """The processes that the program has started and that serve."""
    path = f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children"
    children = [int(word) for word in Path(path).read_text(encoding="ascii").split()]
    commands = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return sorted(child for child, command in commands.items() if b"spawn_main" in command)
