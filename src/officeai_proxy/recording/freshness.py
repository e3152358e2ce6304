"""Waits until what is in the journal now can be read from the database: read your own write.

It works from any process of the host: it compares the segments' sizes with how far they are stored.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from officeai_proxy.recording import segments

PATIENCE = 2.0
FIRST_LOOK_AFTER = 0.002
LAST_LOOK_AFTER = 0.02


class JournalFreshness:
    """What a reader asks before it reads."""

    def __init__(
        self, directory: Path, *, poke: Callable[[], None], patience: float = PATIENCE
    ) -> None:
        """*poke* hurries the recorder here; *patience* is the longest wait, in seconds."""
        self._directory = directory
        self._poke = poke
        self._patience = patience

    async def wait(self) -> None:
        """Return when all that was in the journal at the call is stored, or patience is out."""
        try:
            wanted = segments.sizes(self._directory)
        except OSError:
            return  # Nobody can tell what to wait for; `/health` says what is wrong.
        deadline = time.monotonic() + self._patience
        look_after = FIRST_LOOK_AFTER
        while self._is_behind(wanted) and time.monotonic() < deadline:
            self._poke()
            segments.hurry(self._directory)
            await asyncio.sleep(look_after)
            look_after = min(look_after * 1.5, LAST_LOOK_AFTER)

    def _is_behind(self, wanted: dict[str, int]) -> bool:
        return segments.is_behind(segments.read_stored(self._directory), wanted, self._directory)
