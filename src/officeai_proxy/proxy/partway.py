"""Calls that last in; every two seconds the journal gets what came so far, in case of a `kill -9`.

One loop looks after all calls of a worker. A call that ends within two seconds is never looked at,
and nothing that passes on a reply waits for this.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from officeai_proxy.model import NANOSECONDS
from officeai_proxy.proxy.capture import Capture

FIRST_AFTER = 2.0
"""Seconds before the first piece of a call is written; most calls are over by then."""

AGAIN_AFTER = 1.8
"""Seconds to the next; with a look every now and then it is two at the most."""

LOOK_AFTER = 0.1
"""Seconds between two looks, when calls are due one after the other."""

AT_ONCE = 16
"""Pieces that are written before other work of the loop has its turn."""

KEPT_BACK = 10_000
"""Calls that have ended whose pieces are kept at most, while the journal takes nothing."""

_FIRST_NS = int(FIRST_AFTER * NANOSECONDS)
_AGAIN_NS = int(AGAIN_AFTER * NANOSECONDS)


class Pieces(Protocol):
    """Where pieces are written."""

    def write(self, call: Capture) -> None:
        """Write what came of *call* since the last time."""

    def ended(self, call_id: UUID) -> None:
        """The call is in the journal whole."""

    def tidy(self) -> None:
        """Delete what nobody needs."""


class PartWay:
    """Writes the pieces of all calls of a worker that last."""

    def __init__(
        self,
        running: Mapping[Capture, object],
        pieces: Pieces,
        *,
        is_keeping: Callable[[], bool],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """*running* are the calls, in the order in which they began.

        While the journal is not *is_keeping*, pieces are kept also of calls that have ended: their
        ends may still be in memory.
        """
        self._running = running
        self._pieces = pieces
        self._is_keeping = is_keeping
        self._clock = clock
        self._due: dict[Capture, int] = {}
        self._ended: deque[UUID] = deque()

    async def run(self) -> None:
        """Work until it is cancelled."""
        while True:
            seconds = await self.look()
            await asyncio.sleep(seconds)

    async def look(self) -> float:
        """Write what is due; how many seconds later there is something to do again."""
        now = self._clock()
        due, next_due = self._sort_out(now)
        for number, capture in enumerate(due, start=1):
            if not capture.is_settled:
                self._pieces.write(capture)
                self._due[capture] = now + _AGAIN_NS
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._let_go()
        return max(LOOK_AFTER, (next_due - now) / NANOSECONDS)

    def _sort_out(self, now: int) -> tuple[list[Capture], int]:
        """The calls that are due, and when the next one will be."""
        due: list[Capture] = []
        next_due = now + _FIRST_NS
        for capture in self._running:
            known = self._due.get(capture)
            at = capture.started_mono + _FIRST_NS if known is None else known
            if at <= now:
                due.append(capture)
                at = now + _AGAIN_NS
            next_due = min(next_due, at)
            if known is None and capture not in due[-1:]:
                break  # It is young, and all that follow began later still.
        return due, next_due

    def _let_go(self) -> None:
        for capture in [one for one in self._due if one.is_settled]:
            del self._due[capture]
            self._ended.append(capture.id)
        is_keeping = self._is_keeping()
        while self._ended and (is_keeping or len(self._ended) > KEPT_BACK):
            self._pieces.ended(self._ended.popleft())
        self._pieces.tidy()
