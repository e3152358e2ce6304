"""A file in, its conversations and faults out, one at a time; recognised by content, never name."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from officeai_proxy.formats.reading.archive import is_archive, read_archive
from officeai_proxy.formats.reading.documents import read_document
from officeai_proxy.formats.reading.imported import Item, Reading


def read_items(file: BinaryIO, reading: Reading) -> Iterator[Item]:
    """What *file*, which can be read again from its beginning, holds.

    It is read as the items are asked for, and stays open.

    Raises:
        UnknownFile: nothing that can be imported is in it. Faults may have been given before.
        BodyTooLarge: it is an archive, and too much would come out of it.
    """
    file.seek(0)
    beginning = file.read(4)
    file.seek(0)
    if is_archive(beginning):
        return read_archive(file, reading)
    return read_document(partial(_again, file), reading)


@contextmanager
def _again(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file from its beginning; it stays open afterwards."""
    file.seek(0)
    yield file
