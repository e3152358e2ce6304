"""Small files that all workers of a host see as memory, and the lock around them; no arithmetic."""

import fcntl
import mmap
import os
from pathlib import Path

from officeai_proxy import locks


def mapped(path: Path, size: int) -> mmap.mmap:
    """The file at *path* as shared memory of *size* bytes; made, full of zeros, when it is new.

    The zeros are written, because memory over a hole in a file kills whoever touches it when the
    disk is full.

    Raises:
        OSError: the file cannot be made or read.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        present = os.fstat(file).st_size
        while present < size:
            present += os.pwrite(file, bytes(size - present), present)
        # The memory holds the file open, and with it the lock, unless that is given back here.
        fcntl.flock(file, fcntl.LOCK_UN)
        return mmap.mmap(file, size)
    finally:
        os.close(file)


class SharedLock:
    """A lock that all workers of a host take for a few microseconds; a context manager.

    It is not for threads of one process: each worker uses it from its event loop alone. The kernel
    frees it when its holder dies.
    """

    def __init__(self, path: Path) -> None:
        """Open the lock's file at *path*.

        Raises:
            OSError: it cannot be made.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        """Wait for the lock."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def try_once(self) -> bool:
        """Take the lock for good if nobody has it; whether it is this worker's now."""
        return locks.taken(self._file)

    def close(self) -> None:
        """Close the file, and give the lock back with it."""
        os.close(self._file)
