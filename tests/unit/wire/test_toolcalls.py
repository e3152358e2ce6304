"""Tool calls out of pieces, by the rules of every server that bends them."""

import json
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.toolcalls import ToolCall, ToolCalls


def assembled(*deltas: Json) -> list[Json]:
    """The calls in the `tool_calls` of several deltas."""
    calls = ToolCalls()
    for delta in deltas:
        calls.add(delta)
    return calls.whole()


def call(identifier: str | None, name: str, arguments: str) -> JsonObject:
    """A whole function call."""
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def piece(
    index: int | None,
    identifier: str | None = None,
    name: str | None = None,
    arguments: Json = None,
) -> JsonObject:
    """A piece of a call, without what is None."""
    function = {"name": name, "arguments": arguments}
    fields: JsonObject = {"index": index, "id": identifier}
    return {key: value for key, value in fields.items() if value is not None} | {
        "function": {key: value for key, value in function.items() if value is not None}
    }


@pytest.mark.parametrize("delta", [None, [], {}, "x", 5, [None, 5, "x", []]])
def test_what_is_no_list_of_objects_adds_no_call(delta: Json) -> None:
    """Garbage in the place of tool calls is skipped."""
    assert assembled(delta) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"index": 0, "function": None},
        {"index": 0, "function": "x"},
        {"index": 0, "function": {"name": None, "arguments": None}},
        {"index": 0, "function": {"name": 5, "arguments": 5}},
        {"index": 0, "id": 5, "type": 5},
        {"index": 0},
    ],
)
def test_empty_pieces_add_nothing(odd: JsonObject) -> None:
    """Null, missing and mistyped fields leave a call as it is, before and after its pieces."""
    whole = [call("c", "f", "{}")]
    assert assembled([odd], [piece(0, "c", "f", "{}")], [odd]) == whole


def test_a_call_without_arguments_has_empty_ones() -> None:
    """Nothing at all is the empty text, and a missing id stays missing."""
    assert assembled([piece(0, None, "f")]) == [call(None, "f", "")]
    assert assembled([{"index": 0, "id": "", "function": {"name": "f"}}]) == [call(None, "f", "")]


def test_openai_streams_one_call_in_many_pieces() -> None:
    """The first piece names the call, the others bring its arguments."""
    deltas = [[piece(0, "c1", "weather", "")]]
    deltas += [[piece(0, arguments=text)] for text in ('{"ci', 'ty":"', '北京"}')]
    assert assembled(*deltas) == [call("c1", "weather", '{"city":"北京"}')]


def test_calls_are_sorted_by_index_which_may_skip() -> None:
    """Indexes may start at 1, skip and come in any order."""
    deltas = [[piece(5, "b", "g", "2"), piece(1, "a", "f", "1")], [piece(5, arguments="2")]]
    assert assembled(*deltas) == [call("a", "f", "1"), call("b", "g", "22")]


def test_repeated_ids_and_names_are_repeats() -> None:
    """Servers that send id, type and name in every piece do not get them doubled."""
    deltas = [[piece(0, "c", "f", "1") | {"type": "function"}]] * 3
    assert assembled(*deltas) == [call("c", "f", "111")]


def test_a_name_in_fragments_is_put_together() -> None:
    """True fragments are appended, a longer repeat replaces."""
    assert assembled([piece(0, "c", "get_")], [piece(0, None, "weather")]) == [
        call("c", "get_weather", "")
    ]
    assert assembled([piece(0, "c", "get_")], [piece(0, None, "get_weather")]) == [
        call("c", "get_weather", "")
    ]


def test_mistral_sends_whole_calls_without_index() -> None:
    """Several named calls in one delta are several calls."""
    delta = [piece(None, "a", "f", "{}"), piece(None, "b", "f", "{}")]
    assert assembled(delta) == [call("a", "f", "{}"), call("b", "f", "{}")]


def test_gemini_sends_neither_index_nor_id() -> None:
    """With empty ids a new name is a new call, and bare arguments go to the last one."""
    deltas = [
        [{"id": "", "function": {"name": "f", "arguments": "{}"}}],
        [{"id": "", "function": {"name": "g", "arguments": '{"a"'}}],
        [{"id": "", "function": {"arguments": ":1}"}}],
    ]
    assert assembled(*deltas) == [call(None, "f", "{}"), call(None, "g", '{"a":1}')]


@pytest.mark.parametrize("identifier", ["", None])
@pytest.mark.parametrize("is_text", [True, False])
def test_gemini_calls_one_tool_twice_under_one_index(
    identifier: str | None, *, is_text: bool
) -> None:
    """Calls that come whole are as many, however they are spread over deltas."""
    texts = ('{"city":"Paris"}', '{"city":"London"}', "{}")
    arguments: list[Json] = list(texts) if is_text else [json.loads(text) for text in texts]
    pieces: list[Json] = [piece(0, identifier, "weather", value) for value in arguments]
    calls = [call(None, "weather", text) for text in texts]
    assert assembled(*[[one] for one in pieces]) == calls
    assert assembled(pieces) == calls


@pytest.mark.parametrize(
    "texts",
    [
        ("", "{}"),
        ("{}", ""),
        ('{"a":', "{}", "}"),
        ('{"a":[{}', ",{}", "]}"),
        ("1", "{}"),
        ("{}", "\n"),
    ],
)
def test_a_name_in_every_piece_of_a_call_begins_no_other(texts: tuple[str, ...]) -> None:
    """Only what is whole is another call: a part of arguments may look like an object."""
    deltas: list[Json] = [[piece(0, None, "f", text)] for text in texts]
    assert assembled(*deltas) == [call(None, "f", "".join(texts))]


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize(("early", "late"), [("c", None), (None, "c"), ("c", "c")])
def test_a_name_may_come_behind_arguments(
    index: int | None, early: str | None, late: str | None
) -> None:
    """Kimi and others begin with an id, or with nothing but a part of the arguments."""
    deltas = [[piece(index, early, None, '{"a"')], [piece(index, late, "f", ":")]]
    deltas += [[piece(index, None, None, "1}")]]
    assert assembled(*deltas) == [call("c", "f", '{"a":1}')]


def test_kimi_sends_pieces_in_the_order_of_the_calls() -> None:
    """Where no piece says whose it is, there is one for each call; a lone one is the last's."""
    deltas: list[Json] = [
        [piece(None, "w_0", "weather", ""), piece(None, "t_1", "time", "")],
        [piece(None, None, None, '{"city"'), piece(None, None, None, '{"zone"')],
        [piece(None, None, None, ':"Paris"}'), piece(None, None, None, ":")],
        [piece(None, None, None, '"UTC"}')],
    ]
    calls = [call("w_0", "weather", '{"city":"Paris"}'), call("t_1", "time", '{"zone":"UTC"}')]
    assert assembled(*deltas) == calls
    mixed: list[Json] = [
        [piece(None, "w_0", "weather", "{}")],
        [piece(None, "t_1", "time", "{"), piece(None, None, None, "}")],
    ]
    assert assembled(*mixed) == [call("w_0", "weather", "{}"), call("t_1", "time", "{}")]


def test_tgi_sends_a_call_where_a_list_should_be() -> None:
    """The pieces of the one call are put together as those in lists are."""
    deltas = [piece(0, "", "weather", '{"city"'), piece(0, "", None, ':"Paris"}')]
    assert assembled(*deltas) == [call(None, "weather", '{"city":"Paris"}')]


def test_a_known_id_without_index_goes_on_with_its_call() -> None:
    """An id is enough to find the call, also when another one began since."""
    deltas = [
        [piece(None, "a", "f", "1")],
        [piece(None, "b", "g", "2")],
        [piece(None, "a", None, "1")],
    ]
    assert assembled(*deltas) == [call("a", "f", "11"), call("b", "g", "2")]


def test_cerebras_sends_index_0_for_every_call() -> None:
    """Another id with a name under the same index is another call; later pieces go to it."""
    deltas = [
        [piece(0, "a", "f", "{}")],
        [piece(0, "b", "g", "{")],
        [piece(0, None, None, "}")],
        [piece(0, "a", "f", " ")],
    ]
    assert assembled(*deltas) == [call("a", "f", "{} "), call("b", "g", "{}")]


def test_a_changing_id_without_a_name_is_the_same_call() -> None:
    """Some servers make up a new id for each piece; the first one stays."""
    deltas = [[piece(0, "a", "f", "{")], [piece(0, "z", None, "}")]]
    assert assembled(*deltas) == [call("a", "f", "{}")]


def test_a_new_name_after_arguments_under_the_same_index_is_another_call() -> None:
    """Without ids the only sign of a new call is that a name comes after arguments."""
    deltas = [[piece(0, None, "f", "{}")], [piece(0, None, "g", "{}")]]
    assert assembled(*deltas) == [call(None, "f", "{}"), call(None, "g", "{}")]


@pytest.mark.parametrize("index", [None, 0])
def test_a_model_may_call_tools_without_end(index: int | None) -> None:
    """Each piece finds its call at once: the time grows with the calls, not with their square."""
    pieces = [[piece(index, f"call_{n}", "f", "{}")] for n in range(10_000)]
    began = process_time()
    whole = assembled(*pieces)
    assert process_time() - began < 0.6
    assert whole == [call(f"call_{n}", "f", "{}") for n in range(10_000)]


@pytest.mark.parametrize("value", [{"a": [1]}, [1, 2]])
def test_arguments_that_are_no_text_become_their_json(value: Json) -> None:
    """Servers that send an object send it whole, and again if they repeat it."""
    expected = '{"a":[1]}' if isinstance(value, dict) else "[1,2]"
    deltas = [[piece(0, "c", "f", value)]] * 2
    assert assembled(*deltas) == [call("c", "f", expected)]


def test_custom_tools_keep_their_form() -> None:
    """A custom call has an input, and its type follows from its shape when it is not said."""
    deltas: list[Json] = [
        [{"index": 0, "id": "c", "custom": {"name": "shell", "input": "l"}}],
        [{"index": 0, "custom": {"input": "s"}}],
    ]
    custom = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    assert assembled(*deltas) == [custom]


def test_unknown_fields_and_kinds_of_a_call_are_kept() -> None:
    """Thought signatures and the like survive, on the call and in its function."""
    signed = {"google": {"thought_signature": "s"}}
    delta: Json = [
        {
            "index": 0,
            "id": "c",
            "extra_content": signed,
            "function": {"name": "f", "arguments": "{}", "strict": True, "x": None},
        },
        {"index": 1, "id": "d", "type": "web_search", "query": "q"},
    ]
    [first, second] = assembled(delta)
    function = {"name": "f", "arguments": "{}", "strict": True}
    assert first == {"id": "c", "type": "function", "function": function, "extra_content": signed}
    assert second == {"id": "d", "type": "web_search", "query": "q"}


def test_a_legacy_function_call_is_a_body_alone() -> None:
    """The body of a call can be put together without the rest."""
    legacy = ToolCall()
    for body in ({"name": "f"}, {"arguments": '{"a"'}, {"name": None, "arguments": ":1}"}):
        legacy.add_body(body)
    assert legacy.body() == {"name": "f", "arguments": '{"a":1}'}


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_calls_may_be_interleaved_at_will(texts: list[str], order: object) -> None:
    """Whatever the order of pieces of different calls, each call gets its own in theirs."""
    queues = [
        [piece(index, f"id{index}", f"f{index}")]
        + [piece(index, None, None, character) for character in text]
        for index, text in enumerate(texts)
    ]
    deltas = []
    while any(queues):
        queue = order.choice([queue for queue in queues if queue])  # type: ignore[attr-defined]
        deltas.append([queue.pop(0)])
    assert assembled(*deltas) == [
        call(f"id{index}", f"f{index}", text) for index, text in enumerate(texts)
    ]
