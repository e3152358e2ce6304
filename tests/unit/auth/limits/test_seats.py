"""Workers take seats, and lose them with their lives."""

import multiprocessing
from pathlib import Path

import pytest

from officeai_proxy.auth.limits import seats as module
from officeai_proxy.auth.limits.files import SharedLock
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.auth.limits.seats import Seats
from officeai_proxy.errors import ConfigurationError, RequestsLimited
from officeai_proxy.model import Limits

LIMITS = Limits(concurrency=1)


def test_when_all_seats_are_taken_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One worker too many is told to use another data directory."""
    monkeypatch.setattr(module, "SEATS", 2)
    taken = [Seats(tmp_path) for _ in range(2)]

    with pytest.raises(ConfigurationError, match="OFFICEAI_DATA_DIR"):
        Seats(tmp_path)
    taken[0].leave()
    again = Seats(tmp_path)

    assert again.mine == 0
    assert again.life != taken[0].life


def _hold_and_wait(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    Ledger(folder).admit("key", LIMITS)
    ready.set()
    multiprocessing.Event().wait()


def test_a_killed_worker_frees_its_slot(tmp_path: Path):
    """What a worker had running when it was killed does not count any more."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    worker = spawn.Process(target=_hold_and_wait, args=(tmp_path, ready))
    ledger = Ledger(tmp_path)
    worker.start()
    assert ready.wait(30)
    with pytest.raises(RequestsLimited):
        ledger.admit("key", LIMITS)

    worker.kill()
    worker.join(30)

    ledger.admit("key", LIMITS)
    ledger.close()


def test_a_lock_is_given_back_with_its_file(tmp_path: Path):
    """Only one at a time has the lock, and the next one gets it when that one is gone."""
    first, second = SharedLock(tmp_path / "lock"), SharedLock(tmp_path / "lock")

    assert first.try_once()
    assert not second.try_once()
    first.close()
    assert second.try_once()
    second.close()
