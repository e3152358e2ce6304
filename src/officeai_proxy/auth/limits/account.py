"""What one key has used and is using, as numbers in memory that all workers of a host share.

Who changes an account holds the ledger's lock. Each change is made in an order that leaves it right
enough when its process is killed in the middle: at worst a use of one second counts too long.
"""

from officeai_proxy.auth.limits.minute import CELLS, SECONDS, Minute, SharedMinute, microseconds
from officeai_proxy.auth.limits.seats import SEATS, Seats

# Places of the numbers, 8 bytes each.
_SECOND = 0
_ELSEWHERE_RUNNING = 1
_ELSEWHERE_SECOND = 2
_RINGS = 16
_SLOTS = _RINGS + 4 * CELLS
_MOMENTS = _SLOTS + 2 * SEATS

BYTES = 8 * (_MOMENTS + CELLS)

FRESH_SECONDS = 5
"""For how long the calls that another host has running count without news from it."""


class Account:
    """The use of one key: `requests`, `tokens`, and the calls that run."""

    def __init__(self, memory: memoryview) -> None:
        """Work on *memory*, `BYTES` bytes."""
        numbers = memory.cast("q")
        rings = [
            Minute(numbers[_RINGS + place * CELLS : _RINGS + (place + 1) * CELLS])
            for place in range(4)
        ]
        self._numbers = numbers
        self._moments = Minute(numbers[_MOMENTS : _MOMENTS + CELLS])
        self.requests = SharedMinute(rings[0], rings[1], self._moments)
        self.tokens = SharedMinute(rings[2], rings[3], self._moments)

    def advance(self, now: float) -> int:
        """Bring the account to *now*, by the wall clock; the second that it is at.

        A clock that was set back a little stands still for it; one that was set back by more than a
        minute begins anew, because nobody may be locked out until it has caught up.
        """
        second, last = int(now), self._numbers[_SECOND]
        if last - CELLS <= second < last:
            return last
        if second != last:
            for ring in (self.requests, self.tokens, self._moments):
                if second < last:
                    ring.clear()
                else:
                    ring.forget(last, second)
            self._numbers[_SECOND] = second
        oldest = second - SECONDS
        if self._moments.at(oldest) <= microseconds(now):
            self.requests.end(oldest)
            self.tokens.end(oldest)
        return second

    def touch(self, second: int, now: float) -> None:
        """Something is used *now*, in *second*. Call it before that is added."""
        later = microseconds(now) - self._moments.at(second)
        if later > 0:
            self._moments.add(second, later)

    def running(self, seats: Seats) -> int:
        """Calls that run at this moment, on all hosts."""
        elsewhere = 0
        if self._numbers[_SECOND] - self._numbers[_ELSEWHERE_SECOND] <= FRESH_SECONDS:
            elsewhere = self._numbers[_ELSEWHERE_RUNNING]
        return self.running_here(seats) + elsewhere

    def running_here(self, seats: Seats) -> int:
        """Calls that run at this moment in the living workers of this host."""
        numbers, total = self._numbers, 0
        for seat in range(seats.count):
            place = _SLOTS + 2 * seat
            if numbers[place + 1] and numbers[place] == seats.life_in(seat):
                total += numbers[place + 1]
        return total

    def begin(self, seats: Seats) -> None:
        """A call of this worker has begun."""
        place = _SLOTS + 2 * seats.mine
        if self._numbers[place] != seats.life:
            # What a former worker in this seat had running died with it.
            self._numbers[place + 1] = 0
            self._numbers[place] = seats.life
        self._numbers[place + 1] += 1

    def end(self, seats: Seats) -> None:
        """A call of this worker has ended."""
        place = _SLOTS + 2 * seats.mine
        if self._numbers[place] == seats.life and self._numbers[place + 1] > 0:
            self._numbers[place + 1] -= 1

    def hear(self, second: int, running: int) -> None:
        """Begin to note what other hosts use: *running* calls; the rest goes into the rings."""
        self.requests.elsewhere.clear()
        self.tokens.elsewhere.clear()
        self._numbers[_ELSEWHERE_RUNNING] = running
        self._numbers[_ELSEWHERE_SECOND] = second
