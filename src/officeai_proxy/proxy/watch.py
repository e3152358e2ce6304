"""Notices that a caller hung up while nothing is being sent to it."""

import asyncio
from collections.abc import Callable

from starlette.types import Receive

PATIENCE = 0.1
"""Seconds that a call may run unwatched; most calls are over by then and never cost a task."""


class CallerWatch:
    """Waits for one caller's disconnect, from `arm` to `disarm`."""

    def __init__(
        self, receive: Receive, *, tasks: asyncio.TaskGroup, on_left: Callable[[], None]
    ) -> None:
        """*on_left* is called once, when the caller has left; the waiting is a task of *tasks*."""
        self._receive = receive
        self._tasks = tasks
        self._on_left = on_left
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    def arm(self) -> None:
        """Begin to watch, unless it is over; nobody may read the request's body any more."""
        if self._is_over:
            return
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._start)

    def disarm(self) -> None:
        """Stop watching for good."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        self._task = self._tasks.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._on_left()
