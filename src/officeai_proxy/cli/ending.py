"""A command's work in, what it gives out; a signal cancels it, and it clears away what it began.

For Ctrl-C asyncio does that. SIGTERM, and SIGHUP when the terminal closes, would end the program at
once and leave half-written files behind. A signal that is ignored (`nohup`), or that somebody else
handles, is left alone.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar, cast

T = TypeVar("T")

PATIENCE = 5
"""Seconds for clearing away; then the program ends all the same. Work that waits for a pipe which
nobody reads does not even hear that it is cancelled.
"""

_KILLED_BY = 128
"""What a shell adds to the number of the signal that a program ended by."""


def end_while_starting() -> None:
    """Let SIGTERM end a program before it serves; the server puts its own handler in the place.

    Without a handler the exit would count as a failure; and in a container, where the program is
    process 1, the signal would not even be heard.
    """
    signal.signal(signal.SIGTERM, _end_now)


def _end_now(*_: object) -> NoReturn:
    """End without raising: out of a callback of the garbage collector, where Python may call this,
    `SystemExit` is printed with a trace and forgotten. Nothing is cut off that a `kill -9` might
    not cut off.
    """
    for process in multiprocessing.active_children():
        process.terminate()
        process.join(1)
    os._exit(0)


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
