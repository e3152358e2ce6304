"""`kill -9` of the program or of one of its workers under load, at random moments, in rounds."""

import asyncio
import os
import random
import signal
import subprocess
from pathlib import Path

from tests.faults.history import History, Seen
from tests.faults.load import Client
from tests.faults.report import Row
from tests.faults.stage import Stage, judged
from tests.faults.stored import wait_until_stored
from tests.proxies import RunningProxy

CLIENTS = 12


def kills(stage: Stage, *, workers: int, rounds: int, calls: int = 0, at_least: int = 0) -> Row:
    """Kill at least *rounds* times and until *calls* were seen to the end; then look what is there.

    *at_least* so many have to be seen also where nobody hurries, on however slow a machine.
    With two workers every second round kills one of them, and the clients go on with the other.
    """
    row = Row(f"kill -9, {workers} worker{'s' * (workers > 1)}", stage.database)
    chance = random.Random(f"{workers} {stage.database}")
    history, url = History(), stage.url()
    # Where a number of calls is wanted, nobody pauses.
    pause = 0.0 if calls else 0.01
    clients = [Client(number, history, pause=pause) for number in range(CLIENTS)]
    proxy = stage.proxy(url, WORKERS=str(workers))
    longest = 0.6 if calls == 0 else 1.5
    done = 0
    while done < rounds or _seen(history) < max(calls, at_least):
        proxy.start()
        if workers > 1 and done % 2:
            asyncio.run(_load(clients, proxy, seconds=1.0, at=chance.uniform(0.2, 0.8), one=True))
        else:
            at = chance.uniform(0.02, longest)
            asyncio.run(_load(clients, proxy, seconds=60, at=at, one=False))
        proxy.kill()
        done += 1
    proxy.start()
    wait_until_stored(proxy, patience=300)
    row.expect(proxy.stop() == 0, "it did not end with exit code 0")
    row.notes.append(f"{done} rounds")
    return judged(row, history, url)


def _seen(history: History) -> int:
    return sum(seen is Seen.OK for seen in history.seen.values())


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
