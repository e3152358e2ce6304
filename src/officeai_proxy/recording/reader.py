"""Journal segments in, batches of exchanges out, in the order in which they were written.

The reader neither parses replies nor knows the database: it hands out whole exchanges, and frees a
segment when it is told that everything in it is stored.
"""

import logging
import time
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from pathlib import Path

from officeai_proxy.errors import Unopenable
from officeai_proxy.model import Exchange
from officeai_proxy.recording import frames, segments
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.segments import Segment

log = logging.getLogger(__name__)


# Not frozen, as in `model`: one is made for every call.
@dataclass(slots=True)
class Entry:
    """One frame of the journal, its payload as it was found.

    `exchange` is None when the payload cannot be read; `fault` then says why.
    """

    exchange: Exchange | None
    payload: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be stored next, and up to where each segment is stored after that."""

    entries: tuple[Entry, ...]
    ends: dict[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing new at all, not even damage to pass over."""
        return not self.ends


class JournalReader:
    """Reads all segments of one directory; only the recorder that leads may hold one."""

    def __init__(self, directory: Path, seal: FrameSeal | None = None) -> None:
        """Read the segments of *directory* from where they are stored; *seal* opens frames."""
        self.directory = directory
        self._seal = seal
        self._stored = segments.read_stored(directory)
        self._open: dict[str, Segment] = {}

    def next_batch(self, *, max_entries: int, max_bytes: int, until_ns: int | None = None) -> Batch:
        """The oldest exchanges that are not stored, at most *max_entries*, about *max_bytes*.

        With *until_ns* what was written after that moment (wall clock) waits for a later batch.

        A frame written after the look at the segments began waits for the next batch: the turn
        before it may stand in a segment that was looked at too early to show it.
        """
        horizon = time.monotonic_ns()
        sizes = self._look()
        ends: dict[str, int] = {}
        heads = {name: self._next(name, self._offset(name), sizes[name], horizon) for name in sizes}
        waiting = [(head.header.wall_ns, name, head) for name, head in heads.items() if head]
        heapify(waiting)
        entries: list[Entry] = []
        total = 0
        while waiting and len(entries) < max_entries and total < max_bytes:
            moment, name, frame = waiting[0]
            if until_ns is not None and moment > until_ns:
                break
            entries.append(self._entry(frame))
            total += len(frame.payload)
            ends[name] = frame.end
            following = heads[name] = self._next(name, frame.end, sizes[name], horizon)
            if following is None:
                heappop(waiting)
            else:
                heapreplace(waiting, (following.header.wall_ns, name, following))
        self._pass_over_damage(ends, heads, sizes)
        return Batch(tuple(entries), ends)

    def commit(self, batch: Batch) -> None:
        """Remember that *batch* is stored, and free the segments that are stored whole."""
        self._stored.update(batch.ends)
        for name in list(self._open):
            segment = self._open[name]
            if segment.is_final and self._offset(name) >= segment.look():
                segment.remove()
                del self._open[name]
                self._stored.pop(name, None)
        try:
            segments.write_stored(self.directory, self._stored)
        except OSError as exc:
            # It saves work and nothing rests on it; on a full disk the freed segments matter more.
            log.warning("how far the journal is stored cannot be noted: %s", exc)

    def close(self) -> None:
        """Close every segment."""
        for segment in self._open.values():
            segment.close()
        self._open.clear()

    def _look(self) -> dict[str, int]:
        names = segments.sizes(self.directory)
        for name in names.keys() - self._open.keys():
            try:
                self._open[name] = Segment(self.directory / name, self._stored.get(name, 0))
            except FileNotFoundError:
                continue
        for name in self._open.keys() - names.keys():
            self._open.pop(name).close()
            self._stored.pop(name, None)
        return {name: segment.look() for name, segment in self._open.items()}

    def _offset(self, name: str) -> int:
        return self._stored.get(name, 0)

    def _next(self, name: str, offset: int, size: int, horizon: int) -> frames.Frame | None:
        segment = self._open[name]
        if offset >= size:
            return None
        frame = segment.frame(offset, size)
        if frame is None or segment.is_final or frame.header.monotonic_ns <= horizon:
            return frame
        return None

    def _pass_over_damage(
        self, ends: dict[str, int], heads: dict[str, frames.Frame | None], sizes: dict[str, int]
    ) -> None:
        """A final segment without a further frame is read to its end, whatever stands there."""
        for name, size in sizes.items():
            reached = ends.get(name, self._offset(name))
            if self._open[name].is_final and heads[name] is None and reached <= size:
                if reached < size:
                    log.warning("journal %s: %d damaged bytes passed over", name, size - reached)
                ends[name] = size

    def _entry(self, frame: frames.Frame) -> Entry:
        found = frame.payload
        try:
            opened = found if self._seal is None else self._seal.open(found)
            return Entry(frames.decode(opened), found)
        except frames.Undecodable:
            return Entry(None, found, "written by an unknown version of this program")
        except Unopenable as exc:
            return Entry(None, found, exc.message)
