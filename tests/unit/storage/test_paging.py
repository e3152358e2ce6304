"""Cursors: forged ones first, then that they come back as they were made."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.storage.paging import MAX_INTEGER, Key, PageRequest, make_cursor, read_cursor

KINDS: tuple[type[Key], ...] = (datetime, str, int)


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        "list",
        ["list"],
        ["list", "2026-01-01T00:00:00+00:00", "a"],
        ["list", "2026-01-01T00:00:00+00:00", "a", 1, 2],
        ["other", "2026-01-01T00:00:00+00:00", "a", 1],
        ["list", "2026-01-01T00:00:00", "a", 1],
        ["list", "yesterday", "a", 1],
        ["list", "0001-01-01T00:00:00+14:00", "a", 1],
        ["list", "9999-12-31T23:59:59-14:00", "a", 1],
        ["list", 5, "a", 1],
        ["list", "2026-01-01T00:00:00+00:00", 1, 1],
        ["list", "2026-01-01T00:00:00+00:00", "nul\0", 1],
        ["list", "2026-01-01T00:00:00+00:00", "\ud800", 1],
        ["list", "2026-01-01T00:00:00+00:00", "a", 2**63],
        ["list", "2026-01-01T00:00:00+00:00", "a", -(2**63)],
        ["list", "2026-01-01T00:00:00+00:00", "a", True],
        ["list", "2026-01-01T00:00:00+00:00", "a", 1.5],
        ["list", "2026-01-01T00:00:00+00:00", "a", None],
    ],
)
def test_wrong_content_is_refused(value: object) -> None:
    """A cursor that decodes, but to something else, is refused before a database sees it."""
    with pytest.raises(UnprocessableInput) as refusal:
        read_cursor(forged(value), "list", KINDS)

    assert refusal.value.param == "cursor"


@given(st.text())
def test_any_text_is_refused_in_words(text: str) -> None:
    """No text makes the reader fail in any other way."""
    with pytest.raises(UnprocessableInput):
        read_cursor(text, "list", KINDS)


def test_deep_nesting_is_refused() -> None:
    """A cursor that nests deeper than the parser goes is refused like any other."""
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(UnprocessableInput):
        read_cursor(deep, "list", KINDS)


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(
    st.datetimes(timezones=st.just(UTC)),
    _TEXT,
    st.integers(min_value=-MAX_INTEGER, max_value=MAX_INTEGER),
)
def test_keys_come_back(moment: datetime, text: str, number: int) -> None:
    """Any sort keys survive the way out and back, and fit into a URL as they are."""
    cursor = make_cursor("list", (moment, text, number))

    assert read_cursor(cursor, "list", KINDS) == [moment, text, number]
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_moment_in_another_zone_is_the_same() -> None:
    """A key keeps its moment whatever zone it was given in."""
    east = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))

    assert read_cursor(make_cursor("l", (east,)), "l", (datetime,)) == [
        datetime(2026, 1, 1, tzinfo=UTC)
    ]


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (2**63, 0), (1, -1), (1, 2**63)])
def test_impossible_request(limit: int, offset: int) -> None:
    """Numbers that no list can answer are refused with the name of the parameter."""
    with pytest.raises(UnprocessableInput) as refusal:
        PageRequest(limit, offset=offset)

    assert refusal.value.param == ("offset" if limit == 1 else "limit")
