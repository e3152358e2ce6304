"""Read your own write: a reader waits for what was in the journal when it came, and no longer."""

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.recording import segments
from officeai_proxy.recording.freshness import JournalFreshness
from officeai_proxy.recording.journal import Journal


def no_poke() -> None:
    """Hurry nobody."""


async def test_an_empty_journal_is_not_waited_for(tmp_path: Path) -> None:
    """Where nothing waits a reader does not wait either."""
    await asyncio.wait_for(JournalFreshness(tmp_path, poke=no_poke, patience=600).wait(), 60)


async def test_a_reader_waits_until_its_own_call_is_stored(tmp_path: Path) -> None:
    """It goes on as soon as that is stored, although later calls are not, and hurries the work."""
    journal = Journal(tmp_path)
    journal.append(an_exchange())
    wanted = segments.sizes(tmp_path)
    pokes = 0

    def poke() -> None:
        nonlocal pokes
        pokes += 1
        if pokes == 3:
            journal.append(an_exchange())
            segments.write_stored(tmp_path, wanted)

    await asyncio.wait_for(JournalFreshness(tmp_path, poke=poke, patience=600).wait(), 60)

    assert pokes == 3


async def test_a_freed_segment_was_stored(tmp_path: Path) -> None:
    """A segment that disappears while a reader waits is not waited for any longer."""
    journal = Journal(tmp_path)
    journal.append(an_exchange())

    def poke() -> None:
        for path in tmp_path.glob("*.seg"):
            path.unlink()

    await asyncio.wait_for(JournalFreshness(tmp_path, poke=poke, patience=600).wait(), 60)


async def test_patience_ends(tmp_path: Path) -> None:
    """When the database is away a reader waits no longer than it was told to."""
    Journal(tmp_path).append(an_exchange())
    fresh = JournalFreshness(tmp_path, poke=no_poke, patience=0.1)
    took: list[float] = []

    # Once more where the machine let it wait for something else.
    while not took or (took[-1] >= 5 and len(took) < 5):
        before = time.monotonic()
        await fresh.wait()
        took.append(time.monotonic() - before)

    assert 0.1 <= took[-1] < 5


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
async def test_a_folder_that_cannot_be_listed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whoever reads gets what is stored, and not an error of ours."""

    def refuse(_folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    Journal(tmp_path).append(an_exchange())
    monkeypatch.setattr(os, "scandir", refuse)

    await JournalFreshness(tmp_path, poke=no_poke, patience=60).wait()
