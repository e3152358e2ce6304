"""Values of foreign JSON in, checked values of our own out, or a `BadItem` that says why not."""

import math
from datetime import datetime, timedelta

from officeai_proxy.formats.reading.imported import BadItem
from officeai_proxy.model import EPOCH, MAX_INTEGER, Json, JsonObject, Role, in_utc
from officeai_proxy.wire.cleantext import clean_text

_ROLES = {role.value: role.value for role in Role} | {
    # Gemini, and data sets in the form of ShareGPT.
    "human": Role.USER.value,
    "ai": Role.ASSISTANT.value,
    "bot": Role.ASSISTANT.value,
    "gpt": Role.ASSISTANT.value,
    "model": Role.ASSISTANT.value,
}

# A moment of our days in milliseconds, microseconds and nanoseconds since 1970 is above these.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


def text_or_none(value: Json, name: str) -> str | None:
    """Text that every database can hold; None for null."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadItem(f"`{name}` must be a text.")
    return clean_text(value)


def str_or_none(value: Json) -> str | None:
    """*value* if it is a text; where another program has something else, nothing is said."""
    return value if isinstance(value, str) else None


def role_in(value: Json) -> str:
    """The role that another program calls *value*."""
    if not isinstance(value, str):
        raise BadItem("`role` must be a text.")
    role = _ROLES.get(value.strip().casefold())
    if role is None:
        raise BadItem(f"`role` must be one of {', '.join(Role)}, and is {value[:40]!r}.")
    return role


def name_or_none(value: Json, name: str) -> str | None:
    """A text as it is, for whoever decides whether it can be a name; None for null or nothing."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadItem(f"`{name}` must be a text.")
    return value


def object_or_empty(value: Json, name: str) -> JsonObject:
    """A JSON object; an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadItem(f"`{name}` must be a JSON object.")
    return value


def count_or_none(value: Json, name: str) -> int | None:
    """A whole number from 0 up; None for null."""
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise BadItem(f"`{name}` must be a whole number from 0 to {MAX_INTEGER}.")
    return value


def moment_or_none(value: Json, name: str) -> datetime | None:
    """A moment written in ISO 8601, which is UTC when it names no zone; None for null."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return in_utc(datetime.fromisoformat(value.upper()))
    except (ValueError, OverflowError):
        pass
    raise BadItem(f"`{name}` must be a moment such as 2026-01-31T12:00:00Z.")


def moment_of_epoch(value: Json) -> datetime | None:
    """The moment so many seconds after 1970 (or milli-, micro- or nanoseconds, told by the size).

    None for anything else: other programs leave times out, or write what no calendar has.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    seconds = _float(value)
    for least, unit in _UNITS:
        if abs(seconds) >= least:
            seconds /= unit
            break
    if not math.isfinite(seconds):
        return None
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
