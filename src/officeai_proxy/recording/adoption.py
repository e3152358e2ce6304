"""What dead workers left of calls that they did not bring to an end in, exchanges out.

A call whose pieces are found and whose end is not in the journal was cut off with its worker. What
there is of it becomes one exchange with the outcome `interrupted`. The store knows it by its id, so
that it does not matter if a file is read twice, or if the end of the call was stored after all.
"""

import logging
import mmap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from officeai_proxy import locks
from officeai_proxy.errors import Unopenable
from officeai_proxy.recording import frames, pieces, segments, setaside
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.frames import Piece
from officeai_proxy.recording.mapped_file import mapped
from officeai_proxy.recording.reader import Entry

LOOK_EVERY = 0.5
"""Seconds between two looks for files of dead workers."""

_CLOCK_GRAIN_NS = 20_000_000
"""How far a file's time may be behind the clock that frames are stamped with."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Estate:
    """The files of pieces that one dead worker left, oldest first.

    Everything in the journal up to `until_ns` (wall clock) was written before that worker died, or
    at that moment: it comes before what is made of the pieces.
    """

    worker: str
    files: tuple[Path, ...]
    until_ns: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the pieces of one call are in the bytes of a file; each begins at one of `starts`."""

    data: mmap.mmap | bytes
    starts: tuple[int, ...]


class Adoption:
    """Looks after what dead workers left; only the recorder that leads may hold one."""

    def __init__(self, directory: Path, seal: FrameSeal | None = None) -> None:
        """Look in *directory*; *seal* opens frames."""
        self._directory = directory
        self._seal = seal
        self._next_look = 0.0
        self._found: Estate | None = None

    def found(self) -> Estate | None:
        """What a dead worker left, if there is one; it looks every now and then."""
        if self._found is None and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_EVERY
            self._found = self._look()
        return self._found

    def has_segments(self, estate: Estate) -> bool:
        """Whether something of that worker is in the journal still."""
        names = segments.sizes(self._directory)
        return any(pieces.worker_of(name) == estate.worker for name in names)

    def entries(self, estate: Estate) -> Iterator[Entry]:
        """The exchanges that the worker did not bring to an end, one at a time."""
        places: dict[UUID, _Place] = {}
        with ExitStack() as stack:
            for file in estate.files:
                # A later file has all of a call that it has anything of.
                places.update(self._places(file, stack.enter_context(mapped(file))))
            for call_id, place in sorted(places.items(), key=lambda item: item[0]):
                if not setaside.is_set_aside(self._directory, call_id):
                    yield self._entry(place)

    def settle(self, estate: Estate) -> None:
        """Delete the files for good, once all of their exchanges are stored."""
        for file in estate.files:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        self._found = None
        self._next_look = 0.0

    def _look(self) -> Estate | None:
        by_worker: dict[str, list[Path]] = {}
        for name in sorted(segments.sizes(self._directory, suffix=pieces.SUFFIX)):
            file = self._directory / name
            by_worker.setdefault(pieces.worker_of(file.name), []).append(file)
        for worker, files in by_worker.items():
            states = [_is_locked(file) for file in files]
            left = [file for file, state in zip(files, states, strict=True) if state is not None]
            if left and not any(states):
                return Estate(worker, tuple(left), self._last_moment(worker))
        return None

    def _last_moment(self, worker: str) -> int:
        """When *worker* wrote for the last time."""
        last = 0
        for file in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if file.name.startswith(f"{worker}-"):
                    last = max(last, file.stat().st_mtime_ns)
        return last + _CLOCK_GRAIN_NS

    def _places(self, file: Path, data: mmap.mmap | bytes) -> dict[UUID, _Place]:
        """Where each call's pieces are in *data* of *file*, if its beginning is there.

        Pieces after a gap are left out: what is told of a reply is a beginning of it.
        """
        starts: dict[UUID, list[int]] = {}
        for frame in frames.scan(data):
            piece = self._piece(frame.payload)
            if piece is None:
                log.warning("%s: a piece of a call cannot be read", file.name)
            elif piece.number == len(known := starts.setdefault(piece.exchange.id, [])):
                known.append(frame.start)
        return {call: _Place(data, tuple(known)) for call, known in starts.items() if known}

    def _piece(self, payload: bytes) -> Piece | None:
        try:
            return frames.decode_piece(payload if self._seal is None else self._seal.open(payload))
        except (frames.Undecodable, Unopenable):
            return None

    def _entry(self, place: _Place) -> Entry:
        found: list[Piece] = []
        data = place.data
        for start in place.starts:
            header = frames.read_header(data, start)
            assert header is not None  # noqa: S101 - it was read there a moment ago
            piece = self._piece(data[start + frames.HEADER_SIZE : start + header.size])
            assert piece is not None  # noqa: S101 - the same
            found.append(piece)
        exchange = replace(
            found[-1].exchange,
            request=found[0].exchange.request,
            reply=b"".join(piece.exchange.reply for piece in found),
        )
        return Entry(exchange, frames.payload_of(exchange, self._seal))


def _is_locked(path: Path) -> bool | None:
    """Whether the worker that writes *path* lives; None: it lived a moment ago and deleted it.

    What cannot be read is left alone, as if it lived.
    """
    try:
        return locks.is_held(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if not segments.is_alone(exc):
            raise
        return True


def in_batches(entries: Iterator[Entry], *, most: int) -> Iterator[Sequence[Entry]]:
    """*entries*, about *most* bytes of them at a time."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.payload)
        if size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
