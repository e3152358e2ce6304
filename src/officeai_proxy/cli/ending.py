"""A command's work in, what it gives out; a signal that ends it lets it clear away what it began.

Ctrl-C does so by asyncio. SIGTERM, and SIGHUP of a terminal that closes, would end the program at
once, and leave what it was writing. A signal that is ignored (`nohup`), or that somebody else
handles, is left alone.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar, cast

T = TypeVar("T")

PATIENCE = 5
"""Seconds for clearing away. Who waits for a pipe that nobody reads does not hear before."""

_KILLED_BY = 128
"""What a shell adds to the number of the signal that a program ended by."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """What *work* gives; the program ends when a signal says so."""
    told: list[int] = []
    try:
        return asyncio.run(_hearing(work, told))
    except asyncio.CancelledError:
        if not told:
            raise
        sys.exit(_KILLED_BY + told[0])


async def _hearing(work: Coroutine[Any, Any, T], told: list[int]) -> T:
    """The same within a loop; a signal that ends it is put into *told*."""
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[T]", asyncio.current_task())

    def end(number: int, _: FrameType | None) -> None:
        told.append(number)
        signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
        signal.alarm(PATIENCE)
        loop.call_soon_threadsafe(task.cancel)

    heard = _unheard()
    for number in heard:
        signal.signal(number, end)
    try:
        return await work
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
        if told:
            signal.alarm(0)


def _unheard() -> list[signal.Signals]:
    """The signals that would end the program at once; only its main thread hears any."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = (signal.SIGTERM, signal.SIGHUP)
    return [one for one in numbers if signal.getsignal(one) == signal.SIG_DFL]
