"""Events of a stream that are alike, and what only looks like it."""

import json

import pytest

from officeai_proxy.model import Json
from officeai_proxy.wire.runs import LEAST, WINDOW, run_at, runs_in

TEXTS = ["Hel", "lo", ' "you"', "", "\\", "\n", "你好", "\u2028"]


def chunk(delta: Json, **more: Json) -> str:
    """The data of one event."""
    return json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta} | more]})


def said(text: str, **more: Json) -> str:
    """The data of an event that says *text* and nothing else."""
    return chunk({"content": text}, **more)


def stream(*events: str) -> bytes:
    """The bytes of *events*."""
    return "".join(f"data: {event}\n\n" for event in events).encode()


@pytest.mark.parametrize(
    "events",
    [
        [said("a")] * (LEAST - 1),
        [said(text, created=number) for number, text in enumerate(TEXTS)],
        [chunk({"role": "assistant", "content": text}) for text in TEXTS],
        [chunk({"reasoning": text}) for text in TEXTS],
        [chunk({"content": text}, content=text) for text in TEXTS],
        [chunk({"content": text}, seed=10**19) for text in TEXTS],
        ['{"choices":[{"delta":{"content":"a","content":"b"}}]}'] * LEAST,
        ['{"content":"a","choices":[{"delta":{"content":"b"}}]}'] * LEAST,
        ['{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}'] * LEAST,
        ['{"choices":[{"delta":{"content":"a"}}]'] * LEAST,
        ['{"choices":{"delta":{"content":"a"}}}'] * LEAST,
        ['{"choices":[{"delta":{"content":null}}]}'] * LEAST,
        ['{"choices":[{"delta":\n{"content":"a"}}]}'] * LEAST,
        ['{"choices":[{"delta":\r{"content":"a"}}]}'] * LEAST,
        [said("a").replace('"a"', '"\\x"'), *[said("a")] * LEAST],
        ['"content":"a"'] * LEAST,
        ["[DONE]"] * LEAST,
        [""] * LEAST,
    ],
)
def test_what_is_not_quite_alike_is_no_run(events: list[str]) -> None:
    """Too few events, other deltas, long numbers, two choices, two lines, and what is not JSON."""
    assert run_at(stream(*events), 0) is None


@pytest.mark.parametrize(
    "middle",
    [
        '"a","b"',
        '"a" "b"',
        '"a',
        'a"',
        "1",
        "null",
        '{"x":1}',
        '"a"}},{"delta":{"content":"b"',
        '"a\nb"',
        '"a"\n',
        '"a"\r',
        "",
    ],
)
def test_a_value_in_the_middle_that_is_no_text_spoils_the_run(middle: str) -> None:
    """Such an event means something else, or nothing."""
    events = [said(text) for text in TEXTS]
    events[3] = events[0].replace('"Hel"', middle)

    run = run_at(stream(*events), 0)

    assert run is None or len(run.texts) <= 3


def test_texts_that_only_together_are_json_are_no_run() -> None:
    """Halves of a value in neighbouring events, made up for by two values in a third."""
    for halves in (['["a"', '"b"]', '"c","d"'], ['"a","b"', '"c', 'd"']):
        events = [said("a")] * 4
        for place, middle in enumerate(halves):
            events[1 + place] = events[0].replace('"a"', middle)

        assert run_at(stream(*events), 0) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        stream(*map(said, TEXTS)).replace(b"\\u4f60\\u597d", b"\xff"),
        stream(*map(said, TEXTS)).replace(b"\n\n", b"\r\n\r\n"),
        stream(*map(said, TEXTS)).replace(b'"c"', b'"\xff"'),
        stream(*map(said, TEXTS)) + b"\xef\xbb\xbfdata: x\n\n",
        b"event: x\n" + stream(*map(said, TEXTS)),
    ],
)
def test_other_bytes_are_left_to_the_reader_of_events(spoilt: bytes) -> None:
    """No UTF-8, other line ends, a byte order mark behind the run, and an event with a name."""
    assert run_at(spoilt, 0) is None


def test_a_run_has_the_text_of_each_of_its_chunks() -> None:
    """It begins where it is looked for, and ends before the first that is not like the others."""
    first, last = chunk({"role": "assistant"}), said("b", finish_reason="stop")
    events = [first, *map(said, TEXTS), last, *map(said, TEXTS), "[DONE]"]
    start = len(stream(first))

    run = run_at(stream(*events), start)

    assert run is not None
    assert run.first == json.loads(said("Hel"))
    assert run.texts == TEXTS
    assert (run.start, run.end) == (start, len(stream(first, *map(said, TEXTS))))


@pytest.mark.parametrize("end", [b"", b"data: ", b"\n", b'data: {"id"', b"event: x\ndata: y\n\n"])
def test_an_event_that_is_not_whole_is_in_no_run(end: bytes) -> None:
    """What follows the last blank line, or has another line, stays behind the run."""
    whole = stream(*map(said, TEXTS))

    run = run_at(whole + end, 0)

    assert run is not None
    assert (run.texts, run.end) == (TEXTS, len(whole))


def test_an_event_without_its_blank_line_is_in_no_run() -> None:
    """It may still grow, or be followed by another line of its own."""
    run = run_at(stream(*map(said, TEXTS))[:-1], 0)

    assert run is not None
    assert run.texts == TEXTS[:-1]


def test_a_stream_has_several_runs() -> None:
    """One behind the other, with others between, and a long one in parts."""
    many = [said("a" * 100)] * (2 * WINDOW // 100)
    events = [chunk({"role": "assistant"}), *map(said, TEXTS), "other", *many, "[DONE]"]

    runs = list(runs_in(stream(*events)))

    assert [text for run in runs for text in run.texts] == [*TEXTS, *["a" * 100] * len(many)]
    assert 2 < len(runs) < 10


def test_who_finds_nothing_soon_stops_looking() -> None:
    """Streams whose chunks differ, such as those that are padded, are seldom alike later."""
    events = [said("a", created=number) for number in range(9)]

    assert list(runs_in(stream(*events, *map(said, TEXTS)))) == []


def test_who_finds_little_again_and_again_stops_looking() -> None:
    """Each look costs a window, however short the run is that it finds."""
    few = [*map(said, TEXTS), "other"]

    assert 0 < len(list(runs_in(stream(*few * 20)))) < 10
