"""A thread with an event loop of its own for the recorder, so that parsing and merging never hold
up the loop that serves calls. A recorder that fails in a way nobody foresaw is begun anew.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol

from officeai_proxy.chores import ANEW_AFTER, begun_anew

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
    """Runs one worker from `start` to `stop`, and another one after each that failed."""

    def __init__(
        self, make: Callable[[], Awaitable[Worker]], *, anew_after: float = ANEW_AFTER
    ) -> None:
        """*make* builds the worker inside the thread's own loop."""
        self._make = make
        self._anew_after = anew_after
        self._has_failed = False
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
        """Whether the thread still runs, and the worker in it has not just failed."""
        return self._thread.is_alive() and not self._has_failed

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
        asyncio.run(begun_anew(self._work, what="the recorder", anew_after=self._anew_after))

    async def _work(self) -> None:
        try:
            await self._run_one()
        except Exception:
            self._worker, self._has_failed = None, True
            if not self._is_stopping.is_set():
                raise
            log.exception("the recorder failed at its end")

    async def _run_one(self) -> None:
        worker = await self._make()
        self._loop, self._worker = asyncio.get_running_loop(), worker
        self._has_failed = False
        if self._is_stopping.is_set():
            worker.stop()
        await worker.run()
