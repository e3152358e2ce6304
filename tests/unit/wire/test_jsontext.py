"""JSON text: what is refused, what survives, what a database can hold."""

import json
import sys

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json
from officeai_proxy.wire.jsontext import (
    MAX_DEPTH,
    dumps,
    dumps_readable,
    has_long_number,
    loads,
    loads_all,
    readable,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
NAMES = st.text(max_size=20)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(NAMES, children, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        "\ufeff{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b"1" * 5000,
        b"[" + b"9" * 5000 + b"]",
        b'{"a": 1} x',
        b"{'a': 1}",
        b'"\x00"',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_is_not_json_is_refused_with_a_value_error(data: bytes | str) -> None:
    """NaN, other encodings, absurd numbers and absurd nesting are all ValueErrors."""
    with pytest.raises(ValueError, match=r".+"):
        loads(data)


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_nesting_is_limited_exactly(bracket: str) -> None:
    """The deepest allowed nesting is read and written; one level more is refused."""
    opened = "[" if bracket == "[]" else '{"a":'
    closed = bracket[1]

    def nested(depth: int) -> str:
        return opened * (depth - 1) + bracket + closed * (depth - 1)

    assert dumps(loads(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="nested deeper"):
        loads(nested(MAX_DEPTH + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """Width is no depth, and brackets inside strings are neither."""
    wide = [[] for _ in range(3 * MAX_DEPTH)]
    assert loads(json.dumps(wide)) == wide
    assert loads(json.dumps("[{" * 3 * MAX_DEPTH)) == "[{" * 3 * MAX_DEPTH


def test_writing_what_is_nested_too_deeply_is_a_value_error() -> None:
    """A value that no `loads` gave is refused, not a crash of the interpreter's stack."""
    value: list[Json] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        dumps(value)
    while value:  # Taken apart by hand: freeing it at once would recurse as deeply.
        value = value.pop()  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('{"seed":-9223372036854775809}', {"seed": -9223372036854775809}),
        ("18446744073709551615", 18446744073709551615),
        ("[1.0,1,1e22]", [1.0, 1, 1e22]),
        (r'"\ud83d"', "\ud83d"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\u0000"', "\0"),
        ('{"a":1,"a":2}', {"a": 2}),
        (" \r\n\t{} ", {}),
    ],
)
def test_unusual_json_is_read_exactly(text: str, value: Json) -> None:
    """Long integers stay integers and lone surrogates stay themselves, from bytes and from text."""
    for read in (loads(text), loads(text.encode())):
        assert read == value
        assert repr(read) == repr(value)


def test_the_look_for_long_integers_can_be_done_once_for_all() -> None:
    """With `exact` given, the text is not searched, and a long integer is read as told."""
    assert has_long_number(b'{"id": 12345678901234567890123}')
    assert has_long_number("12345678901234567890123")
    assert not has_long_number(b'{"id": 123456789012345678, "x": 123456789012345678}')
    assert isinstance(loads("12345678901234567890123", exact=True), int)
    assert isinstance(loads("12345678901234567890123", exact=False), float)


@given(JSON_VALUES)
@settings(deadline=None)
def test_every_value_survives_being_written_and_read(value: Json) -> None:
    """`loads` gives back what `dumps` wrote, with the types of its numbers."""
    text = dumps(value)
    assert repr(loads(text)) == repr(value)
    assert repr(loads(text.encode())) == repr(value)


@pytest.mark.parametrize(
    "text", [b'{"k\\ud83d": [{"\\uDC00k": 1}], "\\ud83d\\ude00": "\\ud800"}', '{"k\ud83d": 1}']
)
def test_half_a_character_in_a_name_is_replaced(text: bytes | str) -> None:
    """In a text it stays, and two halves that belong together are one character."""
    whole = {"k\ufffd": [{"\ufffdk": 1}], "\U0001f600": "\ud800"}
    assert loads(text) == (whole if isinstance(text, bytes) else {"k\ufffd": 1})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("emoji cut here \ud83d", '"emoji cut here \ufffd"'),
        ("\udc00 \ud83d\ud83d", '"\ufffd \ufffd\ufffd"'),
        (["\ud800", "😀"], '["\ufffd","😀"]'),
        (["\ud800", r"\ud83d \\\ud83d"], '["\ufffd",' + r'"\\ud83d \\\\\\ud83d"]'),
        (["\ud800", 2**70], rf'["\ufffd",{2**70}]'),
    ],
)
def test_strict_readers_take_what_leaves(value: Json, text: str) -> None:
    """Half a pair becomes U+FFFD; a pair stays one, and so does text that looks like an escape.

    What is read of it and written again is the same text.
    """
    assert dumps_readable(value) == readable(dumps(value)) == dumps(loads(text)) == text


@given(JSON_VALUES)
@settings(deadline=None)
def test_what_leaves_is_json_for_orjson(value: Json) -> None:
    """Whatever is in a text, it is read, and nothing but half a pair is different."""
    text = dumps_readable(value)
    orjson.loads(text)
    whole = dumps(value)
    if r"\ud" not in whole:
        assert text == readable(whole) == whole


@given(JSON_VALUES)
@settings(deadline=None)
def test_written_json_fits_into_any_database(value: Json) -> None:
    """No NUL and no lone surrogate stands in the text as such."""
    assert "\0" not in dumps(value)
    dumps(value).encode()


@given(st.binary(max_size=40) | ANY_TEXT)
@settings(deadline=None)
def test_any_input_is_read_or_is_a_value_error(data: bytes | str) -> None:
    """Nothing but a ValueError comes out, and nothing is accepted that Python refuses."""
    try:
        value = loads(data)
    except ValueError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize("text", [b"[1e400, -1e999]", b"[1e400, -1e999, 18446744073709551616]"])
def test_numbers_beyond_the_range_of_a_float_are_json(text: bytes) -> None:
    """Where JSON has a number and Python none, the largest float stands for it."""
    value = loads(text)

    assert isinstance(value, list)
    assert value[:2] == [sys.float_info.max, -sys.float_info.max]
    assert loads(dumps(value)) == value


@given(
    st.binary(max_size=60).map(lambda noise: noise.replace(b"9", b"x")),
    st.integers(0, 60),
    st.integers(15, 25),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_a_long_number_is_found_wherever_it_stands(
    noise: bytes, place: int, digits: int, repeats: int
) -> None:
    """Numbers with as many digits as 64 bits hold are looked at, whatever stands around them."""
    data = b"7777777 " * 5 * repeats + noise[:place] + b"9" * digits + noise[place:]
    naive = any(
        all(chr(byte).isdigit() and byte < 128 for byte in data[at : at + 19])
        for at in range(len(data) - 18)
    )

    assert has_long_number(data) is naive or (repeats and not naive)


@pytest.mark.parametrize("before", [0, 1, 65_520, 65_536, 1024 * 1024 - 10, 1024 * 1024])
def test_a_long_number_is_found_in_a_large_text(before: int) -> None:
    """A large text is looked through piece by piece, and no number falls between two of them."""
    assert has_long_number(b" " * before + b"1" * 19 + b" " * 70_000)
    assert not has_long_number((b"1" * 18 + b" ") * (before // 19 + 4000))


@given(st.lists(JSON_VALUES.map(json.dumps) | st.sampled_from(["", "{", "1,2", "]", "NaN"])))
@settings(deadline=None)
def test_many_texts_read_in_one_go_are_what_each_of_them_is(texts: list[str]) -> None:
    """When one of them is not JSON by itself, or needs more care, none is read like this."""
    values = loads_all(texts)

    try:
        each = [loads(text, exact=False) for text in texts]
    except ValueError:
        assert values is None
    else:
        assert values is None or json.dumps(values) == json.dumps(each)


def test_texts_that_make_up_for_each_other_are_not_read_in_one_go() -> None:
    """Two halves of a value and two values in one text are three values, and not those."""
    assert loads_all(['{"a":[1', "2]}", "3,4"]) is None
    assert loads_all(['["a"', '"b"]', '"c","d"']) is None
    assert loads_all(["1", "[2]", '"3"']) == [1, [2], "3"]
    assert loads_all([]) is None or loads_all([]) == []


def test_texts_that_may_be_deep_are_not_read_in_one_go() -> None:
    """How deep each of them is has to be looked at."""
    deep = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)

    assert loads_all(["1", deep]) is None


@pytest.mark.parametrize("said", ["[" * 70_000, '\\"[' * 60_000, "[" * 70_000 + "\\"])
def test_brackets_in_a_long_text_are_no_depth(said: str) -> None:
    """Where so many are looked at, no more than the beginning is looked at first."""
    assert loads(dumps([said])) == [said]


@pytest.mark.parametrize("wide", [0, 1, 5, 3 * MAX_DEPTH, 60_000])
def test_depth_is_found_beside_any_number_of_other_values(wide: int) -> None:
    """However many brackets there are elsewhere, 200 levels are read and 201 are refused."""
    beside = ",".join(['{"a":"]]}}"}'] * wide + ['"[[{{"'])
    for depth, is_read in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        deep = "[" * (depth - 1) + "]" * (depth - 1)
        for text in (f"[{beside},{deep}]", f"[{deep},{beside}]"):
            if is_read:
                assert loads(text) == json.loads(text)
            else:
                with pytest.raises(ValueError, match="nested deeper"):
                    loads(text)
