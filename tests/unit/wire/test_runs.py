"""Chunks of a stream that are alike, and what only looks like it."""

import json

import pytest

from officeai_proxy.model import Json
from officeai_proxy.wire.runs import LEAST, run_at

TEXTS = ["Hel", "lo", ' "you"', "", "\\", "\n", "你好", "\u2028"]


def chunk(delta: Json, **more: Json) -> str:
    """The data of one event."""
    return json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta} | more]})


def said(text: str, **more: Json) -> str:
    """The data of an event that says *text* and nothing else."""
    return chunk({"content": text}, **more)


@pytest.mark.parametrize(
    "events",
    [
        [said("a")] * (LEAST - 1),
        [said(text, created=number) for number, text in enumerate(TEXTS)],
        [chunk({"role": "assistant", "content": text}) for text in TEXTS],
        [chunk({"reasoning": text}) for text in TEXTS],
        [chunk({"content": text}, content=text) for text in TEXTS],
        ['{"choices":[{"delta":{"content":"a","content":"b"}}]}'] * LEAST,
        ['{"content":"a","choices":[{"delta":{"content":"b"}}]}'] * LEAST,
        ['{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}'] * LEAST,
        ['{"choices":[{"delta":{"content":"a"}}]'] * LEAST,
        ['{"choices":{"delta":{"content":"a"}}}'] * LEAST,
        ['{"choices":[{"delta":{"content":null}}]}'] * LEAST,
        ['"content":"a"'] * LEAST,
        ["[DONE]"] * LEAST,
        [""] * LEAST,
    ],
)
def test_what_is_not_quite_alike_is_no_run(events: list[str]) -> None:
    """Too few events, other deltas, two choices, a name twice, and what is not JSON."""
    assert run_at(events, 0) is None


@pytest.mark.parametrize(
    "middle",
    ['"a","b"', '"a" "b"', '"a', 'a"', "1", "null", '{"x":1}', '"a"}},{"delta":{"content":"b"', ""],
)
def test_a_value_in_the_middle_that_is_no_text_spoils_the_run(middle: str) -> None:
    """Such an event means something else, or nothing."""
    events = [said(text) for text in TEXTS]
    events[3] = events[0].replace('"Hel"', middle)

    assert run_at(events, 0) is None


def test_texts_that_only_together_are_json_are_no_run() -> None:
    """Halves of a value in neighbouring events, made up for by two values in a third."""
    events = [said("a")] * 4
    for place, middle in enumerate(['["a"', '"b"]', '"c","d"']):
        events[1 + place] = events[0].replace('"a"', middle)

    assert run_at(events, 0) is None


def test_a_run_has_the_text_of_each_of_its_chunks() -> None:
    """It begins where it is looked for, and ends before the first that is not like the others."""
    events = [chunk({"role": "assistant"}), *map(said, TEXTS), said("b", finish_reason="stop")]

    run = run_at(events, 1)

    assert run is not None
    assert run.first == json.loads(said("Hel"))
    assert run.texts == TEXTS
