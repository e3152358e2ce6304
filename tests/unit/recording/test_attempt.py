"""An exchange of which processes die is found and set aside; its neighbours are not."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.factories import an_exchange, user
from tests.fakes import InMemoryExchangeStore, StoreAway
from tests.timing import until

from officeai_proxy.model import CallRecord
from officeai_proxy.recording import segments, setaside
from officeai_proxy.recording.attempt import MAX_DEATHS
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.recorder import LOCK, Pace, Recorder

NOTHING = bytes(17)
QUICK = Pace(poll=0.005, lock_poll=0.005, first_backoff=0.005, last_backoff=0.01)


async def nothing() -> bool:
    """Tidy up nothing, and be done with it."""
    return True


def record(directory: Path) -> None:
    """Store what the journal of *directory* holds, tell what was stored, and die of what is deadly.

    This is the whole life of a process.
    """

    def die_of(call: CallRecord) -> None:
        if call.session == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(calls: Sequence[CallRecord]) -> None:
        with (directory / "told").open("a") as told:
            told.writelines(f"{call.session}\n" for call in calls)

    recorder = Recorder(
        directory,
        InMemoryExchangeStore(),
        is_transient=lambda _: False,
        tidy=nothing,
        pace=QUICK,
        cost_of=die_of,
        on_stored=tell,
    )
    recorder.stop()
    asyncio.run(recorder.run())


def a_process(directory: Path) -> int:
    """Let a process record; the signal that it died of, as a negative number, or 0."""
    command = f"from pathlib import Path; from {__name__} import record; record(Path.cwd())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", command], cwd=directory, env=environment, check=False, timeout=60
    ).returncode


def test_what_processes_die_of_is_set_aside_and_its_neighbours_are_stored(tmp_path: Path) -> None:
    """The first dies with a batch, each of three more with this exchange alone; none after that."""
    journal = Journal(tmp_path)
    for session in ("a", "b", "deadly", "c", "d"):
        journal.append(an_exchange([user("hello")], session=session))
    journal.close()

    ends = [a_process(tmp_path) for _ in range(1 + MAX_DEATHS + 1)]

    assert ends == [-signal.SIGKILL] * (1 + MAX_DEATHS) + [0]
    assert (tmp_path / "told").read_text().split() == ["a", "b", "c", "d"]
    assert segments.sizes(tmp_path) == {}
    [kept] = setaside.SetAsideFolder(tmp_path).all()
    assert kept.exchange is not None
    assert kept.exchange.session == "deadly"
    assert "each process that tried to store it ended" in kept.reason
    assert (tmp_path / LOCK).read_bytes() == NOTHING


async def test_what_was_set_aside_can_be_tried_again_at_once(tmp_path: Path) -> None:
    """Somebody may have given a container more memory while it runs."""
    exchange = an_exchange()
    journal = Journal(tmp_path)
    journal.append(exchange)
    journal.close()
    (tmp_path / LOCK).write_bytes(exchange.id.bytes + bytes([MAX_DEATHS - 1]))
    store = InMemoryExchangeStore()
    recorder = Recorder(tmp_path, store, is_transient=lambda _: False, tidy=nothing, pace=QUICK)
    folder = setaside.SetAsideFolder(tmp_path)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run())
        await until(lambda: setaside.count(tmp_path) == 1)
        folder.retry(str(exchange.id), Journal(tmp_path))
        recorder.stop()

    assert list(store.calls) == [exchange.id]
    assert setaside.count(tmp_path) == 0


async def test_who_dies_while_the_store_is_away_does_not_die_of_what_waits(tmp_path: Path) -> None:
    """The exchange is noted at each try, and nothing between two tries."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    store.away_for = 10**9
    exchange = an_exchange()
    journal.append(exchange)
    journal.close()
    at_a_try: list[bytes] = []
    recorder = Recorder(
        tmp_path,
        store,
        is_transient=lambda error: isinstance(error, StoreAway),
        tidy=nothing,
        pace=QUICK,
        on_event=lambda *_: at_a_try.append((tmp_path / LOCK).read_bytes()),
    )

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run())
        await until(lambda: len(at_a_try) > 1 and (tmp_path / LOCK).read_bytes() == NOTHING)
        store.away_for = 0
        recorder.stop()

    assert set(at_a_try) == {exchange.id.bytes + b"\0"}
    assert list(store.calls) == [exchange.id]
    assert (tmp_path / LOCK).read_bytes() == NOTHING
