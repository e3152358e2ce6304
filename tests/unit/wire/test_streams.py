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
        if event.data.strip() == "[DONE]":
            return told(stream, is_done=True)
        try:
            value = loads(event.data)
        except ValueError:
            value = None
        if isinstance(value, dict):
            stream.add(value)
    return told(stream, is_done=False)


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
