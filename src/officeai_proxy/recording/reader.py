"""Journal segments in, batches of exchanges out, in the order in which they were written.

The reader neither parses replies nor knows the database: it hands out whole exchanges, and frees a
segment when it is told that everything in it is stored.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from pathlib import Path

from officeai_proxy.errors import Unopenable
from officeai_proxy.model import Exchange
from officeai_proxy.recording import boots, frames, segments
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
class Damage:
    """Bytes of a segment, from *start* to *end*, in which no frame can be read."""

    segment: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be stored next, and up to where each segment is stored after that.

    `has_more` says that what follows need not be waited for. `damage` is what was passed over on
    the way: it goes with the segment, and has to be kept elsewhere before that.
    """

    entries: tuple[Entry, ...]
    ends: dict[str, int]
    has_more: bool = False
    damage: tuple[Damage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing new at all, not even damage to pass over."""
        return not self.ends


@dataclass(frozen=True, slots=True)
class _Look:
    """The segments as they were found for one batch: of each writer, the oldest that are not read.

    `horizon` is when that was, on the monotonic clock. `heads` has the next frame of each segment;
    behind those in `followed` later ones of the same writer wait, which nobody has opened. What
    cannot be read is in neither.
    """

    horizon: int
    sizes: dict[str, int] = field(default_factory=dict)
    heads: dict[str, frames.Frame | None] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)


class JournalReader:
    """Reads all segments of one directory; only the recorder that leads may hold one."""

    def __init__(self, directory: Path, seal: FrameSeal | None = None) -> None:
        """Read the segments of *directory* from where they are stored; *seal* opens frames."""
        self.directory = directory
        self._seal = seal
        self._stored = segments.read_stored(directory)
        self._open: dict[str, Segment] = {}
        self._boot = boots.this_boot()
        self._is_told: set[str] = set()
        self._undeletable: set[str] = set()

    def next_batch(self, *, max_entries: int, max_bytes: int, until_ns: int | None = None) -> Batch:
        """The oldest exchanges that are not stored, at most *max_entries*, about *max_bytes*.

        With *until_ns* what was written after that moment (wall clock) waits for a later batch.

        A frame written after the look at the segments began waits for the next batch: the turn
        before it may stand in a segment that was looked at too early to show it.
        """
        look = self._look(time.monotonic_ns())
        ends: dict[str, int] = {}
        heads = look.heads
        waiting = [(self._moment(name, head), name, head) for name, head in heads.items() if head]
        heapify(waiting)
        entries: list[Entry] = []
        damage: list[Damage] = []
        total = 0
        has_more = False
        while waiting:
            _, name, frame = waiting[0]
            if until_ns is not None and frame.header.wall_ns > until_ns:
                break
            has_more = len(entries) >= max_entries or total >= max_bytes
            if has_more:
                break
            entries.append(self._entry(frame))
            total += len(frame.payload)
            damage += self._gap(name, ends.get(name, self._offset(name)), frame.start)
            ends[name] = frame.end
            following = heads[name] = self._next(name, frame.end, look)
            if following is not None:
                heapreplace(waiting, (self._moment(name, following), name, following))
                continue
            heappop(waiting)
            # What others wrote meanwhile may be younger than what its writer's next segment holds.
            has_more = name in look.followed
            if has_more:
                break
        damage += self._pass_over_ends(ends, look)
        return Batch(tuple(entries), ends, has_more, tuple(damage))

    def bytes_of(self, damage: Damage) -> bytes:
        """What stands where nothing can be read, in a segment of the last batch."""
        return self._open[damage.segment].read(damage.start, damage.end)

    def commit(self, batch: Batch) -> None:
        """Remember that *batch* is stored, and free the segments that are stored whole."""
        self._stored.update(batch.ends)
        for name in list(self._open):
            segment = self._open[name]
            if segment.is_final and self._offset(name) >= segment.look():
                self._free(name, segment)
        try:
            segments.write_stored(self.directory, self._stored)
        except OSError as exc:
            # It saves work and nothing rests on it; on a full disk the freed segments matter more.
            self._tell_once(segments.STORED, "how far the journal is stored cannot be noted", exc)
        else:
            self._is_told.discard(segments.STORED)

    def close(self) -> None:
        """Close every segment."""
        for segment in self._open.values():
            segment.close()
        self._open.clear()

    def _look(self, horizon: int) -> _Look:
        """Open what is to be read next: a backlog of days is thousands of segments."""
        names = segments.sizes(self.directory)
        for name in self._open.keys() - names.keys():
            self._open.pop(name).close()
            self._stored.pop(name, None)
        look = _Look(horizon)
        for line in segments.by_writer(names):
            for name in line:
                if self._is_opened(name) and self._has_head(name, look):
                    if name != line[-1]:
                        look.followed.add(name)
                    break
        return look

    def _has_head(self, name: str, look: _Look) -> bool:
        """Look at an open segment; whether there is a frame in it that is not stored."""
        look.sizes[name] = size = self._open[name].look()
        if self._offset(name) > size:
            # The note is not of this file. What is stored already is stored once.
            del self._stored[name]
        head = self._next(name, self._offset(name), look)
        if name in look.sizes:
            look.heads[name] = head
        return head is not None

    def _is_opened(self, name: str) -> bool:
        """Whether the segment is there and open; one that cannot be read holds up no other."""
        if name not in self._open:
            try:
                self._open[name] = Segment(self.directory / name)
            except FileNotFoundError:
                return False
            except OSError as exc:
                self._leave_alone(name, exc)
                return False
        return True

    def _leave_alone(self, name: str, error: OSError) -> None:
        """Let a segment wait that cannot be read now; say so once.

        Where no file at all can be read the later ones must not go before the earlier.
        """
        if not segments.is_alone(error):
            raise error
        self._tell_once(name, f"{name} cannot be read, and waits in the journal", error)

    def _free(self, name: str, segment: Segment) -> None:
        """Delete a segment that is stored whole; what cannot be deleted now is tried again."""
        try:
            segment.remove()
        except OSError as exc:
            self._tell_once(name, f"{name} is stored, and cannot be deleted", exc)
            self._undeletable.add(name)
            return
        self._undeletable.discard(name)
        del self._open[name]
        self._stored.pop(name, None)

    def _tell_once(self, name: str, what: str, error: OSError) -> None:
        """Say what is wrong with a file, and not at every try."""
        if name not in self._is_told:
            log.error("%s: %s", what, error)
            self._is_told.add(name)

    def _offset(self, name: str) -> int:
        return self._stored.get(name, 0)

    def _next(self, name: str, offset: int, look: _Look) -> frames.Frame | None:
        segment, size = self._open[name], look.sizes[name]
        if offset >= size:
            return None
        try:
            frame = segment.frame(offset, size)
        except OSError as exc:
            self._leave_alone(name, exc)
            # Nor is its end known, so that nothing is passed over.
            del look.sizes[name]
            return None
        if frame is None or segment.is_final or frame.header.monotonic_ns <= look.horizon:
            return frame
        return None

    def _moment(self, name: str, frame: frames.Frame) -> boots.Moment:
        return boots.moment(frame.header, name, boot=self._boot)

    def _gap(self, name: str, reached: int, start: int) -> Sequence[Damage]:
        """What was passed over on the way to a frame, if anything was."""
        return (Damage(name, reached, start),) if reached < start else ()

    def _pass_over_ends(self, ends: dict[str, int], look: _Look) -> Iterator[Damage]:
        """A final segment without a further frame is read to its end, whatever stands there."""
        for name, size in look.sizes.items():
            reached = ends.get(name, self._offset(name))
            if self._open[name].is_final and look.heads[name] is None and reached <= size:
                if reached == size and name in self._undeletable:
                    continue
                ends[name] = size
                if reached == size:
                    continue
                if self._open[name].is_cut_short(reached, size):
                    log.info("journal %s: its writer was killed as it wrote the last call", name)
                else:
                    yield Damage(name, reached, size)

    def _entry(self, frame: frames.Frame) -> Entry:
        found = frame.payload
        try:
            opened = found if self._seal is None else self._seal.open(found)
            return Entry(frames.decode(opened), found)
        except frames.Undecodable as exc:
            return Entry(None, found, f"written by another version of this program: {exc}")
        except Unopenable as exc:
            return Entry(None, found, exc.message)
