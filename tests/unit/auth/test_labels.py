"""Which session and user names are taken, and why others are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.auth.labels import check_label, label
from officeai_proxy.errors import InvalidRequest, UnprocessableInput

NAME = "X-Session-ID"

BAD = {
    "empty": "",
    "blank": "  \u3000 ",
    "too long": "a" * 256,
    "much too long": "a" * 100_000,
    "NUL": "a\0b",
    "TAB": "a\tb",
    "ESC": "a\x1bb",
    "DEL": "a\x7fb",
    "CR LF": "a\r\nb",
    "trailing LF": "a\n",
    "C1": "a\x85b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "slash": "a/b",
    "only a slash": "/",
}

GOOD = [
    "a",
    "0",
    "a b",
    "..",
    "a" * 255,
    "会" * 255,
    "😀👩‍👩‍👧",
    "\u202eright to left",
    "'; DROP TABLE conversations; --",
    "<script>alert(1)</script>".replace("/", ""),
    "50%",
    "a?b#c",
    "%2F",
    "a\\b",
]


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_bad_header_is_refused_with_its_name(text: str):
    """A name that cannot be is a 400 which says which header is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        label(NAME, [text.encode()])

    assert caught.value.status == 400
    assert caught.value.param == NAME
    assert caught.value.message.startswith(NAME)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", [*BAD.values(), "a\ud800b"], ids=[*BAD, "half a character"])
def test_bad_path_or_field_is_refused_with_its_name(text: str):
    """The same names are refused in paths and JSON fields, as a 422."""
    with pytest.raises(UnprocessableInput) as caught:
        check_label("session_id", text)

    assert caught.value.param == "session_id"


def test_repeated_header_is_refused():
    """Two headers are refused, also when they say the same."""
    with pytest.raises(InvalidRequest, match="2 times"):
        label(NAME, [b"a", b"a"])


@pytest.mark.parametrize("value", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
def test_invalid_utf8_is_refused(value: bytes):
    """Bytes that are no UTF-8 are refused and not guessed at."""
    with pytest.raises(InvalidRequest, match="UTF-8"):
        label(NAME, [value])


def test_absent_header_is_none():
    """Absence is not emptiness."""
    assert label(NAME, []) is None


@pytest.mark.parametrize("text", GOOD)
def test_good_names_are_kept_as_they_are(text: str):
    """Whatever else a name holds, it is kept to the character."""
    assert label(NAME, [text.encode()]) == text
    assert check_label("session_id", text) == text


def test_composed_and_decomposed_characters_stay_different():
    """No name is normalised: what was sent is what is found."""
    assert label(NAME, ["é".encode()]) != label(NAME, ["e\u0301".encode()])


@pytest.mark.parametrize("text", [" a ", "\u3000a\u3000", "a "])
def test_outer_white_space_does_not_count(text: str):
    """White space around a name is taken away before it is measured."""
    assert label(NAME, [text.encode()]) == check_label("session_id", text) == "a"
    assert label(NAME, [(" " * 300 + "a" * 255).encode()]) == "a" * 255


@pytest.mark.parametrize("value", [b"a\t", b"\ta", b" \t a \t ", b"\t" * 300 + b"a"])
def test_tabs_around_the_value_of_a_header_are_none_of_it(value: bytes):
    """What stands around a value is white space, tabs as well (RFC 9110, section 5.5)."""
    assert label(NAME, [value]) == "a"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_headers_and_fields_agree(text: str):
    """The quick way for plain names decides like the thorough one.

    Tabs around the value of a header are none of it; around a field they are.
    """
    try:
        expected: str | None = check_label("session_id", text.strip("\t "))
    except UnprocessableInput:
        expected = None
    try:
        got = label(NAME, [text.encode()])
    except InvalidRequest:
        got = None

    assert got == expected
