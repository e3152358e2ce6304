"""Durations as people write them in, `timedelta`s out: `90d`, `12h`, `30m`, `45s`."""

import re
from datetime import timedelta

_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """The duration *text*; a plain `0` is none at all.

    Raises:
        ValueError: it is not one; the message says what is.
    """
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a duration such as 90d, 12h or 30m")
    return timedelta(**{_UNIT[match[2]]: int(match[1])})


def parse_lifetime(text: str) -> timedelta:
    """The duration *text*, which must be longer than nothing.

    Raises:
        ValueError: it is not one.
    """
    lifetime = parse_duration(text)
    if not lifetime:
        raise ValueError(f"{text[:40]!r} is no time at all; give a duration such as 90d")
    return lifetime


def parse_overlap(text: str) -> timedelta:
    """How long a key that is being replaced goes on working: at most a week, `0` for not at all.

    Raises:
        ValueError: it is not a duration, or too long.
    """
    overlap = parse_duration(text)
    if overlap > LONGEST_OVERLAP:
        raise ValueError(f"{text[:40]!r} is longer than a week, 7d")
    return overlap


LONGEST_OVERLAP = timedelta(days=7)
