"""Event streams: any bytes, any cuts."""

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from officeai_proxy.wire.sse import Event, EventReader, read_events

LINES = st.sampled_from(
    [
        "data: {}",
        "data:x",
        "data:  two",
        "data:",
        "data",
        "data: [DONE]",
        "data: 你好 😀",
        "event: error",
        "event:",
        "id: 1",
        "retry: 5",
        ": comment",
        ":",
        'error: {"error":"x"}',
        "error:",
        "other: y",
        "\ufeffdata: z",
        "",
        "",
        "",
    ]
)
STREAMS = st.lists(
    st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])).map("".join), max_size=12
).map(lambda lines: "".join(lines).encode())
PLAIN_STREAMS = st.lists(
    st.sampled_from(["data: ", "data: {}", "\n", "\n\n", "\n\ndata: ", "你", "\r"]), max_size=14
).map(lambda pieces: ("data: " + "".join(pieces) + "\n\n").encode())


def read_in_pieces(data: bytes, cuts: list[int]) -> list[Event]:
    """The events of *data* cut at *cuts*."""
    reader = EventReader()
    events: list[Event] = []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        events += reader.feed(data[start:end])
    return events + reader.flush()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\r\n\r\n",
        b": ping\n\n",
        b":\n",
        b"data:\n\n",
        b"data: \n\n",
        b"data\n\n",
        b"event: x\n\n",
        b"id: 1\nretry: 10\n\n",
        b"unknown: 1\n\n",
        b"error:\n\n",
        b"\xef\xbb\xbf",
        b"just text\n\n",
    ],
)
def test_what_holds_no_data_gives_no_event(data: bytes) -> None:
    """Comments, keep-alives and unknown fields are no events."""
    assert read_events(data) == []
    assert read_in_pieces(data, []) == []


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [("", "a"), ("", "b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", "a"), ("", "b")]),
        (b"data: a\r\rdata: b\r\r", [("", "a"), ("", "b")]),
        (b"data:a\n\n", [("", "a")]),
        (b"data:  a\n\n", [("", " a")]),
        (b"data: a:b\n\n", [("", "a:b")]),
        (b"data: a\ndata: b\n\n", [("", "a\nb")]),
        (b"data: a\ndata:\ndata: b\n\n", [("", "a\n\nb")]),
        (b"data: a", [("", "a")]),
        (b"data: a\n", [("", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", "a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("", "b")]),
        (b"event: x\n\ndata: b\n\n", [("", "b")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [("", "a"), ("", "b")]),
        (b": OPENROUTER PROCESSING\n\ndata: a\n\n", [("", "a")]),
        (b"data: a\n: inside\ndata: b\n\n", [("", "a\nb")]),
        (b'data: a\n\nerror: {"error":{}}\n\n', [("", "a"), ("error", '{"error":{}}')]),
        (b"data: \xff\xe4\xbd\n\ndata: b\n\n", [("", "\ufffd\ufffd"), ("", "b")]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), [("", "a\u2028b\x85c\x0bd")]),
    ],
)
def test_streams_are_read_by_the_standard(data: bytes, events: list[tuple[str, str]]) -> None:
    """Line ends, spaces, names, comments and a missing end are as the rules say."""
    assert read_events(data) == [Event(*event) for event in events]
    assert read_in_pieces(data, []) == [Event(*event) for event in events]


def test_an_event_is_there_as_soon_as_its_blank_line_is() -> None:
    """Nothing waits for the LF that may follow a CR, and that LF ends no line of its own."""
    reader = EventReader()
    assert reader.feed(b"data: a\r\n\r") == [Event("", "a")]
    assert reader.feed(b"\ndata: b\r") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"\n\r\n") == [Event("", "b")]
    assert reader.flush() == []


def test_a_reader_that_was_flushed_has_nothing_left() -> None:
    """The end of a stream is told once."""
    reader = EventReader()
    assert reader.feed(b"event: x\ndata: a") == []
    assert reader.flush() == [Event("x", "a")]
    assert reader.flush() == []


@given(STREAMS | st.binary(max_size=60), st.lists(st.integers(0, 400), max_size=8))
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2])
@example("data: 你\n\n".encode(), [7, 8])
@example(b"data: a\r\n\r\n", [8, 10])
@settings(deadline=None, max_examples=300)
def test_the_cuts_do_not_matter(data: bytes, cuts: list[int]) -> None:
    """Any bytes in any pieces give the same events as in one piece."""
    assert read_in_pieces(data, cuts) == read_in_pieces(data, [])


@given(STREAMS | PLAIN_STREAMS | st.binary(max_size=60))
@example(b"data: \xf0\x9f\n\ndata: \xe2\x82\n\n")
@example(b"\n\ndata: a\n\n\ndata: b")
@example("data: a\n\n\ufeffdata: b\n\n".encode())
@settings(deadline=None, max_examples=500)
def test_the_shortcut_equals_the_long_way(data: bytes) -> None:
    """A whole body gives what a reader of pieces gives."""
    assert read_events(data) == read_in_pieces(data, [])


def test_a_long_line_in_many_pieces_takes_linear_time() -> None:
    """20 MB in one line are read in well under a second; copying them again and again takes 20."""
    reader = EventReader()
    started = process_time()
    for _ in range(20_000):
        reader.feed(b"x" * 1000)
    reader.feed(b"\n\n")
    assert process_time() - started < 5
