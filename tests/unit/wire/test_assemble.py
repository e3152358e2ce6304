"""Choices out of chunks, by the rules for every field of a delta."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.assemble import StreamAssembler

KEYS = (
    *("index", "delta", "role", "content", "tool_calls", "function", "name", "arguments", "id"),
    *("type", "text", "usage", "choices", "error", "audio", "message", "finish_reason"),
    *("reasoning", "reasoning_content", "reasoning_details", "function_call", "x_groq", "thinking"),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=4),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), children, max_size=4)
    ),
    max_leaves=15,
)


def delta(index: int = 0, **fields: Json) -> JsonObject:
    """A chunk with one delta."""
    return {"choices": [{"index": index, "delta": fields, "finish_reason": None}]}


def messages(*chunks: JsonObject) -> list[JsonObject]:
    """The messages that the chunks add up to."""
    stream = StreamAssembler()
    for chunk in chunks:
        stream.add(chunk)
    return [stream.message(choice) for choice in stream.choices]


def message(*chunks: JsonObject) -> JsonObject:
    """The one message that the chunks add up to."""
    [only] = messages(*chunks)
    return only


def said(content: Json, **fields: Json) -> JsonObject:
    """A message of the assistant."""
    return {"role": "assistant", "content": content, **fields}


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": "x"},
        {"choices": [None, 5, "x", []]},
        {"id": "", "object": "", "model": "", "prompt_filter_results": [], "choices": []},
        {"moderation": {}, "choices": []},
        {"error": None, "usage": None, "model": None, "x_groq": None},
        {"usage": [], "model": 5, "x_groq": "x", "error": ""},
    ],
)
def test_chunks_without_choices_are_no_fault(chunk: JsonObject) -> None:
    """Azure's first chunk, usage and moderation chunks and garbage add no choice and no error."""
    stream = StreamAssembler()
    stream.add(chunk)
    assert stream.choices == []
    assert (stream.model, stream.usage, stream.failure) == (None, None, None)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"delta": None},
        {"delta": {}},
        {"delta": "x"},
        {"delta": {"role": None, "content": None, "refusal": None, "tool_calls": None}},
        {"delta": {"role": "", "tool_calls": [], "audio": None, "function_call": None}},
        {"delta": {"content": {}, "refusal": 5, "reasoning": [], "role": 5, "audio": 5}},
        {"delta": {"obfuscation": "padding"}, "finish_reason": ""},
        {"message": None, "finish_reason": 5},
    ],
)
def test_empty_deltas_add_nothing(item: JsonObject) -> None:
    """Null, empty and mistyped fields of a delta leave an empty message of the assistant."""
    assert message({"choices": [item]}) == said(None)


def test_a_stream_of_openai_becomes_one_message() -> None:
    """Role chunk, text, end: the text in one piece, and null fields left out."""
    chunks = [
        delta(role="assistant", content="", refusal=None),
        delta(content="Hel"),
        delta(content="lo 😀"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    assert message(*chunks) == said("Hello 😀")


def test_the_role_is_set_never_appended() -> None:
    """Hundreds of servers repeat the role in every chunk."""
    chunks = [delta(role="", content="a"), delta(role="tool", content="b"), delta(role="user")]
    assert message(*chunks) == {"role": "tool", "content": "ab"}


def test_content_is_null_unless_some_came() -> None:
    """A call of tools without text has null content; an empty text is a text."""
    call: Json = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]
    assert message(delta(role="assistant", content=None), delta(tool_calls=call))["content"] is None
    assert message(delta(role="assistant", content=""), delta(tool_calls=call))["content"] == ""


def test_choices_may_be_interleaved() -> None:
    """Each choice gets its own pieces; without an index it is the first."""
    chunks = [delta(1, content="b"), delta(0, content="a"), delta(1, content="B")]
    chunks.append(
        {"choices": [{"delta": {"content": "A"}}, {"index": 2, "delta": {"content": "c"}}]}
    )
    assert messages(*chunks) == [said("aA"), said("bB"), said("c")]


@given(st.lists(st.lists(st.text(max_size=3), max_size=5), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_any_interleaving_gives_the_same_choices(
    texts: list[list[str]], data: st.DataObject
) -> None:
    """The order of chunks of different choices does not matter."""
    order = data.draw(st.permutations([i for i, pieces in enumerate(texts) for _ in pieces]))
    queues = [list(pieces) for pieces in texts]
    chunks = [delta(index, content=queues[index].pop(0)) for index in order]
    assert messages(*chunks) == [said("".join(pieces)) for pieces in texts if pieces]


@pytest.mark.parametrize("key", ["content", "reasoning", "reasoning_content"])
def test_cloudflare_sends_pieces_that_look_like_numbers_as_numbers(key: str) -> None:
    """`delta.content` is `1` there, or `true`, where a text was said (cloudflare/ai, issue 651)."""
    pieces: list[Json] = ["[", 1, "] is $", 0.005, ", ", True, 0, None, "."]
    put_together = message(*(delta(**{key: piece}) for piece in pieces))
    assert put_together[key] == "[1] is $0.005, true0."


def test_mistral_sends_content_in_lists() -> None:
    """Text parts are text, thinking is reasoning."""
    chunks = [
        delta(role="assistant", content=""),
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]),
        delta(content=[{"type": "text", "text": "It "}]),
        delta(content="is."),
    ]
    assert message(*chunks) == said("It is.", reasoning="hmm")


def thought(text: str, signature: str = "") -> JsonObject:
    """A part of Databricks that tells what a model thinks."""
    summary: JsonObject = {"type": "summary_text", "text": text, "signature": signature}
    return {"type": "reasoning", "summary": [summary]}


def test_databricks_thinks_in_many_parts() -> None:
    """They are one, as in a reply in one piece, and the signature that comes last is kept."""
    chunks = [
        delta(role="assistant", content=""),
        *(delta(content=[part]) for part in (thought("17 * "), thought("23"), thought("", "sig"))),
        delta(content="39"),
        delta(content="1"),
    ]
    answer: JsonObject = {"type": "text", "text": "391"}
    assert message(*chunks) == said([thought("17 * 23", "sig"), answer])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "reasoning", "summary": "x"},
        {"type": "reasoning", "summary": ["x"]},
        {"type": "reasoning", "summary": []},
        {"type": "reasoning", "summary": [{"text": "x"}], "id": "1"},
        {"type": ["reasoning"], "summary": [{"text": "x"}]},
    ],
)
def test_what_is_no_thought_of_that_form_stays_as_it_is(part: JsonObject) -> None:
    """Nothing of it is lost, and nothing is put together."""
    assert message(delta(content=[part]), delta(content=[part])) == said([part, part])


def test_parts_other_than_text_keep_the_list() -> None:
    """A reference between texts stays between them."""
    reference = {"type": "reference", "reference_ids": [1]}
    chunks = [
        delta(content="a"),
        delta(content=[{"type": "text", "text": "b"}, reference]),
        delta(content="c"),
    ]
    text = {"type": "text"}
    assert message(*chunks) == said([text | {"text": "ab"}, reference, text | {"text": "c"}])


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_keeps_the_name_it_came_under(key: str) -> None:
    """Both names are in use; the text is put together."""
    chunks = [delta(**{key: "a", "content": None}), delta(**{key: "b"}), delta(content="x")]
    assert message(*chunks) == said("x", **{key: "ab"})


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_bedrock_thinks_in_objects(key: str) -> None:
    """Envoy's gateway hands them on: the texts grow, and the signature stands beside them."""
    chunks = [delta(**{key: {"text": text}}) for text in ("I nee", "d to", " think")]
    chunks += [delta(**{key: {"signature": "s"}}), delta(content="x")]
    assert message(*chunks) == said("x", **{key: {"signature": "s", "text": "I need to think"}})


def test_a_thought_that_changes_its_form_is_one() -> None:
    """Texts before and after an object are part of its text."""
    thoughts: list[Json] = ["a", {"text": "b"}, "c", {}]
    assert message(*(delta(reasoning=one) for one in thoughts)) == said(
        None, reasoning={"text": "abc"}
    )


def test_a_content_may_be_the_one_part_that_it_has() -> None:
    """Where a list should be; what is no text stays a part."""
    parts: list[JsonObject] = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    assert message(*(delta(content=part) for part in parts)) == said("hello")
    image: JsonObject = {"type": "image_url", "image_url": {"url": "u"}}
    assert message(delta(content=image)) == said([image])


def test_reasoning_under_both_names_counts_once() -> None:
    """Servers that please clients of either name say the same thing twice."""
    chunks = [
        delta(reasoning="a", reasoning_content="a"),
        delta(reasoning="b", reasoning_content="b"),
    ]
    assert message(*chunks) == said(None, reasoning_content="ab")
    assert message(delta(reasoning="a", reasoning_content=None)) == said(None, reasoning="a")


def test_refusal_audio_and_legacy_calls_are_put_together() -> None:
    """Each by its own rule: texts grow, ids are set."""
    chunks = [
        delta(refusal="I ", audio={"id": "au", "transcript": "he"}),
        delta(refusal="can't", audio={"transcript": "y", "data": "QUJD"}),
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
        delta(audio={"expires_at": 7, "data": "REVG"}),
    ]
    assert message(*chunks) == said(
        None,
        refusal="I can't",
        function_call={"name": "f", "arguments": "{}"},
        audio={"id": "au", "transcript": "hey", "data": "QUJDREVG", "expires_at": 7},
    )


def test_unknown_fields_of_a_delta_survive() -> None:
    """What has no rule is merged and kept; annotations hold each thing once."""
    note = {"type": "url_citation", "url_citation": {"url": "u"}}
    chunks = [
        delta(channel="analysis", annotations=[note], provider={"a": 1}),
        delta(channel="analysis", annotations=[note], provider={"b": 2}, content="x"),
        delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "t"}]),
    ]
    assert message(*chunks) == said(
        "x",
        channel="analysis",
        annotations=[note],
        provider={"a": 1, "b": 2},
        reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "t"}],
    )


def test_the_message_beside_deltas_counts_only_without_them() -> None:
    """Perplexity repeats the text so far; a server that sends only messages is believed."""
    so_far = {"role": "assistant", "content": "whole"}
    beside = {"choices": [{"index": 0, "delta": {"content": "de"}, "message": so_far}]}
    assert message(beside, beside) == said("dede")
    assert message({"choices": [{"index": 0, "delta": {}, "message": so_far}]}) == so_far
    last = {"choices": [{"index": 0, "message": so_far}]}
    assert message(beside, last) == said("de")


def test_citations_of_the_whole_reply_are_kept_with_the_message() -> None:
    """Perplexity sends them whole in every chunk: the last ones count."""
    chunks = [delta(content="a[1]") | {"citations": ["u1"]}]
    chunks += [delta() | {"citations": ["u1", "u2"]}, delta() | {"citations": None}]
    assert message(*chunks) == said("a[1]", citations=["u1", "u2"])


def test_the_last_finish_reason_wins_and_text_after_it_counts() -> None:
    """OpenRouter sends it twice, some go on after it, and "" is none."""
    stream = StreamAssembler()
    for reason in ("length", None, "", "stop", None):
        stream.add({"choices": [{"delta": {"content": "x"}, "finish_reason": reason}]})
    [choice] = stream.choices
    assert choice.finish_reason == "stop"
    assert choice.message()["content"] == "xxxxx"


@pytest.mark.parametrize(
    "holder",
    [
        lambda usage: {"choices": [], "usage": usage},
        lambda usage: {"choices": [], "x_groq": {"usage": usage}},
        lambda usage: {"choices": [{"delta": {}, "usage": usage}]},
    ],
    ids=["chunk", "x_groq", "choice"],
)
def test_the_last_usage_wins_wherever_it_stands(holder: object) -> None:
    """Counts are cumulative: they are never summed, and null does not undo them."""
    stream = StreamAssembler()
    for usage in ({"total_tokens": 5}, {"total_tokens": 9}, None, {}):
        stream.add(holder(usage))  # type: ignore[operator]
    assert stream.usage == {"total_tokens": 9}


def test_the_last_model_wins() -> None:
    """The first chunk of Azure names none."""
    stream = StreamAssembler()
    for model in ("", "gpt-4o", "gpt-4o-2024", None):
        stream.add({"model": model, "choices": []})
    assert stream.model == "gpt-4o-2024"


def test_the_first_error_is_kept_with_the_chunk_that_told_of_it() -> None:
    """An error beside choices does not cost their text, also in Groq's corner."""
    stream = StreamAssembler()
    broken = delta(content="half") | {"error": {"message": "no"}}
    stream.add(broken)
    stream.add({"error": "second"})
    assert stream.failure == broken
    assert stream.choices[0].message() == said("half")
    groq = StreamAssembler()
    groq.add({"choices": [], "x_groq": {"error": "over"}})
    assert groq.failure is not None
    assert groq.failure["error"] == "over"


@given(st.lists(JSON_VALUES, max_size=6))
@settings(deadline=None, max_examples=300)
def test_no_chunk_breaks_the_assembly(values: list[Json]) -> None:
    """Whatever JSON stands where, a message with a role comes out for each choice."""
    stream = StreamAssembler()
    for value in values:
        for chunk in (
            value,
            {"choices": value},
            {"choices": [value]},
            {"choices": [{"delta": value}]},
        ):
            if isinstance(chunk, dict):
                stream.add(chunk)
    for choice in stream.choices:
        assert isinstance(stream.message(choice), dict)
