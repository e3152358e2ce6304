"""Durations as people write them."""

from datetime import timedelta

import pytest

from officeai_proxy.auth.durations import parse_duration, parse_lifetime, parse_overlap


@pytest.mark.parametrize("text", ["", "soon", "90", "-1d", "1.5h", "1w", "1 d", "１d", "9999999d"])
def test_what_is_no_duration_is_told_what_is(text: str):
    """Nothing is guessed: a number without a unit could be anything."""
    with pytest.raises(ValueError, match="90d"):
        parse_duration(text)


def test_a_lifetime_is_longer_than_nothing():
    """A key that ends when it begins is a slip."""
    for text in ("0", "0d"):
        with pytest.raises(ValueError, match="no time"):
            parse_lifetime(text)


def test_an_overlap_is_a_week_at_most():
    """Old keys do not linger; none at all is possible."""
    with pytest.raises(ValueError, match="week"):
        parse_overlap("169h")
    assert parse_overlap("7d") == timedelta(days=7)
    assert parse_overlap("0") == timedelta()


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("12h", 43200), ("90d", 7776000)]
)
def test_units(text: str, seconds: int):
    """Seconds, minutes, hours, days."""
    assert parse_lifetime(text) == timedelta(seconds=seconds)
