"""A gate that a test opens and a script of the upstream waits at, in another thread."""

import asyncio
import threading


class Gate:
    """Closed until somebody opens it."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    async def passed(self) -> None:
        """Return when it is open."""
        assert await asyncio.to_thread(self._opened.wait, 60)
