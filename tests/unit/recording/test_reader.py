"""The journal's read side: order, damage, dead writers, freed segments."""

import os
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.recording import frames, segments
from officeai_proxy.recording.journal import Journal, LockedSegment
from officeai_proxy.recording.reader import Batch, JournalReader


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
