"""The shapes of charts."""

import pytest

from officeai_proxy.page.charts import Kind, Series, chart_of, nice_top


@pytest.mark.parametrize(
    ("most", "top"),
    [
        (0, 1),
        (-3, 1),
        (float("nan"), 1),
        (1, 1),
        (1.1, 2),
        (3, 4),
        (4.2, 5),
        (7, 8),
        (9, 10),
        (437, 500),
        (0.013, 0.02),
    ],
)
def test_the_scale_ends_at_a_round_number(most: float, top: float) -> None:
    """A scale ends where people expect a line, and never under what it shows."""
    assert nice_top(most) == pytest.approx(top)


def test_no_numbers() -> None:
    """A chart of nothing is empty, and breaks nothing."""
    chart = chart_of("calls", [], [Series("a", Kind.BARS, [])], written=str)
    assert chart.is_empty
    chart = chart_of("calls", ["x"], [Series("a", Kind.LINE, [None])], written=str)
    assert chart.is_empty
    assert chart.drawn[0].lines == []


def test_bars_stand_on_each_other() -> None:
    """The second series begins where the first ends, and both stay inside."""
    series = [Series("a", Kind.BARS, [3, 0]), Series("b", Kind.BARS, [5, 8])]
    chart = chart_of("calls", ["x", "y"], series, written=lambda value: f"{value:g}")
    [a], [b, c] = (one.bars for one in chart.drawn)
    assert chart.ticks == ["8", "4", "0"]
    assert (a.y, a.height) == (62.5, 37.5)
    assert (b.y, b.height) == (0, 62.5)
    assert (c.y, c.height) == (0, 100)


def test_lines_break_where_nothing_is_known() -> None:
    """A line does not pretend to know what nobody has measured."""
    series = [Series("a", Kind.LINE, [1, 2, None, 2, None, None])]
    chart = chart_of("time", list("abcdef"), series, written=str)
    assert len(chart.drawn[0].lines) == 2


def test_what_is_told() -> None:
    """Whoever points at a place reads its name and all values that are known."""
    series = [Series("good", Kind.BARS, [3]), Series("bad", Kind.BARS, [None])]
    chart = chart_of("calls", ["12:00"], series, written=lambda value: f"{value:g}")
    assert chart.columns[0].told == "12:00 · good 3"
