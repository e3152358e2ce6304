"""A conversation's title is one short line of what its user said first."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.wire.titles import MAX_LENGTH, title_of

ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize("text", ["", "   ", "\n\t\r\n", "\x00\x07", "\u2028"])
def test_nothing_said_is_no_title(text: str):
    """A message without a visible character gives no title."""
    assert title_of(text) is None


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("你好，请介绍一下Python", "你好，请介绍一下Python"),
        ("  two\n\n lines\t here ", "two lines here"),
        ("a\u2028b\x07c", "a b c"),
        ("a" * 60, "a" * 60),
        ("a" * 61, "a" * 59 + "…"),
        ("a" * 58 + " bcd", "a" * 58 + "…"),
        ("字" * 10_000, "字" * 59 + "…"),
        ("a" + " " * 10_000 + "b", "a…"),
    ],
)
def test_one_line_of_at_most_sixty(text: str, title: str):
    """White space becomes one space; what is too long ends in an ellipsis that counts."""
    assert title_of(text) == title


@pytest.mark.parametrize("tail", ["e\u0301", "👩\u200d👩", "❤\ufe0f", "👍🏽", "🇩🇪", ENGLAND[:2]])
def test_no_character_is_cut_in_half(tail: str):
    """An accent or a joined emoji goes whole or not at all."""
    title = title_of("a" * 58 + tail + "bcd")

    assert title == "a" * 58 + "…"


def test_flags_are_cut_between_two() -> None:
    """Of many in a row, none is left with half of its country."""
    assert title_of("🇩🇪" * 40) == "🇩🇪" * 29 + "…"
    assert title_of("a" + "🇩🇪" * 40) == "a" + "🇩🇪" * 29 + "…"
    assert title_of("a" * 57 + ENGLAND + "b") == "a" * 57 + "…"


def test_nothing_but_accents_is_still_a_title():
    """A text in which no place to cut is good is cut all the same."""
    assert len(title_of("\u0301" * 100) or "") == MAX_LENGTH


@given(st.text(max_size=400))
def test_a_title_is_always_one_short_line(text: str):
    """Whatever is said, the title fits and holds no control character."""
    title = title_of(text)

    assert title is None or 0 < len(title) <= MAX_LENGTH
    assert title is None or not any(unicodedata.category(char) in ("Cc", "Zl") for char in title)
