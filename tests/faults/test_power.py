"""The power goes: what level `disk` promises is kept, and the model sees when it is not."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
from tests.faults.power import Rules, power_losses

from officeai_proxy.recording import frames, journal
from officeai_proxy.recording.journal import LockedSegment

SEEDS = int(os.environ.get("CHAOS_SEEDS", "200"))
SEEDS_TO_FIND_A_BUG = 100


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of failed syncs and of torn ends are told; they are the point here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("failing_syncs", [0.0, 0.05])
def test_power_losses_lose_and_double_nothing(failing_syncs: float) -> None:
    """Whoever saw the end of a reply at level `disk` finds it stored, once and as it was; also
    when now and then a sync fails, which takes with it what it should have written.
    """
    row = power_losses(SEEDS, rules=Rules(failing_syncs=failing_syncs))
    print(row)

    assert row.is_good, row
    assert row.seen > 3 * SEEDS


@contextmanager
def without_sync() -> Iterator[None]:
    """The journal says that it is on the disk, and never asked for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockedSegment, "sync", lambda _: None)
        yield


@contextmanager
def without_directory_sync() -> Iterator[None]:
    """The bytes are safe, their file's name is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_sync_directory", lambda _: None)
        yield


@contextmanager
def without_checksum() -> Iterator[None]:
    """A frame is believed as soon as its header looks well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "is_intact", lambda *_: True)
        yield


@contextmanager
def syncing_again() -> Iterator[None]:
    """After a failed sync the same file is synced again, which then proves nothing."""
    real = LockedSegment.sync

    def sync(self: LockedSegment) -> None:
        try:
            real(self)
        except OSError:
            real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockedSegment, "sync", sync)
        yield


@pytest.mark.parametrize(
    ("bug", "rules", "kind"),
    [
        (without_sync, Rules(), "lost"),
        (without_directory_sync, Rules(), "lost"),
        (without_checksum, Rules(), "corrupted"),
        (syncing_again, Rules(failing_syncs=0.3), "lost"),
        (nullcontext, Rules(commits_first=False), "lost"),
        (nullcontext, Rules(is_unique=False), "duplicated"),
    ],
    ids=[
        "no fsync",
        "no directory fsync",
        "no CRC",
        "fsync again",
        "delete before commit",
        "no ON CONFLICT",
    ],
)
def test_a_seeded_bug_is_found(
    bug: Callable[[], AbstractContextManager[None]], rules: Rules, kind: str
) -> None:
    """A journal or a store with this bug does not pass, so passing means something."""
    with bug():
        row = power_losses(SEEDS_TO_FIND_A_BUG, rules=rules)

    print(row)
    assert getattr(row, kind) > 0
