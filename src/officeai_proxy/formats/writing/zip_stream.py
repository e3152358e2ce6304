"""A ZIP archive written front to back, in memory that does not grow with the number of its files.

The standard library's writer keeps every entry in memory until the end. Here the central directory
waits in a temporary file. An archive without that directory, which comes last, opens nowhere: one
that breaks off never looks finished. The form is that of APPNOTE.TXT 6.3.10 (PKWARE); numbers in
parentheses below are its sections.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from officeai_proxy.crypto.scratch import scratch_file

_LEVEL = 6
_DEFLATE = 8
_UTF8 = 0x0800
_SIZES_FOLLOW = 0x0008
_PLAIN, _ZIP64 = 20, 45
_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16
_FULL_32, _FULL_16 = 0xFFFFFFFF, 0xFFFF

_IN_MEMORY = 1024 * 1024
_CHUNK = 64 * 1024


@dataclass(slots=True)
class _Entry:
    name: bytes
    moment: tuple[int, int]
    offset: int
    is_streamed: bool
    is_zip64: bool
    crc: int = 0
    size: int = 0
    packed_size: int = 0
    packer: "zlib._Compress" = field(
        default_factory=lambda: zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    )

    @property
    def flags(self) -> int:
        return _UTF8 | (_SIZES_FOLLOW if self.is_streamed else 0)


class ZipStream:
    """Entries one after the other; every method gives the bytes to append to the archive."""

    def __init__(self) -> None:
        """An empty archive."""
        self._directory = scratch_file(memory=_IN_MEMORY)
        self._count = 0
        self._offset = 0
        self._entry: _Entry | None = None

    def whole(self, name: str, data: bytes, moment: datetime) -> bytes:
        """A file that is all there: its sizes stand in front of it, as the oldest readers want."""
        entry = self._new_entry(name, moment, is_streamed=False)
        packed = self._pack(entry, data) + self._end_packing(entry)
        header = _local_header(entry) + packed
        return self._close(entry, header)

    def begin(self, name: str, moment: datetime, *, is_zip64: bool = True) -> bytes:
        """A file that comes in pieces. Without *is_zip64* it must stay below 4 GB."""
        self._entry = entry = self._new_entry(name, moment, is_zip64=is_zip64)
        return self._passed(_local_header(entry))

    def add(self, data: bytes) -> bytes:
        """More of the file that was begun."""
        return self._passed(self._pack(self._begun(), data))

    def end(self) -> bytes:
        """The end of the file that was begun, and its sizes (4.3.9)."""
        entry = self._begun()
        self._entry = None
        packed = self._end_packing(entry)
        form = "<4sLQQ" if entry.is_zip64 else "<4sLLL"
        sizes = struct.pack(form, b"PK\x07\x08", entry.crc, entry.packed_size, entry.size)
        return self._close(entry, packed + sizes)

    def finish(self) -> Iterator[bytes]:
        """The central directory, in pieces; with it the archive is whole."""
        start, size = self._offset, self._directory.tell()
        self._directory.seek(0)
        while chunk := self._directory.read(_CHUNK):
            yield chunk
        yield _end_records(self._count, size, start)

    def close(self) -> None:
        """Give up the temporary file."""
        self._directory.close()

    def _begun(self) -> _Entry:
        if self._entry is None:
            raise ValueError("no file of the archive has been begun")
        return self._entry

    def _new_entry(
        self, name: str, moment: datetime, *, is_streamed: bool = True, is_zip64: bool = False
    ) -> _Entry:
        return _Entry(name.encode(), _dos_time(moment), self._offset, is_streamed, is_zip64)

    def _pack(self, entry: _Entry, data: bytes) -> bytes:
        entry.crc = zlib.crc32(data, entry.crc)
        entry.size += len(data)
        packed = entry.packer.compress(data)
        entry.packed_size += len(packed)
        return packed

    def _end_packing(self, entry: _Entry) -> bytes:
        rest = entry.packer.flush()
        entry.packed_size += len(rest)
        return rest

    def _close(self, entry: _Entry, data: bytes) -> bytes:
        self._directory.write(_central_header(entry))
        self._count += 1
        return self._passed(data)

    def _passed(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data


def _dos_time(moment: datetime) -> tuple[int, int]:
    """Time and date as MS-DOS has them (4.4.6), which begins in 1980 and ends in 2107."""
    year = min(max(moment.year, 1980), 2107)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return time, (year - 1980) << 9 | moment.month << 5 | moment.day


def _local_header(entry: _Entry) -> bytes:
    """What stands in front of a file (4.3.7)."""
    sizes = (0, 0, 0) if entry.is_streamed else (entry.crc, entry.packed_size, entry.size)
    extra = b""
    if entry.is_zip64:
        # The field says that the sizes behind the file have eight bytes each (4.3.9.2).
        extra = struct.pack("<HHQQ", 1, 16, 0, 0)
        sizes = (0, _FULL_32, _FULL_32)
    version = _ZIP64 if entry.is_zip64 else _PLAIN
    header = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04",
        version,
        entry.flags,
        _DEFLATE,
        *entry.moment,
        *sizes,
        len(entry.name),
        len(extra),
    )
    return header + entry.name + extra


def _central_header(entry: _Entry) -> bytes:
    """A file's line in the directory (4.3.12); numbers that do not fit go into a field (4.5.3)."""
    numbers = (entry.size, entry.packed_size, entry.offset)
    large = [number for number in numbers if number >= _FULL_32]
    size, packed_size, offset = (min(number, _FULL_32) for number in numbers)
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = _ZIP64 if large or entry.is_zip64 else _PLAIN
    header = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        _UNIX | version,
        version,
        entry.flags,
        _DEFLATE,
        *entry.moment,
        entry.crc,
        packed_size,
        size,
        len(entry.name),
        len(extra),
        0,
        0,
        0,
        _FILE_MODE,
        offset,
    )
    return header + entry.name + extra


def _end_records(count: int, size: int, start: int) -> bytes:
    """The end of the archive (4.3.14 to 4.3.16)."""
    records = b""
    if count >= _FULL_16 or size >= _FULL_32 or start >= _FULL_32:
        records = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, start
        )
        records += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    count, size, start = min(count, _FULL_16), min(size, _FULL_32), min(start, _FULL_32)
    return records + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
