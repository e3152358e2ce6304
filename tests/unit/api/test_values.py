"""Which parameters are taken and which are refused."""

import re
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from officeai_proxy.api.values import (
    NAME_SCHEMA,
    Limit,
    Moment,
    Offset,
    PlainText,
    label_or_none,
)
from officeai_proxy.errors import UnprocessableInput

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
LIMIT: TypeAdapter[int] = TypeAdapter(Limit)


@pytest.mark.parametrize(
    "text",
    ["-1", "1.0", "1e3", " 5", "5 ", "+5", "1_000", "abc", "", "١٠", "0x10", "9" * 5000],
)
def test_only_plain_digits_are_a_number(text: str):
    """A number in any other dress is refused, and not read in some way."""
    with pytest.raises(ValidationError):
        TypeAdapter[int](Offset).validate_python(text)


@pytest.mark.parametrize(
    "value",
    [
        "0000",
        "9999",
        "0000-01-01",
        "2026-02-30",
        "2026-01-31T25:00:00Z",
        "2026-W05-6",
        "20260131",
        "2026-01-31T12:00:00 08:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "yesterday",
        "",
        "٢٠٢٦-01-31",
        "2026-01-31T12:00:00Z\n",
        1769860800,
        True,
        None,
    ],
)
def test_what_is_no_moment_is_refused(value: object):
    """Numbers, impossible days and the forms that only Python reads are refused."""
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800", "a" * 1001])
def test_text_that_cannot_be_stored_is_refused(text: str):
    """PostgreSQL holds no NUL, UTF-8 no half character, and a thousand characters are enough."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](PlainText).validate_python(text)


def test_a_label_that_is_there_is_checked():
    """An absent label is none; a bad one is refused by its name."""
    check = label_or_none("user")

    assert check(None) is None
    assert check(" alice ") == "alice"
    with pytest.raises(UnprocessableInput) as caught:
        check("")
    assert caught.value.param == "user"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t20:00:00.5+08:00", datetime(2026, 1, 31, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-01-31T20:00:00+08:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T20:00:00+0800", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456Z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_moments_are_brought_to_utc(text: str, moment: datetime):
    """With a zone or without, with fractions or without: a moment in UTC comes out."""
    read = MOMENT.validate_python(text)

    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "name", ["a", "张三", "a b", "x" * 255, "é\u0301", "😀", "../x", "a/", "\x85", ""]
)
def test_a_name_that_is_taken_fits_its_description(name: str):
    """Clients that check what they send by the description send every name that there may be."""
    pattern, longest = NAME_SCHEMA["pattern"], NAME_SCHEMA["maxLength"]
    fits = bool(re.search(str(pattern), name)) and len(name) <= int(str(longest))
    try:
        label_or_none("user")(name)
        is_taken = True
    except UnprocessableInput:
        is_taken = False

    assert fits == is_taken
