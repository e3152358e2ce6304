"""Days as readers type them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.page.days import begin_of, end_of, on_clock, zone_of

SHANGHAI = timezone(timedelta(hours=8))
SUMMER = datetime(2026, 7, 14, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-1-1", "<script>"])
def test_what_is_no_day(text: str) -> None:
    """What is no day is refused, and never taken for another."""
    with pytest.raises(UnprocessableInput, match="since"):
        begin_of(text, "since", UTC)


def test_the_last_day_of_all() -> None:
    """The last day that there is has no day after it."""
    with pytest.raises(UnprocessableInput):
        end_of("9999-12-31", "until", UTC)


def test_a_moment_that_the_clock_does_not_have() -> None:
    """A moment is shown on the reader's clock; the last of all, where that has none, as it is."""
    last = datetime.max.replace(tzinfo=UTC)
    assert on_clock(datetime(2026, 1, 30, 16, tzinfo=UTC), SHANGHAI).day == 31
    assert on_clock(last, SHANGHAI) == last


def test_a_day_of_the_reader() -> None:
    """A day begins when it begins for the reader, and ends with it."""
    assert begin_of("", "since", UTC) is None
    assert end_of("", "until", UTC) is None
    begin = begin_of("2026-01-31", "since", SHANGHAI)
    end = end_of("2026-01-31", "until", SHANGHAI)
    assert begin == datetime(2026, 1, 30, 16, tzinfo=UTC)
    assert end == datetime(2026, 1, 31, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "told", [None, "", "x", "841", "0:Nowhere/Land", "0:../passwd", "0:Europe"]
)
def test_a_zone_that_nobody_has(told: str | None) -> None:
    """What is no zone is UTC."""
    assert on_clock(SUMMER, zone_of(told)).utcoffset() == timedelta()


def test_the_minutes_count_where_no_name_is_known() -> None:
    """A browser or a machine may know none."""
    assert zone_of("480").utcoffset(None) == timedelta(hours=8)
    assert zone_of("-210:Nowhere/Land").utcoffset(None) == timedelta(hours=-3.5)


def test_days_of_summer_are_told_in_winter() -> None:
    """A day of July begins where it did on the reader's clock, whatever that says today."""
    berlin = zone_of("60:Europe/Berlin")
    assert berlin == ZoneInfo("Europe/Berlin")
    assert on_clock(SUMMER, berlin).day == 15
    assert begin_of("2026-07-15", "since", berlin) == datetime(2026, 7, 14, 22, tzinfo=UTC)
    # The day in which the clock goes back has 25 hours.
    assert end_of("2026-10-25", "until", berlin) == datetime(2026, 10, 25, 23, tzinfo=UTC)
