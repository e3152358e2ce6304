"""Counters of several workers: never lost, never counted twice, whoever dies when."""

import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from officeai_proxy.errors import NumbersUnavailable
from officeai_proxy.metrics.board import (
    MODELS,
    NAME_BYTES,
    OTHER,
    SIZE,
    Board,
    ModelCounts,
    read_board,
)
from officeai_proxy.metrics.boards import PAST, Boards
from officeai_proxy.metrics.catalogue import CALLS, IN_FLIGHT, SLOTS

CALL = CALLS.samples[0]
GAUGE = IN_FLIGHT.sample()


@pytest.fixture
def boards(tmp_path: Path) -> Boards:
    return Boards(tmp_path / "metrics")


@contextmanager
def no_room() -> Iterator[None]:
    """Nothing can be written to any file: a limit on their size stands in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def counted(boards: Boards) -> int:
    return boards.total().samples.get(CALL, 0)


def test_nothing_was_counted(boards: Boards) -> None:
    """Without any worker there is an empty sum, and no error."""
    assert counted(boards) == 0
    assert boards.workers() == 0


def test_living_workers_add_up(boards: Boards) -> None:
    """Two boards are one sum, also before either of them is closed."""
    one, other = boards.open(), boards.open()
    one.slots[SLOTS[CALL]] += 2
    other.slots[SLOTS[CALL]] += 3
    one.slots[SLOTS[GAUGE]] += 1

    assert counted(boards) == 5
    assert boards.total().samples[GAUGE] == 1
    assert boards.workers() == 2
    boards.close(one)
    assert (counted(boards), boards.workers()) == (5, 1)
    assert boards.total().samples[GAUGE] == 0
    other.close()


def test_a_dead_worker_is_not_forgotten(boards: Boards) -> None:
    """A worker that ended without a word has its counts, once, before and after they are moved."""
    dead = boards.open()
    dead.slots[SLOTS[CALL]] += 7
    dead.slots[SLOTS[GAUGE]] += 1
    dead.add_model("m", ModelCounts(1, 2, 3))
    dead.close()

    for _ in range(2):
        total = boards.total()
        assert (total.samples[CALL], total.samples.get(GAUGE, 0)) == (7, 0)
        assert total.models == {"m": ModelCounts(1, 2, 3)}
        boards.close(boards.open())
    assert not dead.path.exists()


def test_a_crash_between_moving_and_deleting_counts_once(boards: Boards) -> None:
    """A board whose counts were moved already is never moved again."""
    board = boards.open()
    board.slots[SLOTS[CALL]] += 4
    saved = board.path.read_bytes()
    boards.close(board)
    board.path.write_bytes(saved)

    assert counted(boards) == 4
    boards.close(boards.open())
    assert counted(boards) == 4


def test_damaged_files_are_passed_over(boards: Boards) -> None:
    """A past that cannot be read and a board of another version count nothing."""
    board = boards.open()
    board.slots[SLOTS[CALL]] += 1
    folder = board.path.parent
    (folder / PAST).write_text('{"samples": ')
    (folder / "old.board").write_bytes(b"of another version")

    assert counted(boards) == 1
    boards.close(board)
    assert counted(boards) == 1
    assert json.loads((folder / PAST).read_text())["samples"][CALL] == 1


def test_models_are_bounded(boards: Boards) -> None:
    """The first models have names, later ones are one; no name can break out of its place."""
    board: Board = boards.open()
    for number in range(MODELS + 5):
        board.add_model(f"m{number}", ModelCounts(1, 0, 0))
    board.add_model("m0", ModelCounts(1, 0, 0))

    models = read_board(board.path).models
    assert len(models) == MODELS + 1
    assert models["m0"] == ModelCounts(2, 0, 0)
    assert models[OTHER] == ModelCounts(5, 0, 0)
    board.close()
    second = boards.open()
    second.add_model("模" * NAME_BYTES, ModelCounts(1, 0, 0))
    (name,) = read_board(second.path).models
    assert name == "模" * (NAME_BYTES // 3)
    assert len(boards.total().models) == MODELS + 1
    second.close()


def test_the_past_is_for_its_owner_only(boards: Boards) -> None:
    """Names of models are in it; a file of an earlier version that was for all does not stay so."""
    first = boards.open()
    folder = first.path.parent
    (folder / f"{PAST}.new").touch(0o644)
    boards.close(first)

    assert (folder / PAST).stat().st_mode & 0o777 == 0o600


def test_a_file_without_holes(boards: Boards) -> None:
    """A disk that is full later kills no worker: the file has all of its room from the start."""
    board = boards.open()
    descriptor = os.open(board.path, os.O_RDONLY)
    hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
    os.close(descriptor)
    board.close()
    assert hole == SIZE


def test_a_full_disk(boards: Boards) -> None:
    """A worker that starts on it counts for itself, and what dead ones counted is kept, once."""
    dead = boards.open()
    dead.slots[SLOTS[CALL]] += 4
    dead.close()

    with no_room():
        board = boards.open()
    board.slots[SLOTS[CALL]] += 1
    board.add_model("m", ModelCounts(1, 0, 0))
    assert board.slots[SLOTS[CALL]] == 1
    assert (counted(boards), boards.workers()) == (4, 0)
    boards.close(board)
    assert counted(boards) == 4
    assert not dead.path.exists()


def test_a_folder_that_is_gone(boards: Boards, tmp_path: Path) -> None:
    """Whoever scrapes is told, and the program ends in order: counting is no reason not to."""
    board = boards.open()
    shutil.rmtree(tmp_path / "metrics")

    with pytest.raises(NumbersUnavailable, match="folder `metrics`"):
        boards.total()
    with pytest.raises(NumbersUnavailable, match="folder `metrics`"):
        boards.workers()
    boards.close(board)
