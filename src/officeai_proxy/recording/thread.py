"""A thread with an event loop of its own for the recorder, so that parsing and merging never hold
up the loop that serves calls.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Worker(Protocol):
    """What runs in the thread."""

    def poke(self) -> None:
        """Look for work now."""

    def stop(self) -> None:
        """Finish what there is, then return from `run`."""

    async def run(self) -> None:
        """Work until `stop`."""


class RecorderThread:
    """Runs one worker from `start` to `stop`."""

    def __init__(self, make: Callable[[], Awaitable[Worker]]) -> None:
        """*make* builds the worker inside the thread's own loop."""
        self._make = make
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def poke(self) -> None:
        """Hurry the worker along; from any thread."""
        self._tell(lambda worker: worker.poke())

    @property
    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    async def stop(self, patience: float) -> bool:
        """Let the worker finish, for at most *patience* seconds; whether it did."""
        self._is_stopping.set()
        self._tell(lambda worker: worker.stop())
        await asyncio.to_thread(self._thread.join, patience)
        return not self._thread.is_alive()

    def _tell(self, what: Callable[[Worker], None]) -> None:
        loop, worker = self._loop, self._worker
        if loop is None or worker is None:
            return
        try:
            loop.call_soon_threadsafe(what, worker)
        except RuntimeError:
            log.debug("the recorder has ended already")

    def _run(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        worker = await self._make()
        self._loop, self._worker = asyncio.get_running_loop(), worker
        if self._is_stopping.is_set():
            worker.stop()
        await worker.run()
