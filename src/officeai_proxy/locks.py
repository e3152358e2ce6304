"""An open file or a path in, whether somebody holds its lock out; never waits for one.

The kernel gives a lock (flock) back when its file is closed, however the holder ends: so it also
tells whether a process lives. It belongs to the open file: a process can keep itself out with it.
"""

import fcntl
import os
from pathlib import Path


def taken(file: int) -> bool:
    """Lock *file*, unless somebody else has; whether it is ours now."""
    return _taken(file, fcntl.LOCK_EX)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock of the file at *path*.

    Raises:
        OSError: it cannot be opened.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        # Two that look at the same moment do not take each other for the holder.
        return not _taken(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _taken(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
