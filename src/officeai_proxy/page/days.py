"""Days as a reader types them, when they begin, and moments on the reader's clock."""

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from officeai_proxy.errors import UnprocessableInput

_MOST_MINUTES = 14 * 60
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,3}")


def zone_of(told: str | None) -> tzinfo:
    """The reader's zone, of which the page's script has *told*: minutes east of UTC, and its name.

    With its name it also has the summer time of other days. A machine may know no names: then the
    minutes of today count for all days.
    """
    minutes, _, name = (told or "").partition(":")
    try:
        if _ZONE_NAME.fullmatch(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # Nobody has such a zone, or it is a folder of them.
    try:
        east = int(minutes or 0)
    except ValueError:
        east = 0
    return timezone(timedelta(minutes=east if abs(east) <= _MOST_MINUTES else 0))


def on_clock(moment: datetime, zone: tzinfo) -> datetime:
    """*moment* on the clock of *zone*; at the calendar's ends, which it may not have, as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def begin_of(text: str, name: str, zone: tzinfo) -> datetime | None:
    """When the day of the field *name* begins; None when it is empty.

    Raises:
        UnprocessableInput: it is no day.
    """
    day = _day(text, name)
    return None if day is None else datetime.combine(day, time(), zone)


def end_of(text: str, name: str, zone: tzinfo) -> datetime | None:
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
