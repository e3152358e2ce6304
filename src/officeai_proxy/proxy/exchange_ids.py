"""Ids for exchanges: UUIDs of version 7 (RFC 9562, section 5.7) that only rise in one process."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from uuid import UUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_COUNTER_BITS = 12

_RANDOM_BYTES = 8
_DRAWN_AT_ONCE = 512
"""Asking the system for random bytes takes longer than all else here, so many are drawn at once."""


class ExchangeIds:
    """A source of ids. A clock that is set back does not make it repeat or fall."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """*clock_ms* gives milliseconds since 1970."""
        self._clock_ms = clock_ms
        self._last = 0
        self._random: Iterator[tuple[int]] = iter(())

    def next(self) -> UUID:
        """The next id: milliseconds, a counter of 12 bits within them, 62 random bits."""
        self._last = max(self._clock_ms() << _COUNTER_BITS, self._last + 1)
        moment, counter = self._last >> _COUNTER_BITS, self._last & 0xFFF
        random = next(self._random, None)
        if random is None:
            self._random = struct.iter_unpack(">Q", os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE))
            random = next(self._random)
        low = random[0] & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=(moment << 80) | (counter << 64) | _VERSION_AND_VARIANT | low)
