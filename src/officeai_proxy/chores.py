"""Tasks that run beside the calls: one that fails is told in the log, and takes no other with it.

`asyncio.TaskGroup` ends everything when one of its tasks fails, which is what a program wants that
cannot do half of its work. A proxy can: whatever goes wrong beside them, calls have to be served.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, cast

from typing_extensions import override

ANEW_AFTER = 1.0
"""Seconds between the failure of a chore and its new beginning."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Tasks(asyncio.TaskGroup):
    """A task group whose tasks fail each for itself."""

    @override
    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override] # nobody here makes generators
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Run *coro*; when it fails the log has why, and its result is None."""
        work = cast("Coroutine[Any, Any, T]", _alone(coro))
        task = super().create_task(work, name=name, context=context)
        # One that is given up before it began has not come to *coro*, which would complain of it.
        task.add_done_callback(lambda _: coro.close())
        return task


async def begun_anew(
    chore: Callable[[], Awaitable[None]], *, what: str, anew_after: float = ANEW_AFTER
) -> None:
    """Run *chore*, which goes on for ever, and begin it anew each time that it fails.

    The log says once that *what* has failed, and not at every new beginning with the same fault.
    """
    told = ""
    while True:
        try:
            await chore()
        except Exception as exc:
            if repr(exc) != told:
                log.exception("%s failed, and is begun anew", what)
            told = repr(exc)
        else:
            return
        await asyncio.sleep(anew_after)


async def _alone(work: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await work
    except Exception:
        log.exception("a task failed; everything else goes on")
        return None
