"""The journal's write side: what it keeps, what it does when the disk takes nothing."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Durability, Exchange
from officeai_proxy.recording import frames, segments
from officeai_proxy.recording.journal import Journal, LockedSegment, open_directory


def kept_in(directory: Path) -> list[Exchange]:
    files = sorted(directory.glob("*.seg"))
    return [
        frames.decode(frame.payload) for file in files for frame in frames.scan(file.read_bytes())
    ]


class Disk:
    """A disk that takes so many bytes, then fails; one for all segments of a test."""

    room = 10**9
    syncs = 0
    sync_fails = False


class FailingSegment(LockedSegment):
    """A real segment on the `Disk`."""

    def write(self, data: bytes) -> int:
        if Disk.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        some = data[: Disk.room]
        Disk.room -= len(some)
        return super().write(some)

    def sync(self) -> None:
        Disk.syncs += 1
        if Disk.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


@pytest.fixture(autouse=True)
def _fresh_disk() -> None:
    Disk.room, Disk.syncs, Disk.sync_fails = 10**9, 0, False


def test_a_folder_that_cannot_be_written_is_a_wrong_configuration(tmp_path: Path) -> None:
    """The start fails with the setting's name, not the first call."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="OFFICEAI_DATA_DIR"):
        open_directory(tmp_path / "file" / "journal")


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else on the machine can read a conversation, whatever the umask is."""
    before = os.umask(0)
    try:
        open_directory(tmp_path / "data" / "journal")
        journal = Journal(tmp_path / "data" / "journal")
        journal.append(an_exchange())
    finally:
        os.umask(before)

    (segment,) = (tmp_path / "data" / "journal").glob("*.seg")
    assert segment.stat().st_mode & 0o777 == 0o600
    assert segment.parent.stat().st_mode & 0o777 == 0o700
    assert segment.parent.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_appended_is_in_a_file_at_once(tmp_path: Path) -> None:
    """Nothing is held back in memory: the next instruction may be a kill."""
    journal = Journal(tmp_path)
    exchanges = [an_exchange() for _ in range(3)]

    for exchange in exchanges:
        journal.append(exchange)

    assert kept_in(tmp_path) == exchanges


def test_a_segment_is_locked_while_its_writer_lives(tmp_path: Path) -> None:
    """Others see that it may still grow, and that it cannot once the writer has closed it."""
    journal = Journal(tmp_path)
    journal.append(an_exchange())
    (path,) = tmp_path.glob("*.seg")

    with path.open("rb") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    """Segments stay small, so that they can be freed."""
    journal = Journal(tmp_path, segment_bytes=1000)
    exchanges = [an_exchange(reply=b"z" * 600) for _ in range(4)]

    for exchange in exchanges:
        journal.append(exchange)

    assert len(list(tmp_path.glob("*.seg"))) == 4
    assert kept_in(tmp_path) == exchanges


@pytest.mark.parametrize("room", range(0, 1200, 37))
def test_a_full_disk_never_leaves_half_a_frame_between_whole_ones(
    tmp_path: Path, room: int
) -> None:
    """What did not fit waits in memory and is written whole when there is space again."""
    journal = Journal(tmp_path, backlog_bytes=10**6, new_segment=FailingSegment)
    exchanges = [an_exchange() for _ in range(4)]
    Disk.room = room

    for exchange in exchanges[:3]:
        journal.append(exchange)
    could_keep = journal.is_keeping
    Disk.room = 10**9
    journal.append(exchanges[3])

    assert not could_keep
    assert journal.is_keeping
    assert journal.dropped == 0
    assert sorted(kept_in(tmp_path), key=lambda e: e.id) == exchanges


def test_what_memory_cannot_hold_is_counted(tmp_path: Path) -> None:
    """A loss is never silent, and what waits is never more than the bound."""
    journal = Journal(tmp_path, backlog_bytes=1500, new_segment=FailingSegment)
    Disk.room = 0

    for _ in range(5):
        journal.append(an_exchange(reply=b"z" * 100))
    lost_at_once = journal.dropped
    journal.close()

    assert 0 < lost_at_once < 5
    assert journal.dropped == 5
    assert kept_in(tmp_path) == []


async def test_callers_share_one_sync(tmp_path: Path) -> None:
    """At level `disk` many replies that end together cost one or two syncs, not one each."""
    journal = Journal(tmp_path, durability=Durability.DISK, new_segment=FailingSegment)

    for _ in range(50):
        journal.append(an_exchange())
    await asyncio.gather(*(journal.synced() for _ in range(50)))

    assert 1 <= Disk.syncs <= 2


async def test_a_failed_sync_gives_up_the_file(tmp_path: Path) -> None:
    """After a failed sync the kernel lies about the same file; a new one is begun."""
    journal = Journal(tmp_path, durability=Durability.DISK, new_segment=FailingSegment)
    Disk.sync_fails = True

    journal.append(an_exchange())
    await journal.synced()
    Disk.sync_fails = False
    journal.append(an_exchange())
    await journal.synced()

    assert len(list(tmp_path.glob("*.seg"))) == 2
    assert len(kept_in(tmp_path)) == 2


async def test_segments_roll_while_they_are_synced(tmp_path: Path) -> None:
    """A full segment is safe on the disk before it is left."""
    journal = Journal(
        tmp_path, durability=Durability.DISK, segment_bytes=2000, new_segment=FailingSegment
    )
    exchanges = [an_exchange() for _ in range(30)]

    async def keep(exchange: Exchange) -> None:
        journal.append(exchange)
        await journal.synced()

    for at in range(0, 30, 3):
        await asyncio.gather(*(keep(exchange) for exchange in exchanges[at : at + 3]))

    assert len(list(tmp_path.glob("*.seg"))) > 1
    assert sorted(kept_in(tmp_path), key=lambda e: e.id) == exchanges


def test_a_segment_is_left_once_the_recorder_has_begun_to_store_it(tmp_path: Path) -> None:
    """Deleted words do not live on in a journal that nobody needs; an unread one is kept."""
    journal = Journal(tmp_path)
    journal.append(an_exchange())
    (path,) = tmp_path.glob("*.seg")

    journal.tidy()
    still_locked = _is_locked(path)
    segments.write_stored(tmp_path, {path.name: path.stat().st_size})
    journal.tidy()

    assert still_locked
    assert not _is_locked(path)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
