"""Contestants in, figures out: each function measures some rows of the table.

Rounds are interleaved, and every second one runs in the reverse order, so that a machine that grows
slower or faster meanwhile does so for everybody. CPU time is that of a contestant's whole tree of
processes, read before the load and after it has settled.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks import recorder, table
from benchmarks.contestants import KEY, PROGRAM, Contestant, Start
from benchmarks.databases import Site
from benchmarks.load import Load, LoadClient, Report
from benchmarks.plan import Plan
from benchmarks.processes import cpu_seconds, pinned, resident_bytes
from benchmarks.table import Figure

HEADERS = (f"Authorization: Bearer {KEY}", "X-User-ID: bench")
RECORDED = (*HEADERS, "X-Session-ID: bench-@@@@@@@@")

MEGABYTE = 1024 * 1024
KILOBYTE = 1024

_IDLE_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """The two contestants and what is needed to load them; `upstream` is the mock's own port."""

    plan: Plan
    client: LoadClient
    nginx: Contestant
    ours: Contestant
    upstream: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One load on one contestant: what the client saw, and microseconds of CPU for it."""

    report: Report
    cpu_us: float

    @property
    def call_us(self) -> float:
        """CPU for a call."""
        return self.cpu_us / self.report.done

    @property
    def event_us(self) -> float:
        """CPU for a streamed event."""
        return self.cpu_us / self.report.events


Lanes = Mapping[str, Callable[[], T]]


def interleaved(lanes: Lanes[T], rounds: int) -> dict[str, list[T]]:
    """What each lane gave, round by round."""
    found: dict[str, list[T]] = {name: [] for name in lanes}
    for number in range(rounds):
        for name in lanes if number % 2 == 0 else reversed(list(lanes)):
            found[name].append(lanes[name]())
    return found


def json_calls(field: Field) -> Iterator[Figure]:
    """CPU of a JSON call, recorded and not."""
    plan = field.plan
    found = _on_and_off(field, Load(connections=plan.connections, seconds=plan.seconds))
    nginx, on, off = ([sample.call_us for sample in found[name]] for name in ("nginx", "on", "off"))
    cost = [with_it - without for with_it, without in zip(on, off, strict=True)]
    yield Figure(table.JSON_CALL, on, nginx)
    yield Figure(table.JSON_CALL_OFF, off, nginx)
    yield Figure(table.JSON_RECORDING, cost, nginx)


def streams(field: Field) -> Iterator[Figure]:
    """CPU of a streamed event, recorded and not."""
    found = _on_and_off(field, _streaming(field.plan, field.plan.streams, field.plan.gap_ms))
    nginx, on, off = (
        [sample.event_us for sample in found[name]] for name in ("nginx", "on", "off")
    )
    cost = [(with_it / without - 1) * 100 for with_it, without in zip(on, off, strict=True)]
    yield Figure(table.EVENT, on, nginx)
    yield Figure(table.EVENT_OFF, off, nginx)
    yield Figure(table.EVENT_RECORDING, cost)


def latency(field: Field) -> Iterator[Figure]:
    """What one caller alone waits longer than without a proxy."""
    load = Load(connections=1, seconds=field.plan.seconds / 2)
    ports = {"direct": field.upstream, "nginx": field.nginx.port, "ours": field.ours.port}

    def lane(port: int) -> Callable[[], float]:
        return lambda: field.client.run(load, port=port, headers=RECORDED).latency_p50 / 1000

    lanes = {name: lane(port) for name, port in ports.items()}
    found = interleaved(lanes, field.plan.rounds)
    direct = found["direct"]
    yield Figure(table.LATENCY_DIRECT, direct)
    yield Figure(
        table.LATENCY_ADDED,
        [with_it - without for with_it, without in zip(found["ours"], direct, strict=True)],
        [with_it - without for with_it, without in zip(found["nginx"], direct, strict=True)],
    )


def many_streams(field: Field) -> Iterator[Figure]:
    """A crowd of streams at once: CPU, evenness, time to the first token, memory."""
    load = _streaming(field.plan, field.plan.many_streams, field.plan.many_gap_ms)

    def lane(contestant: Contestant) -> Callable[[], tuple[Sample, float]]:
        return lambda: (
            sampled(field, contestant, load, headers=RECORDED),
            resident_bytes(contestant.pid) / MEGABYTE,
        )

    lanes = {"nginx": lane(field.nginx), "ours": lane(field.ours)}
    found = interleaved(lanes, field.plan.rounds)
    samples = {name: [sample for sample, _ in values] for name, values in found.items()}
    memory = {name: [megabytes for _, megabytes in values] for name, values in found.items()}

    def figure(row: table.Row, value: Callable[[Sample], float], *, limited: bool) -> Figure:
        ours, nginx = ([value(sample) for sample in samples[name]] for name in ("ours", "nginx"))
        return Figure(row, ours, nginx, has_ratio=not limited)

    yield figure(table.MANY_EVENT, lambda sample: sample.event_us, limited=False)
    yield figure(table.MANY_GAP, lambda sample: sample.report.gap_p99 / 1000, limited=False)
    yield figure(table.MANY_TTFT, lambda sample: sample.report.ttft_p99 / 1000, limited=True)
    yield Figure(table.MANY_MEMORY, memory["ours"], memory["nginx"], has_ratio=False)


def fresh_starts(
    plan: Plan, client: LoadClient, starts: Mapping[str, Start], folder: Path
) -> Iterator[Figure]:
    """Time to start, and the memory of a process that has served next to nothing."""

    def lane(name: str) -> Callable[[], tuple[float, float, float]]:
        return lambda: _fresh(plan, client, starts[name], folder)

    found = interleaved({name: lane(name) for name in starts}, plan.rounds)
    seconds, idle, stream = (
        {name: [values[place] for values in found[name]] for name in starts} for place in range(3)
    )
    yield Figure(table.IDLE_MEMORY, idle["ours"], idle["nginx"], has_ratio=False)
    yield Figure(table.STREAM_MEMORY, stream["ours"], stream["nginx"], has_ratio=False)
    yield Figure(table.READY, seconds["ours"])


def help_time(plan: Plan, *, core: int) -> Iterator[Figure]:
    """How long `--help` takes."""
    times = []
    for _ in range(plan.rounds):
        began = time.monotonic()
        with pinned(core):
            subprocess.run([*PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
    yield Figure(table.HELP, times)


def recording(plan: Plan, site: Site) -> Iterator[Figure]:
    """The recorder by itself: its rate, and how much it stores."""
    sessions = range(max(1, plan.journaled // plan.calls_per_session))
    work = []
    for number in range(plan.rounds):
        exchanges = recorder.turns(sessions, 1, plan.calls_per_session)
        with pinned(site.cores.contestant):
            work.append(
                recorder.drain(site.journal, site.new_database(f"rate_{number}"), exchanges)
            )
    url = site.new_database("growth")
    early = _growth(plan, site.journal, url, range(10, 10 + plan.early_turns))
    later = range(plan.late_turn, plan.late_turn + plan.late_turns)
    late = _growth(plan, site.journal, url, later)
    yield Figure(table.RECORDER, [one.rate for one in work])
    yield Figure(table.RECORDER_CPU, [one.cpu_us for one in work])
    yield Figure(table.TURN_10, [early])
    yield Figure(table.TURN_1000, [late])
    yield Figure(table.TURNS_EQUAL, [late / early])


def warm_up(field: Field) -> None:
    """Let everybody do some of everything before it counts."""
    plan = field.plan
    loads = (
        Load(connections=plan.connections, seconds=plan.warm_seconds),
        Load(connections=plan.streams, seconds=plan.warm_seconds, gap_ms=plan.gap_ms),
    )
    for contestant in (field.nginx, field.ours):
        for load in loads:
            sampled(field, contestant, load, headers=RECORDED)


def _on_and_off(field: Field, load: Load) -> dict[str, list[Sample]]:
    return interleaved(
        {
            "nginx": lambda: sampled(field, field.nginx, load, headers=RECORDED),
            "on": lambda: sampled(field, field.ours, load, headers=RECORDED),
            "off": lambda: sampled(field, field.ours, load, headers=HEADERS),
        },
        field.plan.rounds,
    )


def sampled(field: Field, contestant: Contestant, load: Load, *, headers: Sequence[str]) -> Sample:
    """Run *load* on *contestant*; what it cost until the contestant had settled again."""
    contestant.settle()
    before = cpu_seconds(contestant.pid)
    report = field.client.run(load, port=contestant.port, headers=headers)
    contestant.settle()
    return Sample(report, (cpu_seconds(contestant.pid) - before) * 1e6)


def _streaming(plan: Plan, count: int, gap_ms: int) -> Load:
    """*count* streams at a time, begun evenly over the life of one, for at least two lives."""
    life = plan.stream_seconds(gap_ms)
    return Load(
        connections=count,
        seconds=max(plan.seconds, 2 * life),
        gap_ms=gap_ms,
        stagger=life / count,
    )


def _fresh(
    plan: Plan, client: LoadClient, start: Start, folder: Path
) -> tuple[float, float, float]:
    """Seconds to start, idle memory in MB, KB for each of many open streams."""
    contestant = start(folder)
    try:
        contestant.settle()
        time.sleep(_IDLE_SECONDS)
        idle = resident_bytes(contestant.pid)
        few = Load(connections=1, seconds=plan.warm_seconds, gap_ms=1)
        client.run(few, port=contestant.port, headers=RECORDED)
        contestant.settle()
        before = resident_bytes(contestant.pid)
        crowd = Load(
            connections=plan.many_streams,
            seconds=60,
            gap_ms=4 * plan.many_gap_ms,
            max_calls=plan.many_streams,
            stagger=0.001,
        )
        process = client.start(crowd, port=contestant.port, headers=RECORDED)
        # By then all have begun long ago, and none has come to its end.
        time.sleep(0.8 * plan.stream_seconds(4 * plan.many_gap_ms))
        during = resident_bytes(contestant.pid)
        client.finish(process)
    finally:
        contestant.stop()
    each = (during - before) / plan.many_streams / KILOBYTE
    return contestant.seconds_to_start, idle / MEGABYTE, each


def _growth(plan: Plan, directory: Path, url: str, turns: range) -> float:
    """Bytes by which the database grows with each of *turns* of a conversation."""
    sessions = range(plan.conversations)
    before = 0
    for turn in (turns[0] - 1, *turns):
        recorder.drain(directory, url, recorder.turns(sessions, turn, turn))
        recorder.reuse_space(url)
        if turn < turns[0]:
            before = recorder.stored_bytes(url)
    grown = recorder.stored_bytes(url) - before
    return grown / (plan.conversations * len(turns))
