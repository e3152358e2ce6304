"""Fields beside a reply's text that come in pieces."""

from time import process_time

import pytest

from officeai_proxy.model import Json
from officeai_proxy.wire.extras import Extras, GrowingObject, ReasoningDetails


def merged(*values: Json, key: str = "x") -> Json:
    """One field out of its pieces."""
    extras = Extras()
    for value in values:
        extras.add(key, value)
    return extras.whole().get(key)


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([None], None),
        ([1, None], 1),
        ([1, 2.5, True], True),
        (["a", "b", "b"], "abb"),
        (["a", "a", "b", "a"], "aaba"),
        (["analysis", "analysis", "analysis"], "analysis"),
        ([""], ""),
        ([[1], [1, 2], [1]], [1, 1, 2, 1]),
        ([[1, 2], [1, 2]], [1, 2]),
        ([{"a": 1}, {"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
        ([1, {"b": 2}], {"b": 2}),
        ([1, [2]], [2]),
    ],
)
def test_unknown_fields_grow_or_are_replaced(values: list[Json], whole: Json) -> None:
    """Texts and lists grow unless they only repeat, objects merge, the last scalar counts."""
    assert merged(*values) == whole


def test_of_a_label_the_last_counts() -> None:
    """Groq says with each piece in which channel it is."""
    channels = ["analysis", "analysis", "commentary", "commentary", "final", "final"]
    assert merged(*channels, key="channel") == "final"


def test_lists_of_things_hold_each_thing_once() -> None:
    """Annotations and citations are sent again and again."""
    first, second = {"url": "a"}, {"url": "b"}
    assert merged([first], [first, second], [second], key="annotations") == [first, second]
    assert merged(["u1"], ["u1", "u2"], key="citations") == ["u1", "u2"]
    assert merged([], key="images") == []


def test_pieces_are_not_changed_in_place() -> None:
    """What came from the parser stays as it was."""
    piece: list[Json] = [1]
    assert merged(piece, [2, 3]) == [1, 2, 3]
    assert piece == [1]


def test_a_growing_object_appends_its_texts_only() -> None:
    """Of other fields the last value counts, and null or "" is no value."""
    audio = GrowingObject("transcript", "data")
    for piece in (
        {"id": "a", "transcript": "he"},
        {"id": None, "transcript": "llo", "data": "AA"},
        {"id": "", "data": "BB", "transcript": None},
        {"expires_at": 5, "transcript": ["odd"]},
        {"transcript": "!"},
    ):
        audio.add(piece)
    assert audio.whole() == {"id": "a", "transcript": "hello!", "data": "AABB", "expires_at": 5}


def test_reasoning_details_are_told_apart_by_index_and_type() -> None:
    """Items with an index may be interleaved; the texts of each grow."""
    details = ReasoningDetails()
    text = {"type": "reasoning.text", "index": 0}
    details.add(
        [text | {"text": "a", "format": None}, {"type": "reasoning.text", "index": 1, "text": "x"}]
    )
    details.add([text | {"text": "b", "signature": "s"}])
    details.add([{"type": "reasoning.encrypted", "index": 0, "data": "D"}])
    assert details.whole() == [
        text | {"text": "ab", "signature": "s"},
        {"type": "reasoning.text", "index": 1, "text": "x"},
        {"type": "reasoning.encrypted", "index": 0, "data": "D"},
    ]


def test_reasoning_details_without_index_go_on_with_the_last_item() -> None:
    """Only a neighbour of the same type is the same item."""
    details = ReasoningDetails()
    for kind, summary in (("s", "a"), ("s", "b"), ("t", "c"), ("s", "d")):
        details.add([{"type": kind, "summary": summary}])
    assert details.whole() == [
        {"type": "s", "summary": "ab"},
        {"type": "t", "summary": "c"},
        {"type": "s", "summary": "d"},
    ]


def test_reasoning_details_may_count_their_index_up_with_every_piece() -> None:
    """Each piece finds its item at once: the time grows with the items, not with their square."""
    items: list[Json] = [{"type": "t", "index": n, "text": "x"} for n in range(2000)]
    details = ReasoningDetails()
    began = process_time()
    for item in items:
        details.add([item])
    assert details.whole() == items
    assert process_time() - began < 0.5


@pytest.mark.parametrize("value", [None, {}, "x", [None, 5, "x"]])
def test_garbage_is_no_detail(value: Json) -> None:
    """What is not a list of objects is skipped."""
    details = ReasoningDetails()
    details.add(value)
    assert details.whole() == []
