"""A moment as a browser writes it for its country in, the moment in UTC out.

Nothing says which country that was. A date in three numbers is read by what gives it away: the year
in front, dots or hyphens, a leading zero, a number that no month has, or a zone that browsers
call by its name there only.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from officeai_proxy.model import in_utc

_DATE = re.compile(r"(\d{1,4})([/.-]) ?(\d{1,2})\2 ?(\d{1,4})\b")
_TIME = re.compile(
    r"(\d{1,2})(?:[:.]|시 ?)(\d\d?)(?:(?:[:.]|분 ?)(\d\d?))?초?(?:\s*([AP])M)?", re.IGNORECASE
)
_OFFSET = re.compile(r"\b(?:GMT|UTC)(?:([+\u2212-])(\d\d?)(?::?(\d\d))?)?(?!\d)", re.IGNORECASE)
_NAME = re.compile(r"\b[A-Z]{3,5}\b")

# In English browsers name only these, and call all other zones by their offset (RFC 5322, 4.3).
_AMERICAN = {
    **{"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8},
    **{"AKDT": -8, "AKST": -9, "HST": -10},
}
# Where these are named, the day stands in front of the month (Unicode CLDR, in hours).
_DAY_FIRST = {
    **{"WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3},
    **{"WEZ": 0, "WESZ": 1, "MEZ": 1, "MESZ": 2, "OEZ": 2, "OESZ": 3, "MSK": 3},
    **{"SAST": 2, "IST": 5.5, "WIB": 7, "WITA": 8, "WIT": 9},
    **{"AWST": 8, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13},
}
_OTHERS = {"JST": 9, "KST": 9, "HKT": 8}
_HOURS = {**_AMERICAN, **_DAY_FIRST, **_OTHERS}


def moment_of(text: str) -> datetime | None:
    """The moment that *text* tells, such as `9/11/2025 at 19:54:53 GMT+8`, or ISO 8601; None when
    it tells none. Without a zone that is known here it is taken for UTC.
    """
    try:
        return _iso(text) or _local(text)
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        return in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def _local(text: str) -> datetime | None:
    date = _DATE.match(text)
    if date is None:
        return None
    rest = text[date.end() :]
    zone, name = _zone(rest)
    # An offset can stand in front of the time, as in Chinese, and looks like one.
    time = _TIME.search(_OFFSET.sub(" ", rest))
    if time is None:
        return None
    year, month, day = _in_order(date, name)
    return datetime(
        year, month, day, _hour(time), int(time[2]), int(time[3] or 0), tzinfo=zone
    ).astimezone(UTC)


def _in_order(date: re.Match[str], zone: str | None) -> tuple[int, int, int]:
    """Year, month and day."""
    first, second, third = int(date[1]), int(date[3]), int(date[4])
    if first > 31:
        return first, second, third
    has_day_first = date[2] != "/" or date[1].startswith("0") or zone in _DAY_FIRST
    is_american = second > 12 or zone in _AMERICAN
    if first > 12 or (has_day_first and not is_american):
        return third, second, first
    return third, first, second


def _hour(time: re.Match[str]) -> int:
    hour = int(time[1])
    if not time[4]:
        return hour
    return hour % 12 + (12 if time[4].upper() == "P" else 0)


def _zone(text: str) -> tuple[timezone, str | None]:
    """The zone that *text* tells, and the name that it goes by if it is not told by an offset."""
    name = next((name for name in _NAME.findall(text) if name in _HOURS), None)
    if name is not None:
        return timezone(timedelta(hours=_HOURS[name])), name
    found = _OFFSET.search(text)
    if found is None or not found[1]:
        return UTC, None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(offset if found[1] == "+" else -offset), None
