"""Two workers on two cores against one on one: how many calls a second of them.

On a machine with two cores the load client and the upstream work on one of those that the two
workers have. So calls are not counted against the clock but against the time of the cores that the
workers used or left idle: what others took of it is theirs. Waiting for each other costs as much as
working does; only what the load takes is left out. With the recorder's work after the load this is

    calls a second = calls * cores / (CPU of the contestant + idle time of its cores)
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import table
from benchmarks.contestants import START_SECONDS, Contestant, Start
from benchmarks.databases import Site
from benchmarks.load import BenchmarkFailed, Load
from benchmarks.measures import RECORDED, Field, interleaved
from benchmarks.processes import cpu_by_process, cpu_seconds, idle_seconds
from benchmarks.table import Figure

WORKERS = 2

_SERVING_SHARE = 0.1
"""Of the CPU of a load, what a worker takes at least if it serves some of it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a load took of its cores, in seconds: of CPU, and of having nothing to do."""

    calls: int
    cores: int
    cpu: float
    idle: float

    @property
    def rate(self) -> float:
        """Calls a second of all cores."""
        return self.calls * self.cores / (self.cpu + self.idle)

    @property
    def rate_busy(self) -> float:
        """The same as if no core had ever had to wait."""
        return self.calls * self.cores / self.cpu


def scaling(field: Field, site: Site, *, one: Start, two: Start) -> Iterator[Figure]:
    """Compare a contestant of one worker with one of two, both with an empty database at first."""
    cores = site.cores
    with _started(one, site.folder) as alone, _started(two, site.folder) as both:
        _wait_for_workers(field, alone, count=1)
        _wait_for_workers(field, both, count=WORKERS)
        found = interleaved(
            {
                "one": lambda: _cost(field, alone, [cores.contestant]),
                "two": lambda: _cost(field, both, cores.workers),
            },
            field.plan.rounds,
        )
    pairs = list(zip(found["two"], found["one"], strict=True))
    yield Figure(table.WORKERS_ONE, [cost.rate for cost in found["one"]])
    yield Figure(table.WORKERS_TWO, [cost.rate for cost in found["two"]])
    yield Figure(table.WORKERS, [more.rate / less.rate for more, less in pairs])
    yield Figure(table.WORKERS_CPU, [more.rate_busy / less.rate_busy for more, less in pairs])


@contextmanager
def _started(start: Start, folder: Path) -> Iterator[Contestant]:
    contestant = start(folder)
    try:
        yield contestant
    finally:
        contestant.stop()


def _wait_for_workers(field: Field, contestant: Contestant, *, count: int) -> None:
    """Load *contestant* until each of its *count* workers serves, which warms it up as well.

    Raises:
        BenchmarkFailed: they do not.
    """
    load = _load(field, seconds=field.plan.warm_seconds)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        contestant.settle()
        before = cpu_by_process(contestant.pid)
        field.client.run(load, port=contestant.port, headers=RECORDED)
        after = cpu_by_process(contestant.pid)
        gained = sorted(seconds - before.get(pid, 0) for pid, seconds in after.items())
        if len(gained) >= count and gained[-count] > _SERVING_SHARE * sum(gained):
            return
    raise BenchmarkFailed(f"not every one of {count} workers serves")


def _cost(field: Field, contestant: Contestant, cores: Sequence[int]) -> Cost:
    contestant.settle()
    cpu, idle = cpu_seconds(contestant.pid), idle_seconds(cores)
    load = _load(field, seconds=field.plan.seconds / 2)
    report = field.client.run(load, port=contestant.port, headers=RECORDED)
    idle = idle_seconds(cores) - idle
    contestant.settle()
    return Cost(report.done, len(cores), cpu_seconds(contestant.pid) - cpu, idle)


def _load(field: Field, *, seconds: float) -> Load:
    """Connections that begin one after the other: the first to wake up takes all that wait."""
    return Load(connections=field.plan.connections, seconds=seconds, stagger=0.001)
