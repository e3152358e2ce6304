"""How much waits in the journal, as `/health` tells it."""

import errno
import os
import time
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.model import NANOSECONDS
from officeai_proxy.recording import segments
from officeai_proxy.recording.backlog import BacklogGauge
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.reader import JournalReader


def test_an_empty_journal_has_no_backlog(tmp_path: Path) -> None:
    """Nothing waits, and nothing is late."""
    backlog = BacklogGauge(tmp_path).measure()

    assert (backlog.pending, backlog.lag_seconds, backlog.journal_bytes) == (0, 0.0, 0)


def test_what_is_not_stored_is_counted_and_what_is_stored_is_not(tmp_path: Path) -> None:
    """The count follows appends, commits and freed segments, and never goes below zero."""
    journal, gauge = Journal(tmp_path, segment_bytes=2500), BacklogGauge(tmp_path)
    reader = JournalReader(tmp_path)
    counts = []
    for _ in range(6):
        journal.append(an_exchange())
        counts.append(gauge.measure().pending)
    reader.commit(reader.next_batch(max_entries=4, max_bytes=10**6))
    counts.append(gauge.measure().pending)
    journal.append(an_exchange())
    counts.append(gauge.measure().pending)
    reader.commit(reader.next_batch(max_entries=4, max_bytes=10**6))
    journal.close()
    while not (rest := reader.next_batch(max_entries=4, max_bytes=10**6)).is_empty:
        reader.commit(rest)
    counts.append(gauge.measure().pending)

    assert counts == [1, 2, 3, 4, 5, 6, 2, 3, 0]


def test_a_new_gauge_counts_only_what_waits(tmp_path: Path) -> None:
    """A worker that starts later sees the same backlog as the others."""
    journal = Journal(tmp_path)
    for _ in range(3):
        journal.append(an_exchange())
    reader = JournalReader(tmp_path)
    reader.commit(reader.next_batch(max_entries=2, max_bytes=10**6))

    backlog = BacklogGauge(tmp_path).measure()

    assert backlog.pending == 1
    assert backlog.lag_seconds > 0
    assert backlog.journal_bytes == sum(segments.sizes(tmp_path).values()) > 0


def test_the_lag_is_that_of_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the workers has it."""
    now = time.time_ns()
    for minutes in (1, 2, 60, 2, 1):
        monkeypatch.setattr(time, "time_ns", lambda since=minutes * 60: now - since * NANOSECONDS)
        Journal(tmp_path).append(an_exchange())
    monkeypatch.setattr(time, "time_ns", lambda: now)

    assert BacklogGauge(tmp_path).measure().lag_seconds == 3600


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """`/health` is asked just then, and has to answer."""

    def refuse(_folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    Journal(tmp_path).append(an_exchange())
    monkeypatch.setattr(os, "scandir", refuse)

    assert BacklogGauge(tmp_path).measure().unreadable == 1
