"""What was used in the last minute, second by second, in a ring of integers; no clock, no file.

The ring has a cell for the second that runs and one for each of the 60 before it. A use counts
until the last one of its second lies 60 seconds back: for 60 to 61 s. So in any 60 seconds,
wherever they begin, no more is used than the cells add up to; and whoever is refused waits 60 s at
most. A longer `Retry-After` is not heeded at all by many versions of OpenAI's SDKs.
"""

from struct import Struct

SECONDS = 60
CELLS = SECONDS + 1

MICROSECONDS = 1_000_000
"""In a second."""

# Three times as fast as adding up the memory's numbers one by one.
_RING = Struct(f"{CELLS}q")


def microseconds(now: float) -> int:
    """How far *now* is in its second."""
    return int((now - int(now)) * MICROSECONDS)


class Minute:
    """A ring of `CELLS` numbers. Whoever uses it says which second it is, and never an older one
    than before, and calls `forget` whenever a new second has begun.
    """

    def __init__(self, cells: memoryview) -> None:
        """Work on *cells*, signed 64-bit integers that others may see too."""
        self._cells = cells

    def total(self) -> int:
        """All that counts at the moment."""
        return sum(_RING.unpack(self._cells))

    def add(self, second: int, amount: int) -> None:
        """*amount* was used in *second*; a cell never falls below nothing."""
        place = second % CELLS
        self._cells[place] = max(0, self._cells[place] + amount)

    def forget(self, last: int, second: int) -> None:
        """Empty the cells of the seconds after *last*, up to *second*."""
        for passed in range(max(last, second - CELLS) + 1, second + 1):
            self._cells[passed % CELLS] = 0

    def clear(self) -> None:
        """Empty every cell."""
        _RING.pack_into(self._cells, 0, *(0,) * CELLS)

    def at(self, second: int) -> int:
        """What was used in *second*, one of the last `CELLS`."""
        return self._cells[second % CELLS]

    def newest(self, second: int) -> int | None:
        """The last second with any use, seen from *second*; None when nothing counts."""
        for past in range(second, second - CELLS, -1):
            if self._cells[past % CELLS]:
                return past
        return None


class SharedMinute:
    """What was used in the last minute on this host (`here`) and on all others (`elsewhere`)."""

    def __init__(self, here: Minute, elsewhere: Minute, moments: Minute) -> None:
        """Add up two rings; *moments* has for each second how far in it the last use here was."""
        self.here = here
        self.elsewhere = elsewhere
        self._moments = moments

    def total(self) -> int:
        """All that counts at the moment."""
        return self.here.total() + self.elsewhere.total()

    def forget(self, last: int, second: int) -> None:
        """As `Minute.forget`."""
        self.here.forget(last, second)
        self.elsewhere.forget(last, second)

    def clear(self) -> None:
        """Empty every cell."""
        self.here.clear()
        self.elsewhere.clear()

    def end(self, past: int) -> None:
        """What was used here in the second *past* no longer counts."""
        used = self.here.at(past)
        if used:
            self.here.add(past, -used)

    def wait(self, now: float, needed: int) -> int:
        """Whole seconds from *now* until *needed* of what was used no longer counts."""
        second = int(now)
        for past in range(second - SECONDS, second + 1):
            needed -= self.here.at(past) + self.elsewhere.at(past)
            if needed <= 0:
                return max(1, -(-self._left(past, now) // MICROSECONDS))
        return SECONDS

    def reset(self, now: float) -> float:
        """Seconds from *now* until nothing counts any more."""
        second = int(now)
        if self.here.at(second):
            return self._left(second, now) / MICROSECONDS
        found = [ring.newest(second) for ring in (self.here, self.elsewhere)]
        last = max((past for past in found if past is not None), default=None)
        return 0.0 if last is None else self._left(last, now) / MICROSECONDS

    def _left(self, past: int, now: float) -> int:
        """Microseconds from *now* for which the uses of the second *past* still count.

        Of other hosts nobody knows when in it they were.
        """
        moment = MICROSECONDS if self.elsewhere.at(past) else self._moments.at(past)
        return (past + SECONDS - int(now)) * MICROSECONDS + moment - microseconds(now)
