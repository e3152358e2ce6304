"""Rows of the result in, the printed and the written table out; measures nothing.

Every row that can be measured stands here with its limits: what must be held, and what is wanted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BEGIN = "<!-- figures: begin -->"
END = "<!-- figures: end -->"

HEADINGS = ("Measured", "Unit", "nginx", "Ours", "Ratio", "Spread", "Must", "Goal")


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured, in which unit, and its limits; a dash where there is none."""

    title: str
    unit: str
    must: str = "–"
    goal: str = "–"


JSON_CALL = Row("JSON call, 64 connections: CPU", "µs", "ratio ≤ 4", "ratio ≤ 2.5")
JSON_CALL_OFF = Row("the same, not recorded", "µs")
JSON_RECORDING = Row("what recording a JSON call costs", "µs", "ratio ≤ 1.3", "ratio ≤ 0.7")
EVENT = Row("streamed event, 256 paced streams: CPU", "µs", "ratio ≤ 1.4", "ratio ≤ 1.15")
EVENT_OFF = Row("the same stream, not recorded", "µs")
EVENT_RECORDING = Row("what recording a stream costs", "%", "≤ 15", "≤ 8")
LATENCY_DIRECT = Row("latency p50, 1 connection, without a proxy", "ms")
LATENCY_ADDED = Row("latency p50 added, 1 connection", "ms", "ratio ≤ 1.5", "ratio ≤ 1.1")
MANY_EVENT = Row("1000 streams, 20,000 events/s: CPU an event", "µs", "ratio ≤ 1.8", "ratio ≤ 1.4")
MANY_GAP = Row("1000 streams: gap between events p99", "ms", "ratio ≤ 1.3", "ratio ≤ 1.1")
MANY_TTFT = Row("1000 streams: time to first token p99", "ms", "≤ 200", "≤ 60")
MANY_MEMORY = Row("memory after 1000 streams at a time", "MB")
IDLE_MEMORY = Row("memory, idle", "MB", "≤ 90", "≤ 60")
STREAM_MEMORY = Row("memory for an open stream", "KB", "≤ 50", "≤ 30")
READY = Row("start to the ready line, empty database", "s", "≤ 3", "≤ 1")
HELP = Row("--help", "s", "≤ 0.5", "≤ 0.2")
RECORDER = Row("recorder, merge included: exchanges a second", "1/s", "≥ 3,000", "≥ 10,000")
RECORDER_CPU = Row("the same: CPU for an exchange", "µs")
TURN_10 = Row("bytes stored, turn 10, 500 bytes of text", "B", "≤ 1,400", "≤ 1,000")
TURN_1000 = Row("bytes stored, turn 1,000, 500 bytes of text", "B", "≤ 1,400", "≤ 1,000")
TURNS_EQUAL = Row("turn 1,000 against turn 10, bytes", "×", "equal", "equal")
WORKERS_ONE = Row("one worker on one core: calls a second of it", "1/s")
WORKERS_TWO = Row("two workers on two cores: calls a second of both", "1/s")
WORKERS = Row("two workers against one, calls a second", "×", "≥ 1.7", "≥ 1.9")
WORKERS_CPU = Row("the same, by their CPU for a call alone", "×")
NEWEST_10 = Row("turn 10, its newest message sent: CPU to record it", "µs")
NEWEST_1000 = Row("turn 1,000 against turn 10, newest message sent", "×", "≤ 1.2", "≤ 1.05")
NEWEST_10000 = Row("turn 10,000 against turn 10, newest message sent", "×", "≤ 1.2", "≤ 1.05")
WINDOW_10 = Row("turn 10, its last 11 messages sent: CPU to record it", "µs")
WINDOW_1000 = Row("turn 1,000 against turn 10, last 11 sent", "×", "≤ 1.2", "≤ 1.05")
WINDOW_10000 = Row("turn 10,000 against turn 10, last 11 sent", "×", "≤ 1.2", "≤ 1.05")
ALL_10 = Row("turn 10, everything sent: CPU to record it", "µs")
ALL_1000 = Row("turn 1,000 against turn 10, everything sent", "×")
ALL_10000 = Row("turn 10,000 against turn 10, everything sent", "×")
ALL_MB_10 = Row("turn 10, everything sent: CPU for a MB of request", "ms")
ALL_MB_1000 = Row("turn 1,000, everything sent: CPU for a MB of request", "ms")
ALL_MB_10000 = Row("turn 10,000, everything sent: CPU for a MB of request", "ms")
EMPTY = Row("an exchange into an empty database: CPU to record it", "µs")
FILLED = Row("the same into one that holds many messages", "µs")
FILLED_EMPTY = Row("database with many messages against an empty one", "×", "≤ 1.2", "≤ 1.05")
LITELLM = Row("LiteLLM, JSON call: CPU", "µs")
LITELLM_LIGHTER = Row("ours, recording, is lighter than LiteLLM by", "×", "≥ 125", "≥ 200")
PORTKEY = Row("Portkey, JSON call: CPU", "µs")
PORTKEY_LIGHTER = Row("ours, recording, is lighter than Portkey by", "×")

ROWS = (
    JSON_CALL,
    JSON_CALL_OFF,
    JSON_RECORDING,
    EVENT,
    EVENT_OFF,
    EVENT_RECORDING,
    LATENCY_DIRECT,
    LATENCY_ADDED,
    MANY_EVENT,
    MANY_GAP,
    MANY_TTFT,
    MANY_MEMORY,
    WORKERS_ONE,
    WORKERS_TWO,
    WORKERS,
    WORKERS_CPU,
    IDLE_MEMORY,
    STREAM_MEMORY,
    READY,
    HELP,
    RECORDER,
    RECORDER_CPU,
    TURN_10,
    TURN_1000,
    TURNS_EQUAL,
    NEWEST_10,
    NEWEST_1000,
    NEWEST_10000,
    WINDOW_10,
    WINDOW_1000,
    WINDOW_10000,
    ALL_10,
    ALL_1000,
    ALL_10000,
    ALL_MB_10,
    ALL_MB_1000,
    ALL_MB_10000,
    EMPTY,
    FILLED,
    FILLED_EMPTY,
)
"""What every run measures. The rows of other gateways are only measured on request."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured row: a value for each round.

    Unless `has_ratio` says no, what counts is ours to nginx's of the same round.
    """

    row: Row
    ours: Sequence[float]
    nginx: Sequence[float] = ()
    has_ratio: bool = True

    @property
    def ratios(self) -> list[float]:
        """Ours to nginx's, round by round; none where there is nothing to divide by."""
        if not self.has_ratio or not self.nginx:
            return []
        return [
            mine / theirs for mine, theirs in zip(self.ours, self.nginx, strict=True) if theirs > 0
        ]

    def cells(self) -> tuple[str, ...]:
        """The line of the table: medians, and from where to where the values go."""
        judged = self.ratios or self.ours
        return (
            self.row.title,
            self.row.unit,
            _median(self.nginx),
            _median(self.ours),
            _median(self.ratios),
            f"{number(min(judged))} to {number(max(judged))}" if len(judged) > 1 else "–",
            self.row.must,
            self.row.goal,
        )


def number(value: float) -> str:
    """*value* with three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _median(values: Sequence[float]) -> str:
    return number(median(values)) if values else "–"


def markdown(figures: Iterable[Figure]) -> str:
    """The table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(figure.cells() for figure in figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plain(figures: Iterable[Figure]) -> str:
    """The table for a terminal, in columns."""
    lines = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def write(document: Path, text: str) -> None:
    """Put *text* between the two markers of *document*, in place of what is there."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} needs the lines {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
