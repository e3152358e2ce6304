"""A file of the journal's folder in, its bytes out, also where the disk is bad; writes nothing."""

import logging
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from officeai_proxy.recording import segments

_AT_ONCE = 1024 * 1024

log = logging.getLogger(__name__)


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """A file's bytes, without holding them all in memory; nothing for an empty one.

    Where the disk is bad there are zeros in their place. A process that meets such a place in a map
    is ended by the system (SIGBUS), so it is read before.
    """
    with path.open("rb") as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        if size == 0:
            yield b""
        elif _is_readable(descriptor, size):
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
                yield data
        else:
            log.error("%s: a part of it cannot be read, and what it held is left out", path.name)
            yield _read_around(descriptor, size)


def _is_readable(descriptor: int, size: int) -> bool:
    try:
        for at in range(0, size, _AT_ONCE):
            segments.read_all(descriptor, _AT_ONCE, at)
    except OSError:
        return False
    return True


def _read_around(descriptor: int, size: int) -> bytes:
    data = bytearray(size)
    for at in range(0, size, segments.PAGE):
        with suppress(OSError):
            page = segments.read_all(descriptor, segments.PAGE, at)
            data[at : at + len(page)] = page
    return bytes(data)
