"""Splitting JSON: any text, any cuts, any damage."""

import json
from collections import deque
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.formats.reading.splitter import (
    CutOff,
    NotSplittable,
    Piece,
    Splitter,
    line_shapes,
    members,
    split,
)

TEXTS = st.text(alphabet=st.sampled_from('ab"\\[]{},: \n\t中😀'), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([None, 0, 2])
CUTS = st.lists(st.integers(0, 10_000), max_size=12)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """*data* cut at *cuts*."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def pieces(data: bytes, *, limit: int = 10**6, into: str | None = None) -> list[Piece]:
    """What *data* is split into."""
    return list(split([data], limit=limit, into=into))


@given(items=st.lists(VALUES, max_size=6), indent=LAYOUTS, ascii_only=st.booleans(), cuts=CUTS)
def test_elements_of_an_array(
    items: list[Any], indent: int | None, ascii_only: bool, cuts: list[int]
) -> None:
    """However a text is cut and laid out, each element comes once, whole and in order."""
    data = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode()

    found = list(split(in_pieces(data, cuts), limit=10**6))

    assert [json.loads(piece.data or b"") for piece in found] == items
    assert all(piece.is_item and piece.key is None for piece in found)


@given(
    before=st.dictionaries(TEXTS, VALUES, max_size=3),
    items=st.lists(VALUES, max_size=4),
    after=VALUES,
    indent=LAYOUTS,
    cuts=CUTS,
)
def test_members_and_the_array_gone_into(
    before: dict[str, Any], items: list[Any], after: Any, indent: int | None, cuts: list[int]
) -> None:
    """An object gives its members, and of the array asked for each element by itself."""
    value = {**before, "list": items, "end": after}
    data = json.dumps(value, indent=indent, ensure_ascii=False).encode()

    found = list(split(in_pieces(data, cuts), limit=10**6, into="list"))

    told = [json.loads(piece.data or b"") for piece in found if piece.is_item]
    others = {p.key: json.loads(p.data) for p in found if not p.is_item and p.data}
    assert told == items
    assert others == {**before, "end": after}
    assert Piece("list", b"", is_item=False) in found


@given(data=st.binary(max_size=60) | TEXTS.map(str.encode), cuts=CUTS)
def test_any_bytes_give_pieces_or_a_reason(data: bytes, cuts: list[int]) -> None:
    """Whatever comes, there is no other failure than the two that are documented."""
    try:
        found = list(split(in_pieces(b"[" + data, cuts), limit=10**6, into="a"))
    except (CutOff, NotSplittable):
        return
    assert all(piece.is_item for piece in found)


@given(items=st.lists(VALUES, min_size=1, max_size=4), cut=st.integers(0, 10_000))
def test_a_text_that_breaks_off_keeps_what_was_whole(items: list[Any], cut: int) -> None:
    """A text cut anywhere gives the elements that a comma ended, and says that it is cut."""
    data = json.dumps(items).encode()
    splitter = Splitter(limit=10**6)

    found = list(splitter.feed(data[: cut % len(data)]))

    told = [json.loads(piece.data or b"") for piece in found]
    assert told == items[: len(told)]
    assert not splitter.is_whole


@pytest.mark.parametrize("text", [b"1", b'"a"', b"null", b"x", b"}", b"[1] x", b"[1][2]", b"{} []"])
def test_other_texts_are_refused(text: bytes) -> None:
    """A scalar, plain text, and anything behind the end are no text to split."""
    with pytest.raises(NotSplittable):
        pieces(text)


@pytest.mark.parametrize("text", [b"", b"  ", b"[", b"[1", b'["a', b'["a\\', b"[1,", b'{"a": [1]'])
def test_what_does_not_end_is_cut_off(text: bytes) -> None:
    """A text without its last bracket says so."""
    with pytest.raises(CutOff):
        pieces(text)


def test_a_broken_element_hides_no_other() -> None:
    """An element that is no JSON comes as it is, and the next one after it."""
    assert [p.data for p in pieces(b'[{"a": nonsense}, 1 2, , {"b": 1}]')] == [
        b'{"a": nonsense}',
        b"1 2",
        b"",
        b'{"b": 1}',
    ]


def test_escapes_before_a_quote_are_counted() -> None:
    """A quote ends a string unless an odd number of backslashes stands before it."""
    items = ["\\", "\\\\", '\\"', '"', '"\\', "a\\b", '\\\\"', "]", '"]"']

    found = pieces(json.dumps(items).encode())

    assert [json.loads(piece.data or b"") for piece in found] == items


@pytest.mark.parametrize("chunk", [7, 1000, 10**6])
def test_an_element_over_the_limit_is_left_out(chunk: int) -> None:
    """What is too long is told without its text, and what follows it comes whole."""
    data = json.dumps(["a" * 50, ["b" * 20] * 100, {"c": 1}]).encode()
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]

    found = list(split(chunks, limit=100))

    assert [piece.data for piece in found] == [b'"' + b"a" * 50 + b'"', None, b'{"c": 1}']


def test_an_element_over_the_limit_takes_no_memory() -> None:
    """Of an element far over the limit no more than one piece is kept."""
    splitter = Splitter(limit=1000)
    list(splitter.feed(b'["'))

    for _ in range(50):
        list(splitter.feed(b"x" * 300_000))

    assert len(splitter._buffer) < 300_000


def test_a_member_over_the_limit_is_left_out() -> None:
    """A member that is too long has neither name nor text."""
    found = pieces(b'{"a": "' + b"x" * 200 + b'", "b": 1}', limit=100)

    assert found == [Piece(None, None, is_item=False), Piece("b", b"1", is_item=False)]


def test_members_of_an_object() -> None:
    """Of a repeated member the last one counts; the array apart is only named."""
    text = b'{"a": 1, "a": 2, "m": [1, [2]], "n": {"m": [3]}}'

    assert members(text, apart="m") == {"a": b"2", "m": b"", "n": b'{"m": [3]}'}
    with pytest.raises(NotSplittable):
        members(b"[1]")


@given(cuts=CUTS)
def test_the_shapes_of_lines(cuts: list[int]) -> None:
    """Each line that is not blank is whole or not, whatever the pieces."""
    data = b'{"a": "}"}\r\n\n {"b": 1\n{} {}\n1\n  [2] \n'

    shapes = [(one.is_whole, one.last) for one in line_shapes(in_pieces(data, cuts))]

    assert shapes == [(True, b"}"), (False, b"1"), (False, b"}"), (False, b"1"), (True, b"]")]


def test_the_shape_of_a_line_is_told_once_it_ends() -> None:
    """However long a line is, no more is read than needed, and nothing of it is kept."""
    pieces = iter([b'{"a": "', *[b"x" * 1000] * 50, b'"}\n{}\n', b"never read"])

    assert next(line_shapes(pieces)).is_whole
    assert next(pieces) == b"never read"


@pytest.mark.parametrize(
    "unit", [b'"', b'\\"', b'"\\', b"[", b'"a",', b'"\\\\",', b'"\\\\\\"",', b"{}", b" ", b","]
)
def test_time_grows_with_length_only(unit: bytes) -> None:
    """Ten times the text takes nowhere near a hundred times as long."""

    def seconds(count: int) -> float:
        splitter = Splitter(limit=10**9)
        began = process_time()
        for piece in (b"[", *[unit * (30_000 // len(unit))] * count):
            deque(splitter.feed(piece), maxlen=0)
        return process_time() - began

    assert seconds(10) < 50 * max(seconds(1), 0.001)
