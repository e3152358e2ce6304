"""The places of the time axis."""

from datetime import datetime, timedelta, timezone

from officeai_proxy.page.overview import Span, moments_of

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=8)))


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
