"""The journal's segments as its readers see them: which there are, how far they are stored.

How far each segment is stored stands in one small file beside them, replaced as a whole after each
batch. It spares work and tells readers that their own call has arrived; exactly-once does not rest
on it, for the database knows every exchange by its id.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from officeai_proxy import locks
from officeai_proxy.recording import frames

SUFFIX = ".seg"
STORED = "stored.json"
HURRY = "hurry"

STRETCH = 128 * 1024
"""Bytes of a segment that are read at once; a frame beyond them is read by itself."""

PAGE = 4096
"""Bytes of the smallest page of any system; larger ones are multiples of it."""

# A folder that may not be entered holds nothing for whoever asks.
_NO_FOLDER = (FileNotFoundError, NotADirectoryError, PermissionError)

_FOR_ALL = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

ZEROS = 64
"""So many zeros are in no text; a disk that lost what was written there gives them."""


def sizes(directory: Path, *, suffix: str = SUFFIX) -> dict[str, int]:
    """Bytes of each segment, or other file of *suffix*, that is there now, by name.

    Raises:
        OSError: the folder is there and cannot be listed now.
    """
    found: dict[str, int] = {}
    with suppress(*_NO_FOLDER), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                # A folder or a pipe of such a name is none of ours: to open it may never end.
                with suppress(OSError):
                    if entry.is_file():
                        found[entry.name] = entry.stat().st_size
    return found


def is_there(file: Path) -> bool:
    """Whether *file* is there, as far as anybody can see."""
    try:
        file.stat()
    except OSError:
        return False
    return True


def is_alone(error: OSError) -> bool:
    """Whether *error* is that of one file, and others may well be opened and read."""
    return error.errno not in _FOR_ALL


def by_writer(names: Iterable[str]) -> list[list[str]]:
    """The segments of each writer, in the order in which it wrote them."""
    lines: dict[str, list[str]] = {}
    for name in sorted(names):
        # A journal calls them after its worker and counts: `<worker>-<number>.seg`.
        lines.setdefault(name.rpartition("-")[0] or name, []).append(name)
    return list(lines.values())


def read_stored(directory: Path) -> dict[str, int]:
    """Up to which byte each segment is stored, by name; nothing when that is not known."""
    try:
        stored = orjson.loads((directory / STORED).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    if not isinstance(stored, dict):
        return {}
    # Whatever else stands there was not written here.
    return {name: until for name, until in stored.items() if type(until) is int and until >= 0}


def write_stored(directory: Path, stored: Mapping[str, int]) -> None:
    """Replace what `read_stored` tells, in one step."""
    replace_file(directory / STORED, orjson.dumps(dict(stored)))


def replace_file(path: Path, data: bytes, *, is_synced: bool = False) -> None:
    """Put *data* into the place of what is at *path*, in one step; for the account alone to read.

    When *is_synced*, it is on the disk before it has its name.
    """
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        if is_synced:
            file.flush()
            os.fsync(descriptor)
    fresh.replace(path)


def hurry(directory: Path) -> None:
    """Ask the recorder of this host, in whichever process it works, to look now."""
    with suppress(OSError):
        (directory / HURRY).touch(mode=0o600)


def hurried_at(directory: Path) -> int:
    """When it was last asked so, in nanoseconds; 0 when nobody ever did."""
    try:
        return (directory / HURRY).stat().st_mtime_ns
    except OSError:
        return 0


def is_behind(stored: Mapping[str, int], wanted: Mapping[str, int], directory: Path) -> bool:
    """Whether something up to *wanted* is not stored yet; a segment that is gone was stored."""
    return any(
        stored.get(name, 0) < size and is_there(directory / name) for name, size in wanted.items()
    )


def read_all(descriptor: int, size: int, offset: int) -> bytes:
    """*size* bytes from *offset* of a file, fewer only where it ends.

    The kernel gives what stands before a bad sector, and tells of it only whoever reads on. What
    comes short is not to be taken for damage: what is behind it would go with the file.

    Raises:
        OSError: a part of it cannot be read.
    """
    found = os.pread(descriptor, size, offset)
    while len(found) < size:
        more = os.pread(descriptor, size - len(found), offset + len(found))
        if not more:
            break
        found += more
    return found


class Segment:
    """One segment, open for reading."""

    def __init__(self, path: Path) -> None:
        """Open *path*."""
        self.path = path
        self.is_final = False
        self._fd = os.open(path, os.O_RDONLY)
        self._damaged_until = 0
        self._stretch = b""
        self._stretch_at = 0

    def look(self) -> int:
        """Bytes of the segment now; finds out too whether its writer is gone."""
        if not self.is_final:
            self.is_final = locks.taken(self._fd)
        return os.fstat(self._fd).st_size

    def frame(self, offset: int, size: int) -> frames.Frame | None:
        """The first intact frame at or after *offset* in the first *size* bytes.

        Damaged bytes before it are passed over. In a segment that may still grow a damaged end is
        left alone: it may be a frame on its way.
        """
        found = self._frame_at(offset, size)
        if found is not None:
            return found
        if size <= self._damaged_until or offset >= size:
            return None
        rest = read_all(self._fd, size - offset, offset)
        found = next(frames.scan(rest, base=offset), None)
        if found is None:
            self._damaged_until = size
        return found

    def _frame_at(self, offset: int, size: int) -> frames.Frame | None:
        """The intact frame that begins at *offset*, if one does."""
        found = self._frame_in_stretch(offset, size)
        if found is not None or offset >= size:
            return found
        self._stretch_at, self._stretch = offset, os.pread(self._fd, STRETCH, offset)
        header = frames.read_header(self._stretch)
        if header is None or offset + header.size > size:
            return None
        if header.size <= len(self._stretch):
            return self._frame_in_stretch(offset, size)
        payload = read_all(self._fd, header.length, offset + frames.HEADER_SIZE)
        return _intact(header, payload, offset)

    def _frame_in_stretch(self, offset: int, size: int) -> frames.Frame | None:
        """The intact frame at *offset*, if the stretch that was read last has all of it."""
        at = offset - self._stretch_at
        header = frames.read_header(self._stretch, at) if at >= 0 else None
        if header is None or offset + header.size > size:
            return None
        start = at + frames.HEADER_SIZE
        return _intact(header, self._stretch[start : start + header.length], offset)

    def remove(self) -> None:
        """Delete the segment for good."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    def is_cut_short(self, offset: int, size: int) -> bool:
        """Whether from *offset* to *size* there is a frame whose writer was killed as it wrote.

        Nobody was told that such a call is kept. The kernel copies what is written a page at a time
        and looks for a kill in between: where it stopped, a page of the file ends. A file that ends
        elsewhere was cut by something else, and so was one that ends with zeros.
        """
        if size % PAGE:
            return False
        beginning = os.pread(self._fd, frames.BEGINNING, offset)
        is_zero = not any(os.pread(self._fd, min(size - offset, ZEROS), max(offset, size - ZEROS)))
        return not is_zero and frames.is_beginning(beginning, size - offset)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from *start* to *end* as they stand there."""
        return read_all(self._fd, end - start, start)

    def close(self) -> None:
        """Close the file; a lock on it goes with it."""
        os.close(self._fd)


def _intact(header: frames.FrameHeader, payload: bytes, offset: int) -> frames.Frame | None:
    if len(payload) == header.length and frames.is_intact(header, payload):
        return frames.Frame(header, payload, offset, offset + header.size)
    return None
