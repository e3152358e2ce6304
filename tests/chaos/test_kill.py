"""`kill -9` at random moments under load: what a client saw to the end is stored, and once."""

import asyncio
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from tests.chaos.history import History, judge
from tests.chaos.load import Client
from tests.chaos.stored import stored_calls, wait_until_stored
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "6"))
CLIENTS = 12


@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_kill_9_loses_and_doubles_nothing(
    tmp_path: Path, upstream: ScriptedUpstream, database_url: str, workers: str
) -> None:
    """Twenty kills of everything, or of one of two workers; nothing lost, doubled or garbled."""
    chance = random.Random(f"{workers} {database_url.partition(':')[0]}")
    history = History()
    clients = [Client(number, history) for number in range(CLIENTS)]
    settings = {
        "UPSTREAM_BASE_URL": upstream.base_url,
        "DATABASE_URL": database_url,
        "WORKERS": workers,
    }
    proxy = RunningProxy(tmp_path / "proxy", settings)
    rounds = ROUNDS if workers == "1" else max(2, ROUNDS // 2)

    for number in range(rounds):
        proxy.start()
        if workers == "2" and number % 2:
            asyncio.run(_load(clients, proxy, seconds=1.0, at=chance.uniform(0.2, 0.8), one=True))
        else:
            asyncio.run(_load(clients, proxy, seconds=60, at=chance.uniform(0.02, 0.6), one=False))
        proxy.kill()
    proxy.start()
    wait_until_stored(proxy)
    assert proxy.stop() == 0

    answers = {question: f"echo: {question}" for question in history.seen}
    verdict = judge(history, stored_calls(database_url), answer_to=answers)
    print(f"{rounds} rounds, {workers} workers: {verdict}")
    assert verdict.is_valid, verdict
    assert verdict.ok > 10 * rounds


async def _load(
    clients: list[Client], proxy: RunningProxy, *, seconds: float, at: float, one: bool
) -> None:
    """Let all clients call, and kill the program, or *one* of its workers, *at* seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    await asyncio.to_thread(_until_serving, proxy)
    loop.call_later(at, _kill_one if one else _kill_all, proxy)
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(
            *(client.run(proxy.port, lambda: loop.time() > end) for client in clients)
        )


def _until_serving(proxy: RunningProxy) -> None:
    assert proxy.get("/health/live").status_code == 200


def _kill_all(proxy: RunningProxy) -> None:
    os.killpg(proxy.process.pid, signal.SIGKILL)


def _kill_one(proxy: RunningProxy) -> None:
    """Kill a process that serves: one that has the program's journal open."""
    found = subprocess.run(
        ["pgrep", "-P", str(proxy.process.pid)], capture_output=True, text=True, check=True
    )
    children = [int(line) for line in found.stdout.split()]
    serving = [child for child in children if "spawn_main" in _command(child)]
    os.kill(random.Random(len(children)).choice(serving), signal.SIGKILL)


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
