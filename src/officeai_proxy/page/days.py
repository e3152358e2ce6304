"""Days as a reader types them, when they begin, and moments on the reader's clock."""

from datetime import date, datetime, time, timedelta, timezone

from officeai_proxy.errors import UnprocessableInput


def on_clock(moment: datetime, zone: timezone) -> datetime:
    """*moment* on the clock of *zone*; at the calendar's ends, which it may not have, as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def begin_of(text: str, name: str, zone: timezone) -> datetime | None:
    """When the day of the field *name* begins; None when it is empty.

    Raises:
        UnprocessableInput: it is no day.
    """
    day = _day(text, name)
    return None if day is None else datetime.combine(day, time(), zone)


def end_of(text: str, name: str, zone: timezone) -> datetime | None:
    """When the day after that of the field *name* begins; None when it is empty.

    Raises:
        UnprocessableInput: it is no day, or the last one that there is.
    """
    begin = begin_of(text, name, zone)
    if begin is None:
        return None
    try:
        return begin + timedelta(days=1)
    except OverflowError as exc:
        raise _refused(name) from exc


def _day(text: str, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as exc:
        raise _refused(name) from exc


def _refused(name: str) -> UnprocessableInput:
    return UnprocessableInput(f"{name} must be a day such as 2026-01-31.", param=name)
