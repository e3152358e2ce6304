"""Where a fault is made: a folder, an upstream, a database, and what a run needs of them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.databases import PostgresServer
from tests.faults.history import History, Seen, judge
from tests.faults.load import Client
from tests.faults.report import Row
from tests.faults.stored import stored_calls, wait_until_stored
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

GOOD_BEGINNING = 0.2
PAUSE = 0.05
"""Seconds that a client thinks: a fault is to be seen by many, not to be drowned in load."""

ENOUGH = 25
"""Calls that are to be seen, however slow the machine is."""


@dataclass
class Stage:
    """Makes proxies and databases for faults; *database* is `sqlite` or `postgresql`.

    The short form of a fault has copies for its programs: it starts many, for a moment each.
    """

    folder: Path
    upstream: ScriptedUpstream
    database: str = "sqlite"
    server: PostgresServer | None = None
    program: type[RunningProxy] = RunningProxy
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self) -> str:
        """A database that is empty and new."""
        number = next(self._numbers)
        if self.database == "sqlite":
            return f"sqlite:///{self.folder / f'faults{number}.db'}"
        assert self.server is not None
        return self.server.create(f"faults{number}_{time.monotonic_ns()}")

    def proxy(self, url: str, **settings: str) -> RunningProxy:
        """A proxy in front of the upstream, not started yet."""
        given = {"UPSTREAM_BASE_URL": self.upstream.base_url, "DATABASE_URL": url, **settings}
        return self.program(self.folder / f"proxy{next(self._numbers)}", given)


def judged(row: Row, history: History, url: str, *, label: str = "") -> Row:
    """Compare what clients saw with what is stored, when everything is."""
    answers = {question: f"echo: {question}" for question in history.seen}
    row.add(judge(history, stored_calls(url, label=label), answer_to=answers))
    return row


@contextmanager
def load(proxy: RunningProxy, history: History, *, clients: int, label: str) -> Iterator[None]:
    """Clients that call *proxy* one call after the other while the block runs."""
    done = threading.Event()

    async def run() -> None:
        everybody = [Client(number, history, label=label, pause=PAUSE) for number in range(clients)]
        await asyncio.gather(*(one.run(proxy.port, done.is_set) for one in everybody))

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(90)


def wait_for_calls(history: History, *, enough: int = ENOUGH, patience: float = 60.0) -> None:
    """Wait until *enough* calls have ended well, or for as long as they might do so."""
    deadline = time.monotonic() + patience
    while history.ok < enough and time.monotonic() < deadline:
        time.sleep(0.02)


def under_load(
    proxy: RunningProxy,
    url: str,
    fault: str,
    act: Callable[[], None],
    *,
    database: str,
    clients: int = 8,
) -> Row:
    """Let clients call before, during and after *act*: every call is answered and stored."""
    row, history, label = Row(fault, database), History(), fault.replace(" ", "-")
    with load(proxy, history, clients=clients, label=label):
        time.sleep(GOOD_BEGINNING)
        before = proxy.process.pid
        act()
        time.sleep(GOOD_BEGINNING)
        wait_for_calls(history)
    wait_until_stored(proxy)
    judged(row, history, url, label=label)
    bad = sum(seen is not Seen.OK for seen in history.seen.values())
    row.expect(bad == 0, f"{bad} calls failed for their client")
    row.expect(proxy.process.pid == before and proxy.process.poll() is None, "it had to restart")
    return row
