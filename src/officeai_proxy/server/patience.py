"""How long clients may keep a worker waiting: connections in, those that are too slow given up.

One timer a second looks at all connections of a worker, so that no request sets a timer or reads a
clock; a deadline is therefore kept to two seconds. What a connection waits for it says itself.
"""

import asyncio
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

from officeai_proxy.settings import Settings

INTERVAL = 1.0
"""Seconds between two looks at all connections."""

OTHER_FILES = 256
"""Open files of a worker beyond its connections and its calls: journal, database, exports."""

RESERVE = 128
"""Connections over the limit that are told why they are refused; more are hung up on."""

KILOBYTE = 1024


class Waiting(Enum):
    """What a connection waits for, from its client."""

    NOTHING = auto()
    """It is the client who waits."""
    FIRST = auto()
    """The first byte since it connected."""
    HEAD = auto()
    """The rest of a head."""
    BODY = auto()
    """More of a body."""
    REST = auto()
    """The end of a body that nobody wants, because it was answered already."""
    NEXT = auto()
    """Another request."""
    READER = auto()
    """That it reads what was sent."""
    GONE = auto()
    """That the last bytes of a closed connection are taken."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a connection is: in which of its requests, waiting for what, and how far with that.

    `progress` only grows while the wait goes on; it counts bytes.
    """

    waiting: Waiting
    request: int = 0
    progress: int = 0


class Connected(Protocol):
    """A connection, as far as patience is concerned."""

    def standing(self) -> Standing:
        """Where it is now."""

    def give_up(self, waiting: Waiting) -> None:
        """Its client took too long for *waiting*: tell it where that is possible, and close."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may send and how long it may take. Seconds; bytes."""

    head_bytes: int
    headers: int
    connections: int
    seconds: dict[Waiting, float]
    body_bytes: int
    """Bytes of a body that must come within its seconds."""
    reserve: int = RESERVE

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that *settings* name."""
        seconds = {
            Waiting.FIRST: settings.header_timeout,
            Waiting.HEAD: settings.header_timeout,
            Waiting.BODY: settings.body_timeout,
            Waiting.REST: settings.body_timeout,
            Waiting.NEXT: settings.keep_alive_timeout,
            Waiting.READER: settings.send_timeout,
            Waiting.GONE: settings.send_timeout,
        }
        return cls(
            head_bytes=int(settings.max_header_kb * KILOBYTE),
            headers=settings.max_headers,
            connections=settings.max_connections,
            seconds=seconds,
            body_bytes=max(1, int(settings.min_body_rate * settings.body_timeout)),
        )

    @property
    def files(self) -> int:
        """Open files that are needed for all connections, a call on each, and everything else."""
        return 2 * self.connections + OTHER_FILES

    def within(self, files: int) -> "Limits":
        """The same with no more connections than so many open *files* are enough for.

        Where connections took the last of them, nobody would be told why there is no room, and
        neither the journal nor the upstream could be opened.
        """
        if files >= self.files:
            return self
        others = min(OTHER_FILES, files // 2)
        connections = max(1, (files - others) // 2)
        return replace(self, connections=connections, reserve=min(RESERVE, others // 4))


@dataclass(slots=True)
class _Wait:
    """Since when a connection stands where it stands, and how far it was then."""

    since: float
    standing: Standing


class Patience:
    """All connections of one worker. It may be pickled as long as there are none."""

    def __init__(self, limits: Limits) -> None:
        """Wait no longer than *limits* say."""
        self.limits = limits
        self._waits: dict[Connected, _Wait] = {}
        self._timer: asyncio.TimerHandle | None = None

    def welcome(self, connection: Connected) -> int:
        """Watch *connection* from now on; how many there are over the limit with it."""
        loop = asyncio.get_running_loop()
        self._waits[connection] = _Wait(loop.time(), Standing(Waiting.FIRST))
        if self._timer is None:
            self._timer = loop.call_later(INTERVAL, self._tick, loop)
        return max(0, len(self._waits) - self.limits.connections)

    def forget(self, connection: Connected) -> None:
        """*connection* is closed."""
        self._waits.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Give up every connection that kept us waiting for too long at *now*, in seconds."""
        for connection, wait in tuple(self._waits.items()):
            standing = connection.standing()
            seconds = self.limits.seconds.get(standing.waiting)
            if (
                seconds is None
                or standing.waiting is not wait.standing.waiting
                or standing.request != wait.standing.request
            ):
                wait.since, wait.standing = now, standing
            elif now - wait.since >= seconds:
                if self._goes_on(wait.standing, standing):
                    wait.since, wait.standing = now, standing
                else:
                    connection.give_up(standing.waiting)

    def _goes_on(self, then: Standing, now: Standing) -> bool:
        """Whether so much came meanwhile that the client gets the same time again."""
        came = now.progress - then.progress
        if now.waiting is Waiting.BODY:
            return came >= self.limits.body_bytes
        return now.waiting in (Waiting.READER, Waiting.GONE) and came > 0

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL, self._tick, loop) if self._waits else None
        self.sweep(loop.time())
