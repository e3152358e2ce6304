"""Numbers over time in, the shapes of a chart out; drawn by a template as SVG, without a script.

A chart is 1000 wide and 100 high and is stretched to its place, so that only shapes are in it: its
words and numbers stand beside it as text, where they keep their size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

WIDTH = 1000.0
HEIGHT = 100.0

_GAP = 0.22
"""What part of a bar's place stays empty."""


class Kind(StrEnum):
    """How a series is drawn."""

    BARS = "bars"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers; None where nothing is known. Bars stand on those of the series before."""

    name: str
    kind: Kind
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series as shapes: bars, or the points of lines that are broken where nothing is known."""

    name: str
    kind: Kind
    bars: Sequence[Bar]
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Column:
    """What one place on the time axis says, for whoever points at it."""

    x: float
    width: float
    told: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template draws. `ticks` go from the top down to nothing."""

    title: str
    drawn: Sequence[Drawn]
    columns: Sequence[Column]
    ticks: Sequence[str]
    first: str
    middle: str
    last: str
    is_empty: bool


def chart_of(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    written: Callable[[float], str],
) -> Chart:
    """The chart of *series*, whose places are called *labels*; *written* puts a value in words."""
    top = nice_top(max(_heights(series, len(labels)), default=0.0))
    step = WIDTH / max(len(labels), 1)
    base = [0.0] * len(labels)
    drawn = [_drawn(one, base, top, step) for one in series]
    columns = [
        Column(round(place * step, 2), round(step, 2), _told(label, series, place, written))
        for place, label in enumerate(labels)
    ]
    return Chart(
        title=title,
        drawn=drawn,
        columns=columns,
        ticks=[written(top), written(top / 2), "0"],
        first=labels[0] if labels else "",
        middle=labels[len(labels) // 2] if labels else "",
        last=labels[-1] if labels else "",
        is_empty=not any(value for one in series for value in one.values),
    )


def nice_top(most: float) -> float:
    """The smallest of 1, 2, 4, 5, 8, 10, 20, … that is not under *most*."""
    if most <= 0 or not math.isfinite(most):
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next((f * power for f in (1, 2, 4, 5, 8) if f * power >= most), 10 * power)


def _heights(series: Sequence[Series], places: int) -> list[float]:
    """How high each place reaches: bars on each other, lines by themselves."""
    stacked = [
        sum(one.values[place] or 0.0 for one in series if one.kind is Kind.BARS)
        for place in range(places)
    ]
    lines = [value or 0.0 for one in series if one.kind is Kind.LINE for value in one.values]
    return stacked + lines


def _drawn(one: Series, base: list[float], top: float, step: float) -> Drawn:
    if one.kind is Kind.LINE:
        return Drawn(one.name, one.kind, (), _lines(one.values, top, step))
    bars = []
    for place, value in enumerate(one.values):
        if not value:
            continue
        height = value / top * HEIGHT
        below = base[place] / top * HEIGHT
        base[place] += value
        bars.append(
            Bar(
                round(place * step + step * _GAP / 2, 2),
                round(HEIGHT - below - height, 2),
                round(step * (1 - _GAP), 2),
                round(height, 2),
            )
        )
    return Drawn(one.name, one.kind, bars, ())


def _lines(values: Sequence[float | None], top: float, step: float) -> list[str]:
    """The points of each stretch without a hole. A value alone is a short stroke."""
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        y = round(HEIGHT - value / top * HEIGHT, 2)
        lines[-1].append(f"{round((place + 0.5) * step, 2)},{y}")
    whole = (points if len(points) != 1 else _stroke(points[0], step) for points in lines)
    return [" ".join(points) for points in whole if points]


def _stroke(point: str, step: float) -> list[str]:
    x, _, y = point.partition(",")
    return [f"{round(float(x) - step * 0.3, 2)},{y}", f"{round(float(x) + step * 0.3, 2)},{y}"]


def _told(label: str, series: Sequence[Series], place: int, written: Callable[[float], str]) -> str:
    known = [(one.name, one.values[place]) for one in series]
    said = [f"{name} {written(value)}" for name, value in known if value is not None]
    return " · ".join((label, *said))
