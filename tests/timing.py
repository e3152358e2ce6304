"""Bounds on time that hold on a busy machine, too, and waiting for what has no event of ours."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Return once *condition* holds; a minute at most."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to tell us
            await asyncio.sleep(0.005)


def soon(measure: Callable[[], float], *, within: float, tries: int = 5) -> None:
    """Pass once *measure* took less than *within* seconds; fail when it never does.

    Whoever shares the machine makes a program late now and then. One that is slow itself is slow
    each time.
    """
    took: list[float] = []
    while not took or took[-1] >= within:
        assert len(took) < tries, f"it took {took} seconds, and never less than {within}"
        took.append(measure())
