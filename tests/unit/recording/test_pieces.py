"""What long calls said so far: written bit by bit, wiped when they end, found after a kill."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import FakeCall

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.model import Exchange
from officeai_proxy.recording import frames, segments, setaside
from officeai_proxy.recording.adoption import Adoption, Estate
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.pieces import PiecesFile, PiecesLog

SEAL = FrameSeal(MasterKeys({"k": b"1" * 32}))


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.pieces"))


def left_behind(directory: Path, *, seal: FrameSeal | None = None) -> list[Exchange]:
    """What a recorder makes of the files, whose worker must be dead."""
    estate = Adoption(directory, seal).found()
    if estate is None:
        return []
    entries = list(Adoption(directory, seal).entries(estate))
    assert all(
        frames.decode(seal.open(e.payload) if seal else e.payload) == e.exchange for e in entries
    )
    return [entry.exchange for entry in entries if entry.exchange is not None]


def test_a_disk_that_takes_nothing_costs_the_call_nothing(tmp_path: Path) -> None:
    """The failure is counted once a while, and what was missed is written as soon as it can be."""
    full = [True]

    class File(PiecesFile):
        def write(self, data: bytes) -> int:
            if full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    log = PiecesLog(tmp_path, worker="w", rest_seconds=0, new_file=File)
    call = FakeCall().says(b"one ")
    log.write(call)
    log.write(call.says(b"two "))
    full[0] = False
    log.write(call.says(b"three"))
    log.close(is_kept=True)

    assert log.errors == 2
    assert [e.reply for e in left_behind(tmp_path)] == [b"one two three"]


def test_a_full_disk_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """Hundreds of calls do not try it hundreds of times."""
    log = PiecesLog(tmp_path / "missing", worker="w", rest_seconds=60)

    for _ in range(100):
        log.write(FakeCall())

    assert log.errors == 1


@pytest.mark.parametrize("seal", [None, SEAL], ids=["plain", "sealed"])
def test_what_came_before_a_kill_is_one_exchange(tmp_path: Path, seal: FrameSeal | None) -> None:
    """The request and all of the reply so far, with the last that was known of the call."""
    log = PiecesLog(tmp_path, worker="w", seal=seal)
    call = FakeCall(replace(FakeCall().exchange, status=None, request=b'{"secret": "canary"}'))
    log.write(call)
    call.exchange = replace(call.exchange, status=200, content_type="text/event-stream")
    log.write(call.says(b"data: canary 1\n\n").says(b"data: 2\n\n"))
    log.write(call)
    log.write(call.says(b"data: 3\n\n"))
    other = FakeCall().says(b"x")
    log.write(other)
    log.close(is_kept=True)

    expected = replace(call.exchange, reply=b"".join(call.pieces))
    assert left_behind(tmp_path, seal=seal) == [expected, other.so_far(0)]
    is_readable = b"canary" in files_in(tmp_path)[0].read_bytes()
    assert is_readable is (seal is None)


def test_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    """Its calls go on; nobody takes them for interrupted."""
    log = PiecesLog(tmp_path, worker="w")
    log.write(FakeCall().says(b"x"))

    assert Adoption(tmp_path).found() is None
    log.close()


def test_what_ended_is_wiped_and_the_file_goes_with_the_last_call(tmp_path: Path) -> None:
    """Nothing of a call stays in the file once the call is in the journal."""
    log = PiecesLog(tmp_path, worker="w")
    ends, stays = FakeCall().says(b"canary" * 99), FakeCall().says(b"stays")
    for call in (ends, stays):
        log.write(call)
    log.write(ends.says(b"canary"))
    log.ended(ends.id)
    log.tidy()
    (file,) = files_in(tmp_path)
    is_there = b"canary" in file.read_bytes()
    log.ended(stays.id)
    log.tidy()

    assert not is_there
    assert files_in(tmp_path) == []


def test_the_neighbours_of_what_was_wiped_are_found(tmp_path: Path) -> None:
    """A file with holes is read like any other."""
    log = PiecesLog(tmp_path, worker="w")
    calls = [FakeCall() for _ in range(9)]
    for turn in range(4):
        for call in calls:
            log.write(call.says(b"%d" % turn))
    for call in calls[::2]:
        log.ended(call.id)
    log.tidy()
    log.close(is_kept=True)

    found = left_behind(tmp_path)
    assert [e.id for e in found] == [call.id for call in calls[1::2]]
    assert {e.reply for e in found} == {b"0123"}


def test_files_are_bounded_by_what_is_needed(tmp_path: Path) -> None:
    """A call that goes on for hours among thousands of others keeps no old file alive."""
    log = PiecesLog(tmp_path, worker="w", file_bytes=20_000)
    lasting = FakeCall()
    largest = 0
    for turn in range(300):
        passing = FakeCall().says(b"p" * 500)
        log.write(passing)
        log.write(lasting.says(b"%03d " % turn))
        log.ended(passing.id)
        log.tidy()
        largest = max(largest, sum(file.stat().st_size for file in files_in(tmp_path)))
    log.close(is_kept=True)

    assert largest < 120_000
    assert [e.reply for e in left_behind(tmp_path)] == [b"".join(lasting.pieces)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.lists(st.sampled_from(["a", "b", "c"]), max_size=12))
def test_a_cut_at_any_byte_leaves_beginnings(
    tmp_path_factory: pytest.TempPathFactory, cut: int, turns: list[str]
) -> None:
    """Whatever a kill left of the file, each call is a beginning of what was said, or absent."""
    folder = tmp_path_factory.mktemp("cut")
    log = PiecesLog(folder, worker="w", file_bytes=900)
    calls = {name: FakeCall() for name in "abc"}
    for number, name in enumerate(turns):
        log.write(calls[name].says(b"%s%d " % (name.encode(), number)))
    log.close(is_kept=True)
    for file in files_in(folder)[-1:]:
        os.truncate(file, min(cut, file.stat().st_size))

    whole = {call.id: b"".join(call.pieces) for call in calls.values()}
    found = left_behind(folder)
    assert len({e.id for e in found}) == len(found)
    assert all(whole[e.id].startswith(e.reply) for e in found)


def test_a_rotten_piece_ends_its_call_there(tmp_path: Path) -> None:
    """What follows a gap is not told, for it would not be a beginning of the reply."""
    log = PiecesLog(tmp_path, worker="w")
    call = FakeCall()
    for text in (b"one", b"TWO", b"three"):
        log.write(call.says(text))
    log.close(is_kept=True)
    (file,) = files_in(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"TWO", b"T_O"))

    assert [e.reply for e in left_behind(tmp_path)] == [b"one"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"\0" * 999,
        lambda data: b"OAJ1" + data,
        lambda data: data[1:],
    ],
    ids=["empty", "zeros", "shifted", "beheaded"],
)
def test_a_spoilt_file_is_no_trouble(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """It gives what can be read of it, and is gone when that is stored."""
    log = PiecesLog(tmp_path, worker="w")
    log.write(FakeCall())
    log.close(is_kept=True)
    (file,) = files_in(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))
    adoption = Adoption(tmp_path)
    estate = adoption.found()

    assert isinstance(estate, Estate)
    assert len(list(adoption.entries(estate))) <= 1
    adoption.settle(estate)
    assert adoption.found() is None
    assert files_in(tmp_path) == []


def test_a_bad_sector_costs_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A call of which a piece cannot be read is told up to there; all others are told whole."""
    log = PiecesLog(tmp_path, worker="w")
    begun, spoilt, whole = FakeCall(), FakeCall(), FakeCall()
    log.write(begun.says(b"one "))
    log.write(spoilt.says(b"x" * 3 * segments.PAGE))
    log.write(begun.says(b"two"))
    log.write(whole.says(b"y" * 3 * segments.PAGE))
    log.close(is_kept=True)
    read, sector = os.pread, range(segments.PAGE, 2 * segments.PAGE)

    def read_up_to_it(descriptor: int, size: int, offset: int) -> bytes:
        if offset in sector:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, min(size, max(sector.start - offset, 0) or size), offset)

    monkeypatch.setattr(os, "pread", read_up_to_it)

    assert [call.reply for call in left_behind(tmp_path)] == [b"one two", b"y" * 3 * segments.PAGE]
    assert "a part of it cannot be read" in caplog.text


def test_a_call_that_is_set_aside_is_not_made_twice(tmp_path: Path) -> None:
    """Its end is there whole, and can be retried: a beginning would take its place."""
    log = PiecesLog(tmp_path, worker="w")
    call = FakeCall()
    log.write(call)
    log.close(is_kept=True)
    (tmp_path / setaside.FOLDER).mkdir()
    (tmp_path / setaside.FOLDER / f"{call.id}.frame").touch()

    assert left_behind(tmp_path) == []
