"""Whose database the calls of a journal go to: one for all programs that work in its folder.

One recorder works for all of them, and would put the calls of a program that has another database
into its own, where nobody looks for them. Each serving process holds a shared lock on a note that
names its database; the first to come writes it, and the kernel frees the lock when one dies.
"""

import fcntl
import os
from hashlib import blake2b
from pathlib import Path

from officeai_proxy import locks
from officeai_proxy.errors import ConfigurationError

NOTE = "database.lock"

_DIGEST_BYTES = 16


class Destination:
    """The right to write into a journal whose calls go to one database; held until `close`."""

    def __init__(self, directory: Path, database: str) -> None:
        """Work in *directory*, with the database that *database* tells from every other.

        Raises:
            ConfigurationError: somebody who has another database works there.
        """
        self._file: int | None = None
        name = blake2b(database.encode(), digest_size=_DIGEST_BYTES).digest()
        try:
            self._file = os.open(directory / NOTE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            noted = _noted(self._file, name)
        except OSError:
            # A disk that takes nothing keeps nobody from serving; `/health` tells of it. What is
            # locked by now would keep this program's own workers waiting for ever.
            self.close()
            return
        if noted not in (name, b""):
            self.close()
            raise ConfigurationError(
                f"OFFICEAI_DATA_DIR: another program works in {directory.parent}, with another "
                "database, and would store these calls there; stop it, or give this one a folder "
                "of its own"
            )

    def close(self) -> None:
        """Give the right up."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _noted(file: int, name: bytes) -> bytes:
    """What the note says, once nobody can change it; *name*, where nobody was there before."""
    if locks.taken(file):
        os.pwrite(file, name, 0)
    # Whoever came between these two locks has written another name, and goes first.
    fcntl.flock(file, fcntl.LOCK_SH)
    return os.pread(file, _DIGEST_BYTES, 0)
