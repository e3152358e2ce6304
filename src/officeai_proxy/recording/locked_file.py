"""A path in, a new file there out that is locked before anybody else can see its name.

The lock says that its writer lives; it goes with the descriptor.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def create(path: Path, flags: int) -> int:
    """The descriptor of a new file at *path*, opened with *flags*."""
    hidden = path.with_suffix(".new")
    descriptor = os.open(hidden, flags | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _give_to_owner_of(path.parent, descriptor)
        hidden.rename(path)
    except OSError:
        os.close(descriptor)
        hidden.unlink(missing_ok=True)
        raise
    return descriptor


def _give_to_owner_of(directory: Path, file: int) -> None:
    """What root writes, as by `set-aside retry`, is for the account that serves to read."""
    if os.geteuid() == 0:
        # Not every file system lets root give a file away, nor every container; it is kept so, too.
        with suppress(OSError):
            owner = directory.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
