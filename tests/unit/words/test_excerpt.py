"""Short pieces around what was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.words.excerpt import ELLIPSIS, LENGTH, excerpt
from officeai_proxy.words.query import Query


def test_nothing_found() -> None:
    """Without a find it is the beginning."""
    assert excerpt("a" * 500, []).text == "a" * LENGTH + ELLIPSIS
    assert excerpt("", []).text == ""


def test_a_short_text_is_whole() -> None:
    """What fits is shown whole, on one line, without an ellipsis."""
    shown = excerpt("one\ntwo\u2028three\x1b[1m", [(4, 7)])

    assert shown.text == "one two three [1m"
    assert shown.highlights == ((4, 7),)


@pytest.mark.parametrize("filler", ["word ", "数据，", "e\u0301"])
def test_a_find_far_away_is_shown(filler: str) -> None:
    """The piece is around the first find, and says that something was left out on both sides."""
    content = filler * 200 + " needle " + filler * 200

    shown = excerpt(content, Query.of("needle").highlights(content))

    assert shown.text[0] == shown.text[-1] == ELLIPSIS
    [(start, end)] = shown.highlights
    assert shown.text[start:end] == "needle"
    assert len(shown.text) <= LENGTH + 2
    assert shown.text[1] != "\u0301"


def test_finds_outside_are_left_out() -> None:
    """Only finds inside the piece are told, and one at its end is cut with it."""
    content = "needle " * 100

    shown = excerpt(content, Query.of("needle").highlights(content))

    assert all(shown.text[start:end] == "needle"[: end - start] for start, end in shown.highlights)
    assert 10 < len(shown.highlights) < 30


@given(st.text(max_size=400), st.integers(0, 399), st.integers(1, 20))
def test_highlights_always_fit(content: str, start: int, length: int) -> None:
    """The first find is inside the piece, whatever the text is."""
    end = min(len(content), start + length)
    if start >= end:
        return

    shown = excerpt(content, [(start, end)])

    (begin, stop), *_ = shown.highlights
    assert 0 <= begin < stop <= len(shown.text)
