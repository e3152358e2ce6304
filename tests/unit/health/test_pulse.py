"""Why the proxy is degraded, in sentences, and when it is not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from officeai_proxy.errors import DatabaseDamaged, DatabaseOnlyReads, DatabaseUnavailable
from officeai_proxy.health import pulse as told
from officeai_proxy.health.pulse import Pulse
from officeai_proxy.recording.backlog import Backlog


@dataclass
class FakeJournal:
    """A journal in any state."""

    is_keeping: bool = True
    is_syncing: bool = True
    dropped: int = 0
    backlog_bytes: int = 0
    append_errors: int = 0
    sync_errors: int = 0
    piece_errors: int = 0


@dataclass
class FakeDatabase:
    """A database that answers, or does not."""

    is_up: bool = True
    is_damaged: bool = False
    only_reads: bool = False

    async def ping(self) -> None:
        if self.only_reads:
            raise DatabaseOnlyReads
        if self.is_damaged:
            raise DatabaseDamaged
        if not self.is_up:
            raise DatabaseUnavailable


def a_pulse(directory: Path, journal: FakeJournal, **more: bool) -> Pulse:
    return Pulse(
        journal_dir=directory,
        journal=journal,
        database=FakeDatabase(
            more.get("is_up", True), more.get("is_damaged", False), more.get("only_reads", False)
        ),
        dialect="sqlite",
        upstream="http://u",
        is_recording=lambda: more.get("is_recording", True),
        is_stopping=more.get("is_stopping", False),
    )


@pytest.mark.parametrize(
    ("journal", "more", "word", "is_ready"),
    [
        (FakeJournal(dropped=3), {}, "3 calls of this process could not be kept", True),
        (FakeJournal(is_keeping=False, backlog_bytes=9), {}, told.NOT_WRITTEN, False),
        (FakeJournal(is_keeping=False, is_syncing=False), {}, told.NOT_SYNCED, False),
        (FakeJournal(), {"is_recording": False}, told.NOT_RECORDING, False),
        (FakeJournal(), {"is_stopping": True}, "ending", False),
        (FakeJournal(), {"is_up": False}, told.DATABASE_AWAY, True),
        (FakeJournal(), {"is_damaged": True}, DatabaseDamaged().message, True),
        (FakeJournal(), {"only_reads": True}, DatabaseOnlyReads().message, True),
    ],
    ids=["lost", "full", "unsynced", "no recorder", "the end", "no database", "damage", "reads"],
)
async def test_each_fault_is_told(
    tmp_path: Path, journal: FakeJournal, more: dict[str, bool], word: str, is_ready: bool
) -> None:
    """One sentence for each, and readiness says no only when calls are not kept."""
    pulse = a_pulse(tmp_path, journal, **more)

    found = await pulse.health()

    assert found.status == "degraded"
    assert len(found.reasons) == 1
    assert word in found.reasons[0]
    is_away = more.get("is_damaged", False) or not more.get("is_up", True)
    assert found.database.status == ("down" if is_away else "up")
    assert pulse.keeps_calls is is_ready


async def test_what_is_set_aside_is_told_with_what_to_do(tmp_path: Path) -> None:
    """The command that shows it is in the sentence."""
    (tmp_path / "set-aside").mkdir()
    (tmp_path / "set-aside" / "1.frame").touch()

    found = await a_pulse(tmp_path, FakeJournal()).health()

    assert "officeai-proxy set-aside list" in found.reasons[0]


async def test_errors_that_have_healed_are_counted_and_no_fault(tmp_path: Path) -> None:
    """A disk that takes everything again is well; the counters remember."""
    journal = FakeJournal(append_errors=4, sync_errors=2)

    found = await a_pulse(tmp_path, journal).health()

    assert (found.status, found.reasons) == ("ok", [])
    assert (found.recorder.append_errors, found.recorder.sync_errors) == (4, 2)


@dataclass
class FakeGauge:
    """A backlog of any age."""

    lag_seconds: float
    unreadable: int = 0

    def measure(self) -> Backlog:
        return Backlog(80, self.lag_seconds, 1000, self.unreadable)


async def test_files_that_may_not_be_read_are_told(tmp_path: Path) -> None:
    """Calls are in them, and only an administrator can let the recorder have them."""
    pulse = a_pulse(tmp_path, FakeJournal())
    pulse.gauge = FakeGauge(1.0, unreadable=2)  # type: ignore[assignment]  # it measures

    (reason,) = (await pulse.health()).reasons

    assert "2 files of the journal cannot be read" in reason


async def test_calls_that_wait_long_are_told(tmp_path: Path) -> None:
    """A database may answer and take nothing: ten seconds are a burst, more is a reason to look."""
    pulse = a_pulse(tmp_path, FakeJournal())
    pulse.gauge = FakeGauge(10.0)  # type: ignore[assignment]  # it measures
    assert (await pulse.health()).status == "ok"

    pulse.gauge = FakeGauge(75.2)  # type: ignore[assignment]  # it measures
    found = await pulse.health()

    assert (found.status, pulse.keeps_calls) == ("degraded", True)
    assert found.reasons[0].startswith("80 calls wait to be stored, the oldest for 75 s")
    # A bad page that only the recorder comes upon looks the same from here; the log names it.
    assert found.reasons[0].endswith("full, locked, slow or damaged? The log says why.")


async def test_damage_is_told_apart(tmp_path: Path) -> None:
    """Nobody can say how many calls were in it."""
    folder = tmp_path / "set-aside"
    folder.mkdir()
    (folder / "w-1-0.damage").touch()

    (reason,) = (await a_pulse(tmp_path, FakeJournal()).health()).reasons

    assert reason.startswith("1 part of the journal is damaged")


@pytest.mark.parametrize("lets_nobody_in", [True, False])
async def test_keys_that_nobody_knows_are_told(tmp_path: Path, lets_nobody_in: bool) -> None:
    """Where no other key is known either, no call is served, and a probe is told so."""
    pulse = a_pulse(tmp_path, FakeJournal(), is_up=False)
    pulse.knows_keys = lambda: False
    pulse.lets_nobody_in = lambda: lets_nobody_in

    assert (await pulse.health()).reasons == [told.DATABASE_AWAY, told.NO_KEYS]
    assert pulse.is_ready is not lets_nobody_in
