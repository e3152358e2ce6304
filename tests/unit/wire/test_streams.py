"""Whole streams: whichever shortcut is taken, the same comes out."""

import json
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json
from officeai_proxy.wire import streams
from officeai_proxy.wire.assemble import StreamAssembler
from officeai_proxy.wire.encoding import UndecodableBody
from officeai_proxy.wire.jsontext import loads
from officeai_proxy.wire.sse import EventReader
from officeai_proxy.wire.streams import read_stream

TEXTS: Final[list[str]] = ["a", "", '"', "\\", "\n", "\u2028", "你", "0" * 19, "data: ", "[DONE]"]
DELTAS = st.sampled_from(TEXTS).map(lambda text: {"content": text}) | st.sampled_from(
    [{"role": "assistant"}, {"reasoning": "r"}, {"content": ["p"]}, {"content": None}, {}]
)
TOPS = st.sampled_from([{}, {}, {}, {"model": "m"}, {"usage": {"total_tokens": 1}}, {"error": "e"}])


def chunk(delta: Json, index: Json, top: dict[str, Json]) -> str:
    """The data of one event."""
    return json.dumps({"choices": [{"index": index, "delta": delta}]} | top)


CHUNKS = st.builds(chunk, DELTAS, st.sampled_from([0, 0, 0, 0, 1, None]), TOPS)
ALIKE = st.lists(st.sampled_from(TEXTS), min_size=2, max_size=8).map(
    lambda texts: [chunk({"content": text}, 0, {}) for text in texts]
)
ODD = st.sampled_from(
    ["", "[DONE]", " [DONE]", "7", "{", "}", '{"choices":[', "]}", '{"a":1},{"a":2}', "\ufeff{}"]
)
EVENTS = st.lists(ALIKE | CHUNKS.map(lambda one: [one]) | ODD.map(lambda one: [one]), max_size=8)
ENDS = st.sampled_from(
    ["\n\n", "\n\n", "\n\n", "\r\n\r\n", "\r\r", "\n", "\n\n\ufeff", "\n\n: k\n\n"]
)


def told(stream: StreamAssembler, *, is_done: bool) -> list[Json]:
    """All that a stream tells."""
    said: list[Json] = [
        [choice.index, choice.finish_reason, stream.message(choice)] for choice in stream.choices
    ]
    return [said, stream.model, stream.usage, stream.failure, is_done]


def one_by_one(body: bytes) -> list[Json]:
    """What *body* tells when one event is read after the other."""
    stream, reader = StreamAssembler(), EventReader()
    for event in reader.feed(body) + reader.flush():
        first = event.data.partition("\n")[0]
        begins_anew = first.strip() == "[DONE]" or isinstance(value_of(first), dict)
        is_one = value_of(event.data) is not None or not begins_anew
        for data in [event.data] if is_one else event.data.split("\n"):
            if data.strip() == "[DONE]":
                return told(stream, is_done=True)
            value = value_of(data)
            if isinstance(value, dict):
                stream.add(value)
    return told(stream, is_done=False)


def value_of(text: str) -> Json:
    """The value of *text*; None where it is no JSON."""
    try:
        return loads(text)
    except ValueError:
        return None


@given(EVENTS, st.lists(ENDS, min_size=1, max_size=3), st.sampled_from([1, 40, 200, 10**6]))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_every_shortcut_gives_what_one_event_after_the_other_gives(
    groups: list[list[str]], ends: list[str], stretch: int
) -> None:
    """Runs, chunks read many at a time, and a body that is cut into stretches anywhere."""
    events = [event for group in groups for event in group]
    body = "".join(f"data: {event}{ends[n % len(ends)]}" for n, event in enumerate(events)).encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "STRETCH", stretch)
        stream, is_done = read_stream(body)

    assert told(stream, is_done=is_done) == one_by_one(body)


def test_more_values_than_are_allowed_are_refused() -> None:
    """One event that would take more memory than all the rest is not read."""
    body = b"data: [" + b"0," * 500 + b"0]\n\n"

    read_stream(body)
    read_stream(body, most_values=501 + 3)
    with pytest.raises(UndecodableBody, match="more than 500 values"):
        read_stream(body, most_values=500)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["data: [DONE]", "data: [DONE]\n\n", '{"choices":[{"del'])
def test_lines_without_a_blank_one_between_are_chunks(end: str, last: str) -> None:
    """What clients understand that read line by line is kept, also what stands before a cut."""
    lines = [f"data: {chunk({'content': text}, 0, {})}" for text in "abcdef"]
    stream, is_done = read_stream(end.join([*lines, last]).encode())

    assert [choice.message()["content"] for choice in stream.choices] == ["abcdef"]
    assert is_done is ("DONE" in last)


def test_an_event_of_several_lines_that_is_one_value_stays_one() -> None:
    """By the standard a value may be written on many lines, each with a `data:` of its own."""
    value = json.dumps(json.loads(chunk({"content": "a"}, 0, {})), indent=1)
    body = "".join(f"data: {line}\n" for line in value.splitlines()) + "\n"
    stream, _ = read_stream(body.encode() + b"data: [DONE]\n\n")

    assert [choice.message()["content"] for choice in stream.choices] == ["a"]
    assert not stream.is_damaged


def test_a_name_before_the_last_line_is_that_of_the_last() -> None:
    """An error that ends such a stream is one; what was said before it is none."""
    body = f"data: {chunk({'content': 'a'}, 0, {})}\nevent: error\ndata: it broke\n"
    stream, _ = read_stream(body.encode())

    assert [choice.message()["content"] for choice in stream.choices] == ["a"]
    assert stream.failure == {"error": "it broke"}
