"""Numbers for people."""

import pytest

from officeai_proxy.page.figures import dollars, number, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (950, "950"),
        (9999, "9,999"),
        (12345, "12.3k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (4.56e6, "4.56M"),
        (999_999_999, "1G"),
        (2.5e9, "2.5G"),
        (123e12, "123T"),
    ],
)
def test_counts(value: float, text: str) -> None:
    """A count has as many digits as people read, and no exponent."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "$0.00"),
        (4.5e-6, "$0.0000045"),
        (0.000234, "$0.000234"),
        (0.5, "$0.5"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars(value: float, text: str) -> None:
    """Small costs are not rounded away, and have no exponent."""
    assert dollars(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2, "0 ms"), (999.4, "999 ms"), (999.6, "1.0 s"), (9940, "9.9 s"), (9960, "10 s")],
)
def test_durations(value: float, text: str) -> None:
    """A duration is told in the unit that it is rounded to."""
    assert seconds(value) == text
