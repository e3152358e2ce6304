"""A ZIP file in, the conversations of its entries out; nothing of it is ever written to a disk.

Names of entries are only told in reasons, so it does not matter where they point. An archive that
promises too much is refused before anything is unpacked; an entry that cannot be unpacked fails
alone.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import SEEK_END
from typing import BinaryIO, TypeVar, cast

from officeai_proxy.errors import BodyTooLarge
from officeai_proxy.formats.reading.documents import read_document
from officeai_proxy.formats.reading.imported import Fault, Item, Reading, UnknownFile
from officeai_proxy.formats.reading.manifest import Owner, owners_in, tells_of_nothing
from officeai_proxy.formats.writing.zip_archive import MANIFEST

T = TypeVar("T")

MAX_ENTRIES = 100_000
"""Files in one archive."""

MAX_RATIO = 500
"""How many times larger an entry may be unpacked, once it is larger than `RATIO_FROM`."""

RATIO_FROM = 16 * 1024**2

_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
_MEGABYTE = 1024**2
_ENCRYPTED = 0x1

# Every program writes these; other methods can grow far beyond MAX_RATIO.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What zipfile and zlib raise for bytes that are not what they should be.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
)

# APPNOTE.TXT 4.3.16 and 4.3.14: the end of the directory, and where its 64-bit form says the same.
_END = b"PK\x05\x06"
_LONGEST_END = 22 + 0xFFFF
_LOCATOR = b"PK\x06\x07"
_HEADER_BYTES = 46


def is_archive(beginning: bytes) -> bool:
    """Whether a file that begins so is a ZIP file."""
    return beginning.startswith(_BEGINNINGS)


def read_archive(file: BinaryIO, reading: Reading) -> Iterator[Item]:
    """What the entries of a ZIP file hold; entries that are no conversations are left out.

    Raises:
        UnknownFile: it is damaged, or no entry holds a conversation, and it is no export of ours
            of a workspace that has none.
        BodyTooLarge: it has too many entries, or too much would come out of it.
    """
    _check_directory(file)
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGES as exc:
        raise UnknownFile(f"The ZIP file is damaged: {exc}.") from exc
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check_size(entries, reading)
        is_known = False
        owners: dict[str, Owner] = _in_manifest(archive, entries, owners_in, otherwise={})
        for entry in entries:
            for item in _read_entry(archive, entry, reading):
                is_known = True
                yield _owned(item, owners.get(entry.filename))
        if not is_known and not _is_of_nothing(archive, entries):
            raise UnknownFile("The ZIP file has no entry with a conversation.")


def _check_directory(file: BinaryIO) -> None:
    """Refuse a directory of too many entries before it is read: each costs memory."""
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - _LONGEST_END))
    tail = file.read(_LONGEST_END)
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise UnknownFile("The ZIP file is damaged: it ends too early.")
    count, length = struct.unpack("<HI", tail[place + 10 : place + 16])
    if tail[max(0, place - 20) : place].startswith(_LOCATOR):
        length = _length_of_zip64(file, tail[place - 20 : place])
    file.seek(0)
    # An honest directory has a name for each entry; MAX_ENTRIES short ones are what it may cost.
    if count > MAX_ENTRIES or length > MAX_ENTRIES * _HEADER_BYTES * 8:
        raise _too_many()
    _check_count(file, size - len(tail) + place, length)


def _length_of_zip64(file: BinaryIO, locator: bytes) -> int:
    (place,) = struct.unpack("<Q", locator[8:16])
    try:
        file.seek(place)
        record = file.read(56)
    except (OSError, OverflowError, ValueError):
        record = b""
    if len(record) < 56:
        raise UnknownFile("The ZIP file is damaged: it ends too early.")
    (length,) = struct.unpack("<Q", record[40:48])
    return int(length)


def _check_count(file: BinaryIO, end: int, length: int) -> None:
    """Count the directory's entries: what the end says of their number need not be true."""
    file.seek(max(0, end - length - 100))
    directory = file.read(length + 100)
    file.seek(0)
    if directory.count(b"PK\x01\x02") > MAX_ENTRIES:
        raise _too_many()


def _too_many() -> BodyTooLarge:
    return BodyTooLarge(f"The ZIP file has more than {MAX_ENTRIES} entries; import it in parts.")


def _check_size(entries: list[zipfile.ZipInfo], reading: Reading) -> None:
    """Refuse what would be too much unpacked; no entry gives more bytes than it promises."""
    if sum(entry.file_size for entry in entries) > reading.total_bytes:
        limit = reading.total_bytes / _MEGABYTE
        raise BodyTooLarge(
            f"Unpacked, the ZIP file is larger than {limit:g} MB. Import it in parts, or raise "
            "OFFICEAI_MAX_IMPORT_MB."
        )


def _is_of_nothing(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bool:
    """Whether this is what we export where there is no conversation."""
    return len(entries) == 1 and _in_manifest(archive, entries, tells_of_nothing, otherwise=False)


def _in_manifest(
    archive: zipfile.ZipFile,
    entries: list[zipfile.ZipInfo],
    read: Callable[[BinaryIO], T],
    *,
    otherwise: T,
) -> T:
    """What *read* finds in the manifest of an archive of ours; *otherwise* where there is none."""
    for entry in entries:
        if entry.filename == MANIFEST and _fault_of(entry) is None:
            try:
                with archive.open(entry) as opened:
                    return read(cast("BinaryIO", opened))
            except _DAMAGES:
                break
    return otherwise


def _owned(item: Item, owner: Owner | None) -> Item:
    """*item* under the names of *owner*; an export that is no mere copy has its own."""
    if owner is None or isinstance(item, Fault) or not item.is_copy:
        return item
    return replace(item, user_identifier=owner.user_identifier, session_id=owner.session_id)


def _fault_of(entry: zipfile.ZipInfo) -> Fault | None:
    """Why an entry is not unpacked."""
    name = entry.filename[:100]
    if entry.flag_bits & _ENCRYPTED:
        return Fault(f"{name}: the entry is encrypted; make an archive without a password.")
    if entry.compress_type not in _METHODS:
        return Fault(f"{name}: the entry is not packed with `deflate`; make the archive so.")
    if entry.file_size > max(RATIO_FROM, MAX_RATIO * entry.compress_size):
        return Fault(f"{name}: the entry would become more than {MAX_RATIO} times larger.")
    return None


def _read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, reading: Reading
) -> Iterator[Item]:
    """What one entry holds: nothing for one that is no conversation, such as a picture."""
    if fault := _fault_of(entry):
        yield fault
        return
    name = entry.filename[:100]
    try:
        for item in read_document(partial(_open, archive, entry), reading):
            yield Fault(f"{name}: {item.reason}") if isinstance(item, Fault) else item
    except UnknownFile:
        return
    except _DAMAGES as exc:
        yield Fault(f"{name}: the entry is damaged: {exc}.")


@contextmanager
def _open(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    with archive.open(entry) as opened:
        yield cast("BinaryIO", opened)
