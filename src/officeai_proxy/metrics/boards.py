"""The boards of all workers of a host, living and dead, to one sum; nothing is counted twice.

What dead workers counted is moved into one file, so that counters never fall, not even over a
restart of everything. Whoever moves or adds up holds a lock.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from officeai_proxy import locks
from officeai_proxy.errors import NumbersUnavailable
from officeai_proxy.folder_faults import unusable
from officeai_proxy.metrics.board import SUFFIX, Board, ModelCounts, Reading, read_board
from officeai_proxy.metrics.catalogue import GAUGES

PAST = "past.json"
LOCK = "metrics.lock"

log = logging.getLogger(__name__)


class Boards:
    """The folder of boards."""

    def __init__(self, directory: Path) -> None:
        """They are in *directory*, which is made when it is not there.

        Raises:
            ConfigurationError: it cannot be made, or not be locked.
        """
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked(fcntl.LOCK_SH):
                pass
        except OSError as exc:
            raise unusable("calls cannot be counted", directory, exc) from exc

    def open(self) -> Board:
        """A new board for this worker; what dead workers left is moved away first."""
        self._move_the_dead()
        return Board(self._directory)

    def close(self, board: Board) -> None:
        """End *board*; what it counted stays."""
        board.close()
        try:
            self._move_the_dead()
        except OSError as exc:
            log.warning("what this worker counted stays in its file, or is gone with it: %s", exc)

    def workers(self) -> int:
        """How many workers live.

        Raises:
            NumbersUnavailable: the folder cannot be read now.
        """
        with _told_of_the_folder():
            return sum(map(_is_alive, self._files()))

    def total(self) -> Reading:
        """What all workers counted together.

        Raises:
            NumbersUnavailable: the folder cannot be read now.
        """
        # A part of the sum would be worse than none: counters never fall.
        with _told_of_the_folder(), self._locked(fcntl.LOCK_SH):
            total, moved = self._past()
            for path in self._files():
                if path.name in moved:
                    continue
                is_alive = _is_alive(path)
                read = read_board(path)
                total.add(read.samples if is_alive else _counters(read), read.models)
        return total

    def _move_the_dead(self) -> None:
        with self._locked(fcntl.LOCK_EX):
            total, moved = self._past()
            dead = [path for path in self._files() if not _is_alive(path)]
            for path in dead:
                if path.name not in moved:
                    read = read_board(path)
                    total.add(_counters(read), read.models)
            if dead:
                # Written in one step and with their names, so that a crash before they are deleted
                # does not count them again.
                try:
                    self._write_past(total, [path.name for path in dead])
                except OSError as exc:
                    # They count where they are as well, and wait there until the disk has room.
                    log.warning("what dead workers counted stays in their files: %s", exc)
                    return
                for path in dead:
                    path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        # `Path.glob` would give none where the folder cannot be listed, since Python 3.13 silently.
        return sorted(path for path in self._directory.iterdir() if path.suffix == SUFFIX)

    def _past(self) -> tuple[Reading, frozenset[str]]:
        total = Reading()
        try:
            kept = json.loads((self._directory / PAST).read_text("utf-8"))
            models = {name: ModelCounts(*counts) for name, counts in kept["models"].items()}
            total.add(kept["samples"], models)
            return total, frozenset(kept["moved"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # A file that is not there, or is damaged, is the same: the past is not known.
            return Reading(), frozenset()

    def _write_past(self, total: Reading, moved: list[str]) -> None:
        models = {name: astuple(counts) for name, counts in total.models.items()}
        kept = {"samples": total.samples, "models": models, "moved": moved}
        hidden = self._directory / f"{PAST}.new"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # One that an earlier version left behind has the mode that it was made with.
            os.fchmod(descriptor, 0o600)
            file.write(json.dumps(kept))
        hidden.replace(self._directory / PAST)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        descriptor = os.open(self._directory / LOCK, os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _told_of_the_folder() -> Iterator[None]:
    """A folder that cannot be read becomes an error that a caller understands."""
    try:
        yield
    except OSError as exc:
        raise NumbersUnavailable from exc


def _counters(reading: Reading) -> dict[str, int]:
    return {name: count for name, count in reading.samples.items() if name not in GAUGES}


def _is_alive(path: Path) -> bool:
    """Whether the worker that writes *path* lives: it holds the lock."""
    try:
        return locks.is_held(path)
    except FileNotFoundError:
        return False
