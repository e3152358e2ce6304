"""When two messages are the same: what does not count, what does, and values for ever."""

import json
from hashlib import blake2b
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.identity import (
    LONG,
    ROOT_CHAIN,
    chain,
    chains,
    identities_of,
    identity,
    identity_of_any,
    is_instruction,
)

IMAGE: Final[JsonObject] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
WHITE_SPACE = st.text(" \t\n\r\v\f\x85\xa0\u2003\u2028\u3000", max_size=3)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)


def user(content: Json, **fields: Json) -> JsonObject:
    """A message of the user."""
    return {"role": "user", "content": content, **fields}


def said(content: Json) -> JsonObject:
    """A message of the assistant."""
    return {"role": "assistant", "content": content}


def text(words: Json, **fields: Json) -> JsonObject:
    """A text part."""
    return {"type": "text", "text": words, **fields}


def call(arguments: Json, **fields: Json) -> JsonObject:
    """A message of the assistant with one tool call."""
    tool_call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call | fields]}


def custom(text: str) -> JsonObject:
    """A message of the assistant with one call of a custom tool."""
    tool_call: JsonObject = {"id": "c", "type": "custom", "custom": {"name": "f", "input": text}}
    return {"role": "assistant", "tool_calls": [tool_call]}


DIFFERENT: list[JsonObject] = [
    {},
    {"role": "user"},
    user("a"),
    user("b"),
    user("A"),
    user("a b"),
    user("a  b"),
    user("user"),
    {"role": "assistant", "content": "a"},
    {"role": "system", "content": "a"},
    {"role": "developer", "content": "a"},
    {"role": "usera", "content": ""},
    {"role": "tool", "content": "a"},
    {"role": "tool", "content": "a", "tool_call_id": "1"},
    {"role": "tool", "content": "a", "tool_call_id": "2"},
    user("a", name="Ann"),
    user("a", name="Bob"),
    user("a", name="assistant"),
    user("a", name="MiniMax AI"),
    said("a") | {"name": "Bob"},
    user([text("a"), IMAGE]),
    user([text("a"), IMAGE, IMAGE]),
    user([IMAGE]),
    user([{"type": "image_url", "image_url": {"url": "https://x"}}]),
    user([{"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}}]),
    user([{"type": "file", "file": {"file_id": "1"}}, IMAGE]),
    user([IMAGE, {"type": "file", "file": {"file_id": "1"}}]),
    user(5),
    user(["a", 5]),
    user([text(5)]),
    call("{}"),
    call('{"a":1}'),
    call('{"a":2}'),
    call('{"a":"1"}'),
    call('{"a":true}'),
    call('{"a":[1,2]}'),
    call('{"a":[2,1]}'),
    call('{"a":1'),
    call('{"a": 1'),
    call("null"),
    call("{}", id="d"),
    call("{}", function={"name": "g", "arguments": "{}"}),
    call("{}", type="odd"),
    custom("{}"),
    custom("{ }"),
    {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
    {"role": "assistant", "content": "x", "tool_calls": call("{}")["tool_calls"]},
    {"role": "assistant", "refusal": "no"},
    {"role": "assistant", "audio": {"id": "1"}},
    {"role": "assistant", "audio": {"id": "2"}},
    said("<think>a</think>"),
    said("<think>b</think>"),
    said("<think>a"),
    said("Between <think> and </think> it thinks."),
    said("Between <think> and </think> it speaks."),
    user("<think>a</think>a"),
    user("<think>b</think>a"),
]


def test_messages_that_say_something_else_are_different() -> None:
    """Role, text, parts, tool calls, ids and names: each difference counts."""
    seen: dict[int, JsonObject] = {}
    for message in DIFFERENT:
        number = identity(message)
        assert number not in seen, (message, seen.get(number))
        seen[number] = message


SAME: list[tuple[JsonObject, JsonObject]] = [
    (user("a"), user(" \n a\r\n\u3000")),
    (user("a"), user([text("a")])),
    (user("a b"), user([text("a"), text(" b ")])),
    (user("ab"), user(["a", "b"])),
    (user("a"), user([{"type": "input_text", "text": "a"}])),
    (user("a"), user([{"type": "output_text", "text": "a", "annotations": []}])),
    (user("a"), user([text("a", cache_control={"type": "ephemeral"})])),
    (user("a"), user([text("a", prompt_cache_breakpoint=True)])),
    (user("a"), user("a", cache_control={"type": "ephemeral"})),
    (user([IMAGE]), user([IMAGE | {"cache_control": {"type": "ephemeral"}}])),
    (user([IMAGE]), user([dict(reversed(IMAGE.items()))])),
    (user([text("a"), IMAGE]), user([IMAGE, text("a")])),
    (user(""), user(None)),
    (user(""), user([])),
    (user(""), {"role": "user"}),
    (user(""), user([text("")])),
    (user("a"), user("a", name=None, tool_call_id=None)),
    (user("a"), user("a", name="", tool_calls=[])),
    (said("a"), said("a") | {"name": "assistant"}),
    (said("a"), said("a") | {"name": "MiniMax AI", "audio_content": ""}),
    (call("{}"), call("{}") | {"name": "MiniMax AI"}),
    (user("a"), user("a", refusal=None, annotations=[], audio=None, function_call=None)),
    (user("a"), user("a", tool_calls=None, reasoning="r", reasoning_content="r", odd={"x": 1})),
    (user("a"), user("a", refusal="also")),
    (user("a"), user("a", audio={"id": "1"})),
    (user("a"), user([{"type": "thinking", "thinking": [text("hm")]}, text("a")])),
    (said("a"), said([{"type": "reasoning", "summary": [text("hm")]}, text("a")])),
    (user(None, refusal="no"), user([{"type": "refusal", "refusal": " no"}])),
    (user(None, refusal="no"), user("no")),
    (
        user(None, audio={"id": "1", "data": "x", "transcript": "t"}),
        {"role": "user", "audio": {"id": "1"}},
    ),
    (call('{"a":1,"b":[1.0]}'), call(' { "b" : [1], "a" : 1.0 } ')),
    (call('{"a":"\\u4f60"}'), call('{"a":"你"}')),
    (user("cut \ud83d"), user("cut \ufffd")),
    (user("a", name="n\ud83d😀"), user("a", name="n\ufffd😀")),
    (call('{"a":"\\ud83d"}'), call('{"a":"\ufffd"}')),
    (call('{"a":1}'), call({"a": 1})),
    (call("{}"), call(None)),
    (call("{}"), call(" ")),
    (call("{}"), call({})),
    (call("{}"), call("{}", type=None)),
    (call("{}"), call("{}", index=0, extra_content={"x": 1})),
    (call("{}", id=""), call("{}", id=None)),
    (
        custom("ls"),
        {"role": "assistant", "tool_calls": [{"id": "c", "custom": {"input": "ls", "name": "f"}}]},
    ),
    (
        {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {
            "role": "assistant",
            "content": "",
            "function_call": {"arguments": '{"a":1}', "name": "f"},
        },
    ),
    ({"role": None, "content": "a"}, {"content": "a"}),
    (said("<think>\nHm.\n</think>\n\nYes."), said("Yes.")),
    (said("Hm.</think> Yes."), said("Yes.")),
    (said([text("<think>Hm.</think>"), text("Yes.")]), said("Yes.")),
    (said("<think>a</think>b</think>"), said("<think>c</think>b</think>")),
    (call("{}") | {"content": "<think>Hm.</think>"}, call("{}")),
    (call("{}") | {"content": "<think>Hm.</think>Yes."}, call("{}") | {"content": "Yes."}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_clients_change_when_they_resend_does_not_count(
    one: JsonObject, other: JsonObject
) -> None:
    """Outer white space, parts for a string, marks, nulls, and arguments written anew."""
    assert identity(one) == identity(other)


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_texts_count_but_for_outer_white_space(one: str, other: str) -> None:
    """Different words are different messages."""
    assume(one.strip() != other.strip())
    assert identity(user(one)) != identity(user(other))


@given(TEXTS, WHITE_SPACE, WHITE_SPACE, st.lists(st.integers(0, 12), max_size=3))
@settings(deadline=None)
def test_however_a_text_is_cut_and_padded_it_is_the_same(
    words: str, before: str, after: str, cuts: list[int]
) -> None:
    """Parts are joined with nothing between them, and white space around them is ignored."""
    places = [0, *sorted(min(cut, len(words)) for cut in cuts), len(words)]
    parts: list[Json] = [text(words[a:b]) for a, b in pairwise(places)]
    assert identity(user([text(before), *parts, text(after)])) == identity(user(words))


@given(JSON_VALUES, JSON_VALUES)
@settings(deadline=None)
def test_arguments_are_compared_as_values(one: Json, other: Json) -> None:
    """The same value written in another way is the same call; another value is not."""
    loose = json.dumps(one, indent=2, ensure_ascii=True)
    tight = json.dumps(one, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    assert identity(call(loose)) == identity(call(tight))
    if one != other:
        assert identity(call(loose)) != identity(call(json.dumps(other)))


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "role",
                "content",
                "name",
                "tool_call_id",
                "tool_calls",
                "function_call",
                "audio",
                "refusal",
            ]
        ),
        JSON_VALUES
        | st.lists(
            st.dictionaries(
                st.sampled_from(["type", "text", "id", "function", "custom", "refusal"]),
                JSON_VALUES,
            )
        ),
    )
)
@settings(deadline=None, max_examples=300)
def test_any_object_has_an_identity(message: JsonObject) -> None:
    """Whatever stands where, a number of 64 bits comes out, the same each time."""
    number = identity(message)
    assert -(2**63) <= number < 2**63
    assert identity(json.loads(json.dumps(message))) == number


def test_a_chain_tells_the_order() -> None:
    """A path's chain depends on each message and on its place, and fits into 64 bits."""
    a, b = identity(user("a")), identity(user("b"))
    chains = {
        ROOT_CHAIN,
        chain(ROOT_CHAIN, a),
        chain(ROOT_CHAIN, b),
        chain(chain(ROOT_CHAIN, a), b),
        chain(chain(ROOT_CHAIN, b), a),
        chain(chain(ROOT_CHAIN, a), a),
    }
    assert len(chains) == 6
    assert all(-(2**63) <= value < 2**63 for value in chains)
    assert chain(-(2**63), 2**63 - 1) == chain(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("role", "expected"),
    [("system", True), ("developer", True), ("user", False), ("tool", False), ("", False)],
)
def test_instructions_are_said_to_the_model(role: str, expected: bool) -> None:
    """Only system and developer messages stand outside the talk."""
    assert is_instruction(role) is expected


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ({}, -2823558252907504732),
        (user("Hello"), 3067279125864816447),
        (user("你好 \ud83d"), -6052108296584483494),
        (user([text("look: "), IMAGE]), 5922108462250102237),
        (call('{"city": "Beijing", "n": 1.50, "d": 2.0}'), -3241240757631842647),
        (custom("ls"), -4953611018558057661),
        (
            {"role": "tool", "content": "sunny", "tool_call_id": "c1", "name": "w"},
            -8275186247971445144,
        ),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{"}},
            -342175723546080804,
        ),
        ({"role": "assistant", "content": None, "refusal": "No."}, -1430007385925757915),
        ({"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, -4656797516124828730),
    ],
)
def test_identities_are_what_they_were(message: JsonObject, number: int) -> None:
    """The numbers are stored: a change here would store every resent message a second time."""
    assert identity(message) == number


def test_chains_are_what_they_were() -> None:
    """Chains are stored as well."""
    assert chain(ROOT_CHAIN, 1) == -4744327617648345214
    assert chain(-5, -1) == 5650824888532959339


@given(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "", "\ud83d", None, 5])},
        optional={
            "content": TEXTS
            | st.none()
            | WHITE_SPACE
            | st.just([text("a"), IMAGE])
            | st.lists(st.sampled_from(["<think>", "</think>", "a", " "])).map("".join),
            "name": st.sampled_from(["Ann", "", None]),
            "tool_call_id": st.sampled_from(["c", "", None]),
            "tool_calls": st.sampled_from([call("{}")["tool_calls"], [], None]),
            "function_call": st.sampled_from([{"name": "f"}, None]),
            "refusal": st.sampled_from(["no", "", None]),
            "audio": st.sampled_from([{"id": "1"}, None]),
            "odd": JSON_VALUES,
        },
    )
)
@settings(deadline=None, max_examples=300)
def test_the_shortcuts_give_what_the_rules_give(message: JsonObject) -> None:
    """Plain messages are told apart by a shorter way, which is no other way."""
    assert identity(message) == identity_of_any(message)
    assert identities_of([message, user("a"), message]) == [
        identity_of_any(one) for one in (message, user("a"), message)
    ]


@pytest.mark.parametrize("size", [LONG - 1, LONG, LONG + 1, 2 * LONG + 7])
def test_a_long_text_has_the_number_that_it_would_have_in_one_piece(size: int) -> None:
    """It is hashed piece by piece, also where half a character stands at the edge of a piece."""
    words = ("é你\ud83d" * (size // 3 + 1))[:size]
    framed = f"4:user{len(words)}:{words}".replace("\ud83d", "\ufffd").encode()
    digest = blake2b(framed, digest_size=8).digest()

    assert identity(user(words)) == int.from_bytes(digest, "big", signed=True)
    assert identities_of([user(words)]) == [identity(user(words))]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8))
def test_chains_are_made_step_by_step(numbers: list[int]) -> None:
    """The chain after each message is the one before it and the message."""
    reached, expected = ROOT_CHAIN, []
    for number in numbers:
        reached = chain(reached, number)
        expected.append(reached)

    assert list(chains(numbers)) == expected
