"""Whose turn it is to write to an SQLite file: one writer of a process, and a rest for others.

SQLite's own waiting is not fair: who waits for the lock naps up to a tenth of a second between two
looks (sqlite.org/c3ref/busy_timeout.html), so that a process which takes it again at once keeps it
for as long as it has work. Nothing here knows of a database or of a statement.
"""

import asyncio
import time

AT_A_STRETCH = 0.5
"""Seconds in all that the lock may be held, without a rest, before others get a chance."""

REST_SECONDS = 0.2
"""How long that chance is; longer than the naps, for whoever naps has to look meanwhile."""


class TurnWithRests:
    """A lock for the writers of one process, first come, first served, which rests now and then."""

    def __init__(self) -> None:
        """Nobody has it."""
        self._lock = asyncio.Lock()
        self._held = 0.0
        self._since = 0.0
        self._left = 0.0

    async def __aenter__(self) -> None:
        """Wait for the turn; and, after much work, for others as well."""
        await self._lock.acquire()
        try:
            if time.monotonic() - self._left >= REST_SECONDS:
                self._held = 0.0  # Others have had their chance.
            elif self._held >= AT_A_STRETCH:
                self._held = 0.0
                await asyncio.sleep(REST_SECONDS)
        except BaseException:
            self._lock.release()
            raise
        self._since = time.monotonic()

    async def __aexit__(self, *_: object) -> None:
        """Give it to whoever is next."""
        self._left = time.monotonic()
        self._held += self._left - self._since
        self._lock.release()
