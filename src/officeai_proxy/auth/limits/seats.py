"""Which workers of this host are alive: each takes a seat, and loses it when its process dies.

A seat is a file that its worker holds locked (flock); the kernel frees the lock however the
process ends. Beside it stands, in a table that all workers see, the number of the life that sits
there: what carries another number belongs to somebody who is gone.
"""

import os
import secrets
from pathlib import Path

from officeai_proxy import locks
from officeai_proxy.auth.limits.files import mapped
from officeai_proxy.errors import ConfigurationError

SEATS = 256
_HIGHEST = SEATS
_BYTES = 8 * (SEATS + 1)


class Seats:
    """The seats of one data directory, and the one that this worker has."""

    def __init__(self, directory: Path) -> None:
        """Take a free seat.

        Raises:
            ConfigurationError: there is none.
            OSError: the files cannot be made.
        """
        self._directory = directory
        self._map = mapped(directory / "seats", _BYTES)
        self._lives = memoryview(self._map).cast("q")
        self.mine, self._lock = self._take()
        self.life = secrets.randbits(62) | 1
        self._lives[self.mine] = self.life
        self._lives[_HIGHEST] = max(self._lives[_HIGHEST], self.mine + 1)

    @property
    def count(self) -> int:
        """How many seats were ever taken; none beyond them is."""
        return self._lives[_HIGHEST]

    def life_in(self, seat: int) -> int:
        """The number of the life in *seat*; 0 when nobody sits there."""
        return self._lives[seat]

    def clear_dead(self) -> None:
        """Clear the seats of the workers that have died. Call it with the ledger's lock held."""
        for seat in range(self.count):
            if seat != self.mine and self._lives[seat] and self._is_free(seat):
                self._lives[seat] = 0

    def leave(self) -> None:
        """Give the seat up."""
        if self._lives[self.mine] == self.life:
            self._lives[self.mine] = 0
        os.close(self._lock)

    def _take(self) -> tuple[int, int]:
        for seat in range(SEATS):
            lock = self._locked(seat)
            if lock is not None:
                return seat, lock
        raise ConfigurationError(
            f"OFFICEAI_DATA_DIR: {SEATS} workers share {self._directory.parent} already; "
            "give this program a directory of its own."
        )

    def _is_free(self, seat: int) -> bool:
        lock = self._locked(seat)
        if lock is None:
            return False
        os.close(lock)
        return True

    def _locked(self, seat: int) -> int | None:
        path = self._directory / f"seat-{seat:03}.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if locks.taken(file):
            return file
        os.close(file)
        return None
