"""What it costs to record a turn, by how long its conversation is already.

Clients of three kinds: one sends only its newest message, one a window of the last turns, and one
everything again. The first two should cost the same at any turn. What the third sends grows with
the conversation, and has to be read, so that its cost is also told for a megabyte of request.

All conversations are in one database, and a batch of the recorder has the same number of turns of
the same number of conversations at any length. No server runs meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from benchmarks import recorder, table
from benchmarks.databases import Site
from benchmarks.measures import MEGABYTE, interleaved
from benchmarks.plan import Plan
from benchmarks.processes import pinned
from benchmarks.recorder import Bench, Work
from benchmarks.table import Figure, Row

from officeai_proxy.model import Exchange

EARLY_TURN = 10
CONVERSATIONS = 4
TURNS = 8
"""A batch has so many turns of so many conversations."""

WINDOW_TURNS = 5
LARGE_TURNS = 2
"""Turns of each conversation when everything is sent again: of long ones that is megabytes."""


@dataclass(frozen=True, slots=True)
class Client:
    """How many earlier turns a client sends again (None: all), and where its figures go.

    `by_length` are the rows of the middle and the long conversations against the short ones.
    """

    resent: int | None
    early: Row
    by_length: tuple[Row, Row]


NEWEST = Client(0, table.NEWEST_10, (table.NEWEST_1000, table.NEWEST_10000))
WINDOW = Client(WINDOW_TURNS, table.WINDOW_10, (table.WINDOW_1000, table.WINDOW_10000))
ALL = Client(None, table.ALL_10, (table.ALL_1000, table.ALL_10000))
ALL_BY_SIZE = (table.ALL_MB_10, table.ALL_MB_1000, table.ALL_MB_10000)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the recorder took for some turns, and how many bytes of requests they had."""

    work: Work
    request_bytes: int

    @property
    def megabyte_ms(self) -> float:
        """Milliseconds of CPU for a megabyte of request."""
        return self.work.cpu * 1000 / (self.request_bytes / MEGABYTE)


class Talks:
    """Conversations in one database, some new and some long, and how far each has come."""

    def __init__(self, bench: Bench, plan: Plan) -> None:
        """Begin none yet."""
        self._bench = bench
        self._batches = plan.talk_batches
        self._begun = 0
        self._long: dict[int, range] = {}
        self._next: dict[int, int] = {}

    def lengthen(self, turn: int) -> None:
        """Begin conversations whose next turn is *turn*."""
        self._long[turn] = self._begin(CONVERSATIONS, turn)
        self._next[turn] = turn

    def early(self, client: Client) -> Sample:
        """Record the turns from EARLY_TURN on of new conversations."""
        fresh = self._begin(CONVERSATIONS * self._batches, EARLY_TURN)
        groups = (fresh[at : at + CONVERSATIONS] for at in range(0, len(fresh), CONVERSATIONS))
        last = EARLY_TURN + TURNS - 1
        return self._record(
            one
            for group in groups
            for one in recorder.turns(group, EARLY_TURN, last, resent=client.resent)
        )

    def late(self, client: Client, turn: int) -> Sample:
        """Record the next turns of the conversations that began at *turn*."""
        count = LARGE_TURNS if client.resent is None else TURNS * self._batches
        first, self._next[turn] = self._next[turn], self._next[turn] + count
        sessions = self._long[turn]
        return self._record(
            recorder.turns(sessions, first, first + count - 1, resent=client.resent)
        )

    def _begin(self, count: int, turn: int) -> range:
        sessions = range(self._begun, self._begun + count)
        self._begun += count
        self._bench.drain(recorder.turns(sessions, turn - 1, turn - 1))
        return sessions

    def _record(self, exchanges: Iterable[Exchange]) -> Sample:
        size = 0

        def weighed() -> Iterator[Exchange]:
            nonlocal size
            for exchange in exchanges:
                size += len(exchange.request)
                yield exchange

        work = self._bench.drain(weighed(), batch=CONVERSATIONS * TURNS)
        return Sample(work, size)


def by_length(plan: Plan, site: Site) -> Iterator[Figure]:
    """CPU to record a turn, by the length of its conversation."""
    with (
        pinned(site.cores.contestant),
        Bench(site.journal, site.new_database("by_length")) as bench,
    ):
        talks = Talks(bench, plan)
        for turn in plan.talk_turns:
            talks.lengthen(turn)
        for client in (NEWEST, WINDOW, ALL):
            # Statements are compiled when they are used first.
            talks.early(client)
            yield from _figures(client, _measured(talks, client, plan))


def _measured(talks: Talks, client: Client, plan: Plan) -> list[list[Sample]]:
    """The rounds of each length, the shortest first."""

    def lane(turn: int) -> Callable[[], Sample]:
        return lambda: talks.late(client, turn)

    lanes = {str(turn): lane(turn) for turn in plan.talk_turns}
    found = interleaved({"early": lambda: talks.early(client), **lanes}, plan.rounds)
    return list(found.values())


def _figures(client: Client, lengths: list[list[Sample]]) -> Iterator[Figure]:
    early, *later = ([sample.work.cpu_us for sample in rounds] for rounds in lengths)
    yield Figure(client.early, early)
    for row, rounds in zip(client.by_length, later, strict=True):
        yield Figure(row, [late / first for late, first in zip(rounds, early, strict=True)])
    if client is ALL:
        for row, samples in zip(ALL_BY_SIZE, lengths, strict=True):
            yield Figure(row, [sample.megabyte_ms for sample in samples])
