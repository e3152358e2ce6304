"""The journal's write side: what it keeps, what it does when the disk takes nothing."""

import asyncio
import errno
import fcntl
import os
import stat
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from tests.factories import an_exchange

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Durability, Exchange
from officeai_proxy.recording import frames, segments
from officeai_proxy.recording import journal as recording_journal
from officeai_proxy.recording.journal import (
    MOST_AT_ONCE,
    Journal,
    LockedSegment,
    open_directory,
)
from officeai_proxy.recording.syncing import ATTEMPTS


def kept_in(directory: Path) -> list[Exchange]:
    files = sorted(directory.glob("*.seg"))
    return [
        frames.decode(frame.payload) for file in files for frame in frames.scan(file.read_bytes())
    ]


class Disk:
    """A disk that takes so many bytes, then fails; one for all segments of a test."""

    room = 10**9
    writes = 0
    syncs = 0
    failing_syncs = 0


class FailingSegment(LockedSegment):
    """A real segment on the `Disk`."""

    def write(self, data: bytes) -> int:
        if Disk.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        Disk.writes += 1
        some = data[: Disk.room]
        Disk.room -= len(some)
        return super().write(some)

    def sync(self) -> None:
        Disk.syncs += 1
        if Disk.failing_syncs:
            Disk.failing_syncs -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


@pytest.fixture(autouse=True)
def _fresh_disk() -> None:
    Disk.room, Disk.writes, Disk.syncs, Disk.failing_syncs = 10**9, 0, 0, 0


def a_disk_journal(directory: Path, **more: int) -> Journal:
    return Journal(
        directory,
        durability=Durability.DISK,
        backlog_bytes=10**6,
        rest_seconds=0,
        new_segment=FailingSegment,
        **more,
    )


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
    journal = Journal(tmp_path, backlog_bytes=10**6, rest_seconds=0, new_segment=FailingSegment)
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


async def test_nothing_waits_for_a_sync_but_who_asked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk holds up no stream: a new file and its name are synced in another thread."""
    synced: list[tuple[bool, bool]] = []

    def note(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(recording_journal, "_sync", note)
    journal = Journal(tmp_path, durability=Durability.DISK)

    for _ in range(2):
        journal.append(an_exchange())
        await journal.synced()
    journal.append(an_exchange())

    # The file, its name, and the file again; a name is synced once.
    assert synced == [(False, False), (True, False), (False, False)]


async def test_what_a_failed_sync_left_open_is_written_again(tmp_path: Path) -> None:
    """After a failed sync the kernel lies about the same file: all goes to a new one, and that is
    synced before anybody is told that the call is safe.
    """
    journal = a_disk_journal(tmp_path)
    exchange = an_exchange()
    journal.append(exchange)
    (given_up,) = tmp_path.glob("*.seg")
    Disk.failing_syncs = 1

    await journal.synced()

    (fresh,) = set(tmp_path.glob("*.seg")) - {given_up}
    assert [frames.decode(f.payload) for f in frames.scan(fresh.read_bytes())] == [exchange]
    assert (Disk.syncs, journal.sync_errors, journal.is_keeping) == (2, 1, True)
    assert not _is_locked(given_up)


async def test_what_is_known_to_be_synced_is_not_written_again(tmp_path: Path) -> None:
    """A failed sync concerns what came since the last good one."""
    journal = a_disk_journal(tmp_path)
    safe, open_ = an_exchange(), an_exchange()
    journal.append(safe)
    await journal.synced()
    Disk.failing_syncs = 1
    journal.append(open_)
    await journal.synced()

    assert sorted(kept_in(tmp_path), key=lambda e: e.id) == [safe, open_, open_]


async def test_what_comes_while_a_sync_fails_is_written_again_too(tmp_path: Path) -> None:
    """It may be in the file that was given up."""
    journal = a_disk_journal(tmp_path)
    exchanges = [an_exchange() for _ in range(6)]
    Disk.failing_syncs = 2

    async def keep(exchange: Exchange) -> None:
        journal.append(exchange)
        await journal.synced()

    await asyncio.gather(*map(keep, exchanges[:3]))
    await asyncio.gather(*map(keep, exchanges[3:]))

    assert {e.id for e in kept_in(tmp_path)} == {e.id for e in exchanges}
    assert journal.is_keeping


async def test_a_disk_that_never_syncs_holds_up_nobody(tmp_path: Path) -> None:
    """Callers go on after some tries, health is bad, memory is not held, and it heals by itself."""
    journal = a_disk_journal(tmp_path)
    Disk.failing_syncs = 10**9
    for _ in range(5):
        journal.append(an_exchange())
        await asyncio.wait_for(journal.synced(), 5)
    bad = (journal.is_keeping, journal.dropped, journal.backlog_bytes)
    errors = journal.sync_errors
    Disk.failing_syncs = 0
    journal.tidy()
    await journal.synced()

    assert bad == (False, 0, 0)
    assert 5 <= errors <= 2 * ATTEMPTS
    assert journal.is_keeping


async def test_a_segment_that_is_left_is_synced_before_it_is_freed(tmp_path: Path) -> None:
    """What nobody waited for is brought to the disk as well."""
    journal = a_disk_journal(tmp_path, segment_bytes=1000)
    for _ in range(4):
        journal.append(an_exchange(reply=b"z" * 900))
    locked = [_is_locked(path) for path in tmp_path.glob("*.seg")]
    await journal.synced()

    assert locked == [True] * 4
    assert Disk.syncs == 4
    assert sum(map(_is_locked, tmp_path.glob("*.seg"))) == 1


async def test_a_full_disk_at_level_disk_loses_nothing(tmp_path: Path) -> None:
    """What was written before the disk was full is synced, what came after waits for room."""
    journal = a_disk_journal(tmp_path)
    exchanges = [an_exchange() for _ in range(3)]
    Disk.room = 1000
    for exchange in exchanges:
        journal.append(exchange)
        await asyncio.wait_for(journal.synced(), 5)
    is_full = not journal.is_keeping
    Disk.room = 10**9
    journal.tidy()
    await journal.synced()

    assert is_full
    assert journal.is_keeping
    assert {e.id for e in kept_in(tmp_path)} == {e.id for e in exchanges}


async def test_at_level_memory_the_end_of_a_reply_waits_for_no_file(tmp_path: Path) -> None:
    """What ends in one turn of the loop is in the journal at the next, in one write."""
    journal = Journal(tmp_path, durability=Durability.MEMORY, new_segment=FailingSegment)
    exchanges = [an_exchange() for _ in range(5)]

    for exchange in exchanges:
        journal.append(exchange)
    at_once = kept_in(tmp_path)
    await asyncio.sleep(0)

    assert at_once == []
    assert kept_in(tmp_path) == exchanges
    assert Disk.writes == 1


async def test_level_memory_holds_back_only_so_many(tmp_path: Path) -> None:
    """A loop that does not turn cannot make memory grow; the end of the program forgets nothing."""
    journal = Journal(tmp_path, durability=Durability.MEMORY)
    exchanges = [an_exchange() for _ in range(MOST_AT_ONCE + 3)]

    for exchange in exchanges:
        journal.append(exchange)
    held = len(exchanges) - len(kept_in(tmp_path))
    journal.close()
    await asyncio.sleep(0)

    assert held == 3
    assert kept_in(tmp_path) == exchanges


async def test_level_memory_counts_each_call_that_is_lost(tmp_path: Path) -> None:
    """What is written together is told apart when it cannot be written."""
    journal = Journal(tmp_path, durability=Durability.MEMORY, new_segment=FailingSegment)
    Disk.room = 0
    for _ in range(5):
        journal.append(an_exchange())
    await asyncio.sleep(0)

    assert journal.dropped == 5


def test_without_memory_to_wait_in_a_fault_is_seen_and_heals(tmp_path: Path) -> None:
    """Nothing waits that could be tried again, and still the journal knows how it is."""
    journal = Journal(tmp_path, backlog_bytes=0, rest_seconds=3600, new_segment=FailingSegment)
    Disk.room = 0
    for _ in range(5):
        journal.append(an_exchange())
    is_bad, tries = not journal.is_keeping, journal.append_errors
    journal.tidy()
    is_still_bad = not journal.is_keeping
    Disk.room = 10**9
    journal.tidy()
    journal.append(an_exchange())

    assert (is_bad, is_still_bad, journal.is_keeping) == (True, True, True)
    assert (tries, journal.dropped, len(kept_in(tmp_path))) == (1, 5, 1)


def test_a_full_disk_is_told_once_and_left_alone_for_a_moment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log nor the folder fills up with the tries of thousands of calls."""
    journal = Journal(tmp_path, backlog_bytes=10**6, rest_seconds=3600, new_segment=FailingSegment)
    Disk.room = 0
    for _ in range(100):
        journal.append(an_exchange())
    waited = journal.backlog_bytes
    Disk.room = 10**9
    journal.tidy()

    assert (journal.append_errors, len(caplog.records)) == (1, 2)
    assert (waited > 0, journal.backlog_bytes, journal.dropped) == (True, 0, 0)
    assert len(kept_in(tmp_path)) == 100
    assert len(list(tmp_path.iterdir())) == 1


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


def test_what_is_in_a_deleted_segment_is_written_anew(tmp_path: Path) -> None:
    """The recorder would never find it; without a folder it waits in memory, and that is told."""
    folder, away = tmp_path / "journal", tmp_path / "away"
    folder.mkdir()
    journal = Journal(folder, backlog_bytes=10**6, rest_seconds=0)
    exchanges = [an_exchange() for _ in range(3)]
    for exchange in exchanges[:2]:
        journal.append(exchange)

    folder.rename(away)
    journal.tidy()
    journal.append(exchanges[2])
    told = (journal.is_keeping, journal.append_errors > 0, journal.dropped)
    folder.mkdir()
    journal.tidy()

    assert told == (False, True, 0)
    assert journal.is_keeping
    assert kept_in(folder) == exchanges

    next(folder.glob("*.seg")).unlink()
    journal.close()
    assert kept_in(folder) == exchanges


def test_a_folder_that_may_not_be_entered_is_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls wait in memory, nothing is raised, and all is written when it may be again."""
    journal = Journal(tmp_path, backlog_bytes=10**6, rest_seconds=0)
    exchanges = [an_exchange() for _ in range(2)]
    journal.append(exchanges[0])
    stat = Path.stat

    def refuse(path: Path, *_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def refuse_below(path: Path, *how: object, **more: object) -> os.stat_result:
        return refuse(path) if path.parent == tmp_path else stat(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse_below)
        patch.setattr(os, "open", refuse)
        journal.tidy()
        journal.append(exchanges[1])
        told = (journal.is_keeping, journal.dropped)
    journal.tidy()

    assert told == (False, 0)
    assert journal.is_keeping
    # What is in the file that could not be seen is written once more, and stored once.
    assert {exchange.id for exchange in kept_in(tmp_path)} == {one.id for one in exchanges}


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_what_root_writes_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """As `set-aside retry` does where an administrator calls it: the recorder has to read it."""
    os.chown(tmp_path, 12345, 23456)
    Journal(tmp_path).append(an_exchange())
    (segment,) = tmp_path.glob("*.seg")
    assert (segment.stat().st_uid, segment.stat().st_gid) == (12345, 23456)


def test_a_call_is_kept_where_nothing_can_be_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system that takes root for nobody."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", refuse)
    journal = Journal(tmp_path)
    journal.append(an_exchange())

    assert (journal.append_errors, journal.backlog_bytes) == (0, 0)
    assert len(list(tmp_path.glob("*.seg"))) == 1
