"""The journal's read side: order, damage, dead writers, freed segments."""

import errno
import os
import time
from itertools import accumulate
from pathlib import Path

import orjson
import pytest
from tests.factories import an_exchange

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.model import NANOSECONDS
from officeai_proxy.recording import boots, frames, segments
from officeai_proxy.recording.adoption import Adoption
from officeai_proxy.recording.backlog import BacklogGauge
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import Journal, LockedSegment
from officeai_proxy.recording.journal_keys import check_keys
from officeai_proxy.recording.reader import Batch, Damage, JournalReader

SEAL = FrameSeal(MasterKeys({"k1": b"1" * 32}))


def read_all(reader: JournalReader, *, max_entries: int = 500) -> list[Batch]:
    batches = []
    while not (batch := reader.next_batch(max_entries=max_entries, max_bytes=10**7)).is_empty:
        reader.commit(batch)
        batches.append(batch)
    return batches


def exchanges_in(batches: list[Batch]) -> list[object]:
    return [entry.exchange for batch in batches for entry in batch.entries]


def test_an_empty_or_missing_folder_gives_nothing(tmp_path: Path) -> None:
    """There is nothing to do before the first call."""
    assert read_all(JournalReader(tmp_path)) == []
    assert read_all(JournalReader(tmp_path / "none")) == []


def test_exchanges_of_all_workers_come_in_the_order_they_were_written(tmp_path: Path) -> None:
    """A turn in one worker's segment never overtakes the turn before it in another's."""
    workers = [Journal(tmp_path) for _ in range(3)]
    exchanges = [an_exchange() for _ in range(30)]

    for number, exchange in enumerate(exchanges):
        workers[number * 7 % 3].append(exchange)

    assert exchanges_in(read_all(JournalReader(tmp_path), max_entries=4)) == exchanges


def test_a_clock_that_is_set_back_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn before in another worker's segment is read before, whatever the wall clock says."""
    workers = [Journal(tmp_path) for _ in range(2)]
    exchanges = [an_exchange() for _ in range(20)]
    now = time.time_ns()

    for number, exchange in enumerate(exchanges):
        set_to = now - number * NANOSECONDS
        monkeypatch.setattr(time, "time_ns", lambda set_to=set_to: set_to)
        workers[number % 2].append(exchange)

    assert exchanges_in(read_all(JournalReader(tmp_path), max_entries=3)) == exchanges


def test_what_is_written_during_a_look_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn before it may be in a segment that was looked at a moment too early."""
    exchange, now = an_exchange(), time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now + 1)
    Journal(tmp_path).append(exchange)
    reader = JournalReader(tmp_path)

    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    during = exchanges_in(read_all(reader))
    monkeypatch.setattr(time, "monotonic_ns", lambda: now + 1)
    after = exchanges_in(read_all(reader))

    assert (during, after) == ([], [exchange])


def test_the_journal_of_an_earlier_start_of_the_machine_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its monotonic clock says nothing here; the wall clock tells two of its workers apart."""
    now, uptime, older = time.time_ns(), time.monotonic_ns(), []
    for number, worker in enumerate(("old2-00000001", "old1-00000001", "old2-00000002")):
        monkeypatch.setattr(time, "time_ns", lambda number=number: now + number)
        monkeypatch.setattr(time, "monotonic_ns", lambda number=number: uptime * (9 - number))
        older.append(an_exchange())
        (tmp_path / f"{worker}.seg").write_bytes(frames.encode(older[-1]))
    monkeypatch.undo()
    monkeypatch.setattr(time, "time_ns", lambda: now - 60 * NANOSECONDS)
    newer = an_exchange()
    Journal(tmp_path).append(newer)

    read = exchanges_in(read_all(JournalReader(tmp_path)))
    # Where nothing tells one start of a machine from another, the wall clock is all there is.
    assert read == ([*older, newer] if boots.this_boot() else [newer, *older])


def test_a_file_that_may_not_be_read_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root left there waits, and is told by the gauge, until somebody gives it away."""
    foreign, own = an_exchange(), an_exchange()
    names = ("others-00000001.seg", "others-00000001.pieces")
    for name in names:
        (tmp_path / name).write_bytes(frames.encode(foreign))
    Journal(tmp_path).append(own)
    open_file = os.open

    def refuse(path: Path, *how: int) -> int:
        if Path(path).name in names:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return open_file(path, *how)

    reader, gauge, adoption = JournalReader(tmp_path), BacklogGauge(tmp_path), Adoption(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert exchanges_in(read_all(reader)) == [own]
        backlog = gauge.measure()
        assert (backlog.pending, backlog.unreadable) == (0, 1)
        assert adoption.found() is None
        check_keys(tmp_path, None)
    assert exchanges_in(read_all(reader)) == [foreign]
    assert gauge.measure().unreadable == 0


def test_a_file_on_a_bad_part_of_the_disk_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, nothing in it is passed over, and it is read when the disk can again."""
    first, second, own = an_exchange(), an_exchange(), an_exchange()
    bad = tmp_path / "others-00000001.seg"
    bad.write_bytes(frames.encode(first) + frames.encode(second))
    Journal(tmp_path).append(own)
    begins_at, inode, read = len(frames.encode(first)), bad.stat().st_ino, os.pread
    monkeypatch.setattr(segments, "STRETCH", begins_at)

    def fail(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == inode and offset >= begins_at:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, size, offset)

    reader = JournalReader(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        found = [*exchanges_in(read_all(reader)), *exchanges_in(read_all(reader))]
        assert sorted(one.id for one in found) == sorted([first.id, own.id])
        assert BacklogGauge(tmp_path).measure().unreadable == 1
    assert exchanges_in(read_all(reader)) == [second]
    assert [record.message for record in caplog.records] == [
        f"{bad.name} cannot be read, and waits in the journal: [Errno 5] Input/output error"
    ]


def test_what_stands_behind_a_bad_sector_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reads as far as it can, and fails from there on; no damage is seen in that."""
    said = [an_exchange(reply=b"long " * 2000) for _ in range(3)]
    bad = tmp_path / "others-00000001.seg"
    bad.write_bytes(b"".join(map(frames.encode, said)))
    sector, read = len(frames.encode(said[0])) + segments.PAGE, os.pread

    def read_up_to_it(descriptor: int, size: int, offset: int) -> bytes:
        if offset >= sector:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, min(size, sector - offset), offset)

    reader = JournalReader(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", read_up_to_it)
        batches = read_all(reader)
        assert exchanges_in(batches) == said[:1]
        assert [batch.damage for batch in batches] == [()]
    assert exchanges_in(read_all(reader)) == said[1:]


def test_nothing_overtakes_what_waits_for_a_free_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files are the fault of no segment: all wait, so that turns stay in order."""
    (tmp_path / "others-00000001.seg").write_bytes(frames.encode(an_exchange()))
    (tmp_path / "others-00000002.seg").write_bytes(frames.encode(an_exchange()))
    open_file = os.open

    def refuse(path: Path, *how: int) -> int:
        if Path(path).name == "others-00000001.seg":
            raise OSError(errno.EMFILE, "Too many open files", path)
        return open_file(path, *how)

    reader = JournalReader(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            read_all(reader)
        assert BacklogGauge(tmp_path).measure().unreadable == 1
    assert len(exchanges_in(read_all(reader))) == 2


def test_what_is_stored_and_cannot_be_deleted_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a disk that turned read-only; it goes with a later batch, and is not stored again."""
    segment = tmp_path / "others-00000001.seg"
    segment.write_bytes(frames.encode(an_exchange()))
    reader, journal = JournalReader(tmp_path), Journal(tmp_path)

    def refuse(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert len(exchanges_in(read_all(reader))) == 1
        journal.append(an_exchange())
        assert len(exchanges_in(read_all(reader))) == 1
        assert segment.exists()
    journal.append(an_exchange())
    assert len(exchanges_in(read_all(reader))) == 1
    assert not segment.exists()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("noted", ["far", -5, 1.5, None, [1], True])
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, noted: object) -> None:
    """Nothing rests on it: the segment is read from its beginning."""
    segment = tmp_path / "others-00000001.seg"
    segment.write_bytes(frames.encode(an_exchange()))
    (tmp_path / segments.STORED).write_bytes(orjson.dumps({segment.name: noted}))

    assert segments.read_stored(tmp_path) == {}
    assert len(exchanges_in(read_all(JournalReader(tmp_path)))) == 1


def test_what_is_committed_is_not_read_again(tmp_path: Path) -> None:
    """A new reader goes on where the last one was; an uncommitted batch comes again."""
    journal = Journal(tmp_path)
    first, second = an_exchange(), an_exchange()
    journal.append(first)
    reader = JournalReader(tmp_path)
    reader.commit(reader.next_batch(max_entries=10, max_bytes=10**6))
    journal.append(second)
    lost = reader.next_batch(max_entries=10, max_bytes=10**6)
    reader.close()

    again = JournalReader(tmp_path).next_batch(max_entries=10, max_bytes=10**6)

    assert [e.exchange for e in lost.entries] == [second]
    assert [e.exchange for e in again.entries] == [second]


def test_a_segment_is_freed_when_it_is_stored_and_its_writer_is_gone(tmp_path: Path) -> None:
    """The journal's size is what waits, not what has ever been."""
    journal = Journal(tmp_path)
    journal.append(an_exchange())
    reader = JournalReader(tmp_path)

    read_all(reader)
    kept_for_writer = list(tmp_path.glob("*.seg"))
    journal.close()
    read_all(reader)

    assert len(kept_for_writer) == 1
    assert list(tmp_path.glob("*.seg")) == []
    assert segments.read_stored(tmp_path) == {}


def test_damage_in_a_dead_writers_segment_hides_only_itself(tmp_path: Path) -> None:
    """Torn and rotten frames are passed over, however many there are, and the file is freed."""
    good = [an_exchange() for _ in range(3)]
    torn = frames.encode(an_exchange())[:-7]
    parts = [frames.encode(good[0]), torn, frames.encode(good[1]), b"OAJ1junk", torn]
    data = b"".join([*parts, frames.encode(good[2]), torn])
    (tmp_path / "dead-00000001.seg").write_bytes(data)

    found = exchanges_in(read_all(JournalReader(tmp_path)))

    assert found == good
    assert list(tmp_path.glob("*.seg")) == []


def damage_in(batches: list[Batch]) -> list[Damage]:
    return [damage for batch in batches for damage in batch.damage]


@pytest.mark.parametrize("stretch", [1, 128 * 1024])
def test_what_was_passed_over_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    """Each damaged part with its place, and what stands there, whatever a batch holds."""
    monkeypatch.setattr(segments, "STRETCH", stretch)
    parts = [frames.encode(an_exchange()) for _ in range(5)]
    flipped = bytearray(parts[1])
    flipped[200] ^= 1
    endless = parts[3][:4] + b"\xff" * 4 + parts[3][8:]
    data = b"".join([parts[0], flipped, parts[2], endless, parts[4], bytes(500)])
    (tmp_path / "dead-00000001.seg").write_bytes(data)
    reader, found, kept = JournalReader(tmp_path), [], []

    while not (batch := reader.next_batch(max_entries=1, max_bytes=10**7)).is_empty:
        found += [(damage.start, damage.end) for damage in batch.damage]
        kept += [reader.bytes_of(damage) for damage in batch.damage]
        reader.commit(batch)

    ends = list(accumulate(map(len, parts)))
    assert found == [(ends[0], ends[1]), (ends[2], ends[3]), (ends[4], ends[4] + 500)]
    assert kept == [flipped, endless, bytes(500)]


def cut_at_a_page(frame: bytes, *, before: bytes = b"") -> bytes:
    """A segment whose writer was killed as it wrote *frame*."""
    whole = before + frame
    return whole[: len(whole) // segments.PAGE * segments.PAGE]


@pytest.mark.parametrize("seal", [None, SEAL], ids=["plain", "sealed"])
def test_a_frame_whose_writer_was_killed_is_no_damage(
    tmp_path: Path, seal: FrameSeal | None
) -> None:
    """Nobody was told that it is kept; a page of the file ends where the kernel stopped."""
    good = an_exchange()
    torn = frames.encode(an_exchange(reply=b"x" * 9000), seal)
    data = cut_at_a_page(torn, before=frames.encode(good, seal))
    (tmp_path / "dead-00000001.seg").write_bytes(data)

    batches = read_all(JournalReader(tmp_path, seal))

    assert (exchanges_in(batches), damage_in(batches)) == ([good], [])
    assert segments.sizes(tmp_path) == {}


def bad_ends() -> dict[str, bytes]:
    torn = cut_at_a_page(frames.encode(an_exchange(reply=b"x" * 9000)))
    longer = bytearray(frames.encode(an_exchange(reply=b"x" * 9000)))
    longer[5] ^= 1
    return {
        "cut elsewhere": torn[:-7],
        "zeroed": torn[:-500] + bytes(500),
        "all zero": bytes(4096),
        "garbled": b"?" * 4096,
        "a false length": cut_at_a_page(bytes(longer)),
        "a flipped bit": bytes(longer),
    }


@pytest.mark.parametrize("name", bad_ends())
def test_any_other_end_is_damage(tmp_path: Path, name: str) -> None:
    """Calls may have been there of which somebody was told that they are kept."""
    data = bad_ends()[name]
    (tmp_path / "dead-00000001.seg").write_bytes(data)

    assert damage_in(read_all(JournalReader(tmp_path))) == [
        Damage("dead-00000001.seg", 0, len(data))
    ]


def test_a_note_of_another_file_hides_nothing(tmp_path: Path) -> None:
    """What is stored of a segment cannot be more than the segment."""
    exchange = an_exchange()
    (tmp_path / "dead-00000001.seg").write_bytes(frames.encode(exchange))
    segments.write_stored(tmp_path, {"dead-00000001.seg": 10**9})

    assert exchanges_in(read_all(JournalReader(tmp_path))) == [exchange]


def test_half_a_frame_of_a_living_writer_is_waited_for(tmp_path: Path) -> None:
    """A frame that is being written is neither skipped nor read in part."""
    journal = Journal(tmp_path)
    first, second = an_exchange(), an_exchange()
    journal.append(first)
    (path,) = tmp_path.glob("*.seg")
    frame = frames.encode(second)
    reader = JournalReader(tmp_path)

    with path.open("ab", buffering=0) as file:
        file.write(frame[:40])
        before = exchanges_in(read_all(reader))
        file.write(frame[40:])
        after = exchanges_in(read_all(reader))

    assert before == [first]
    assert after == [second]


def test_a_payload_of_another_version_is_handed_out_whole(tmp_path: Path) -> None:
    """It can be set aside, and does not hold up the others."""
    good = an_exchange()
    data = bytearray(frames.encode(good))
    bad = data.replace(b'"outcome"', b'"outc0me"')
    header = frames.read_header(bytes(data))
    assert header is not None
    payload = bytes(bad[frames.HEADER_SIZE :])
    crc = frames.crc32(payload, frames.crc32(bytes(bad[4:24])))
    bad[24:28] = crc.to_bytes(4)
    (tmp_path / "w-00000001.seg").write_bytes(bytes(bad) + bytes(data))

    (batch,) = read_all(JournalReader(tmp_path))

    assert [entry.exchange for entry in batch.entries] == [None, good]
    assert batch.entries[0].payload == payload


def test_a_batch_is_bounded_in_bytes(tmp_path: Path) -> None:
    """After an outage the backlog is read piece by piece, never whole."""
    journal = Journal(tmp_path)
    for _ in range(10):
        journal.append(an_exchange(reply=b"x" * 1000))

    batch = JournalReader(tmp_path).next_batch(max_entries=500, max_bytes=2500)

    assert len(batch.entries) == 2


@pytest.mark.parametrize("stretch", [1, 27, 28, 29, 600, 1500, 10**6])
def test_frames_are_found_however_many_bytes_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    """One that is larger than a stretch, or lies across the end of one, is read whole."""
    monkeypatch.setattr(segments, "STRETCH", stretch)
    good = [an_exchange(reply=b"x" * size) for size in (0, 10, 2000, 5, 300)]
    data = b"OAJ1junk".join(map(frames.encode, good))
    (tmp_path / "dead-00000001.seg").write_bytes(data)

    found = exchanges_in(read_all(JournalReader(tmp_path), max_entries=2))

    assert found == good


def test_a_frame_that_was_read_before_it_was_whole_is_read_again(tmp_path: Path) -> None:
    """Bytes that were seen too early are not believed later."""
    journal = Journal(tmp_path)
    exchanges = [an_exchange() for _ in range(3)]
    journal.append(exchanges[0])
    (path,) = tmp_path.glob("*.seg")
    frame = frames.encode(exchanges[1])
    reader = JournalReader(tmp_path)

    with path.open("r+b", buffering=0) as file:
        file.seek(0, 2)
        at = file.tell()
        file.write(b"\0" * len(frame))
        before = exchanges_in(read_all(reader))
        file.seek(at)
        file.write(frame)
        file.write(frames.encode(exchanges[2]))
        after = exchanges_in(read_all(reader))

    assert before == exchanges[:1]
    assert after == exchanges[1:]


def open_segments(directory: Path) -> int:
    """Segments of *directory* that this process has open for reading."""
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return sum(Path(link).parent == directory.resolve() for link in links)


def test_a_backlog_of_days_is_read_with_one_open_segment_for_each_writer(tmp_path: Path) -> None:
    """Neither descriptors nor memory grow with what waits."""
    workers = [Journal(tmp_path, segment_bytes=1) for _ in range(2)]
    exchanges = [an_exchange() for _ in range(100)]
    for number, exchange in enumerate(exchanges):
        workers[number % 2].append(exchange)
    for worker in workers:
        worker.close()
    reader, found, most = JournalReader(tmp_path), [], 0

    while not (batch := reader.next_batch(max_entries=500, max_bytes=10**7)).is_empty:
        found.append(batch)
        most = max(most, open_segments(tmp_path))
        reader.commit(batch)

    assert exchanges_in(found) == exchanges
    assert most <= 2
    assert segments.sizes(tmp_path) == {}


def test_a_batch_says_whether_more_can_be_had_at_once(tmp_path: Path) -> None:
    """At its limits, and where a segment ends behind which another waits, it is not the last."""
    journal = Journal(tmp_path, segment_bytes=2500)
    for _ in range(5):
        journal.append(an_exchange())
    journal.close()
    reader = JournalReader(tmp_path)

    told = []
    while not (batch := reader.next_batch(max_entries=2, max_bytes=10**7)).is_empty:
        told.append((len(batch.entries), batch.has_more))
        reader.commit(batch)

    assert sum(size for size, _ in told) == 5
    assert [has_more for _, has_more in told] == [True] * (len(told) - 1) + [False]


def test_a_segment_that_may_still_get_frames_does_not_hide_the_next(tmp_path: Path) -> None:
    """One that was given up after a failed sync stays open for a while, with nothing to read."""
    held = LockedSegment(tmp_path / "worker-00000001.seg", durable=False)
    held.write(frames.encode(an_exchange())[:-1])
    following = LockedSegment(tmp_path / "worker-00000002.seg", durable=False)
    exchange = an_exchange()
    following.write(frames.encode(exchange))

    found = exchanges_in(read_all(JournalReader(tmp_path)))

    assert found == [exchange]
    held.close()
    following.close()


def test_a_folder_or_a_pipe_is_no_segment(tmp_path: Path) -> None:
    """Whoever opens a pipe to read waits for a writer, and no other call would be stored."""
    (tmp_path / "a.seg").mkdir()
    os.mkfifo(tmp_path / "b.seg")
    (tmp_path / "c.seg").symlink_to("nothing")
    (tmp_path / "d.seg").write_bytes(b"x")

    assert segments.sizes(tmp_path) == {"d.seg": 1}
