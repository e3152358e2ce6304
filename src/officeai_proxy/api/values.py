"""The types of query parameters, path parameters and JSON fields: what is taken, what is refused.

Nothing is changed silently: a value is taken as it is, or the answer is 422 and says what is
allowed.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic.config import JsonDict

from officeai_proxy.auth.labels import MAX_LENGTH, check_label
from officeai_proxy.model import MAX_INTEGER, in_utc

MAX_LIMIT = 1000
"""Items of one page."""

MAX_TEXT = 1000
"""Characters of a name, a title or a filter."""

MAX_CURSOR = 16_000
"""Characters of a cursor: as much text as `MAX_TEXT`, whatever it is made of, has room in it."""

# Python reads more than these forms since 3.11, such as week numbers, which nobody means.
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)


# PostgreSQL's text has no NUL, and UTF-8 has no lone surrogates.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def plain_digits(value: object) -> object:
    """Refuse `1.0`, ` 1`, `+1` and `1_000`, all of which pydantic would take for an integer.

    It stands behind the `Query` with the bounds: before it, the API's description would call them
    `ge` and `le`, which no client reads.
    """
    if isinstance(value, str) and not re.fullmatch("-?[0-9]{1,20}", value, re.ASCII):
        raise ValueError("Input should be a whole number in plain digits")
    return value


def _moment(value: object) -> object:
    """A moment in UTC; one without a zone is taken for UTC."""
    if not isinstance(value, str):
        raise ValueError("Input should be a text such as 2026-01-31T12:00:00Z")
    if not _MOMENT.fullmatch(value):
        raise ValueError("Input should be a moment such as 2026-01-31T12:00:00Z (+ is %2B in URLs)")
    try:
        # Small letters are as good (RFC 3339, 5.6); Python knows them as capitals only.
        return in_utc(datetime.fromisoformat(value.upper()))
    except (ValueError, OverflowError) as exc:
        raise ValueError("Input should be a moment that exists, in the years 1 to 9999") from exc


def _plain(text: str | None, *, longest: int = MAX_TEXT) -> str | None:
    """Refuse what no database has, however long it looks for it."""
    if text is not None and _UNSTORABLE.search(text):
        raise ValueError("Input should hold neither the character NUL nor half a character")
    if text is not None and len(text) > longest:
        raise ValueError(f"Input should have at most {longest} characters")
    return text


def label_or_none(name: str) -> Callable[[str | None], str | None]:
    """A validator for the session or user *name*, which may be absent."""
    return lambda text: None if text is None else check_label(name, text)


NAME_SCHEMA: JsonDict = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_LENGTH,
    "pattern": r"^[^/\x00-\x1f\x7f-\x9f]+$",
}
"""What JSON Schema can say of the name of a session or a user; `auth.labels` says all of it."""

_NAME = WithJsonSchema(NAME_SCHEMA)

PlainText = Annotated[str, AfterValidator(_plain)]
"""Text of moderate length that every database can hold."""

Moment = Annotated[datetime, BeforeValidator(_moment)]
"""ISO 8601, a moment or a day; without a zone it is UTC."""

SessionPath = Annotated[
    str,
    AfterValidator(partial(check_label, "session_id")),
    _NAME,
    Path(
        description="The session's id, as `X-Session-ID` named it.",
        openapi_examples={"demo": {"value": "demo-session"}},
    ),
]
UserPath = Annotated[
    str,
    AfterValidator(partial(check_label, "user")),
    _NAME,
    Path(
        description="The user, as `X-User-ID` named it.",
        openapi_examples={"demo": {"value": "user123"}},
    ),
]
RequiredUser = Annotated[str, AfterValidator(partial(check_label, "user_identifier")), _NAME]
UserQuery = Annotated[
    str | None,
    AfterValidator(label_or_none("user_identifier")),
    _NAME,
    Query(description="Only this user's; chooses when several have the same session id."),
]
ConversationIdQuery = Annotated[
    int | None,
    Query(
        alias="id",
        ge=1,
        le=MAX_INTEGER,
        description="The conversation's `id`; chooses when the bin has several of the session.",
    ),
    BeforeValidator(plain_digits),
]
TextQuery = Annotated[str | None, AfterValidator(_plain)]
MomentQuery = Annotated[
    datetime | None,
    BeforeValidator(_moment),
    Query(description="ISO 8601; without a zone it is UTC."),
]
Limit = Annotated[
    int,
    Query(ge=1, le=MAX_LIMIT, description=f"Items of one page, 1 to {MAX_LIMIT}."),
    BeforeValidator(plain_digits),
]
Offset = Annotated[
    int,
    Query(ge=0, le=MAX_INTEGER, description="Items to leave out; `cursor` is faster and steadier."),
    BeforeValidator(plain_digits),
]
Cursor = Annotated[
    str | None,
    AfterValidator(partial(_plain, longest=MAX_CURSOR)),
    Query(description="The `next_cursor` of the page before."),
]
