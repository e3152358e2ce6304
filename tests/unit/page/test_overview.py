"""The places of the time axis, and numbers for people."""

from datetime import datetime, timedelta, timezone

import pytest

from officeai_proxy.page.overview import Span, dollars, moments_of, number

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=8)))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (950, "950"), (9999, "9,999"), (12345, "12.3k"), (4.56e6, "4.56M"), (2.5e9, "2.5G")],
)
def test_numbers(value: float, text: str) -> None:
    """A number has as many digits as people read."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "$0.00"), (0.000234, "$0.000234"), (0.5, "$0.5"), (1234.5, "$1,234.50")]
)
def test_dollars(value: float, text: str) -> None:
    """Small costs are not rounded away."""
    assert dollars(value) == text


def test_hours_of_the_reader() -> None:
    """The last place is this hour, by the name that the statistics have for it."""
    moments = moments_of(Span.DAY, NOW)
    assert len(moments.keys) == 24
    assert moments.keys[-1] == "2026-01-31T09:00:00+08:00"
    assert moments.labels[-1] == "09:00"


def test_days_of_the_reader() -> None:
    """The last place is today, and the first is as far back as was asked for."""
    moments = moments_of(Span.MONTH, NOW)
    assert (moments.keys[0], moments.keys[-1]) == ("2026-01-02", "2026-01-31")
