"""What the content of a message says."""

import pytest

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.parts import (
    joined_refusal,
    joined_text,
    refusal_of_part,
    text_of_part,
    transcript_of,
)


@pytest.mark.parametrize(
    "part",
    [
        None,
        5,
        [],
        {},
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "text", "text": None},
        {"type": "image_url", "text": "no"},
        {"type": ["text"], "text": "no"} | {"type": "x"},
        {"text": "no type"},
    ],
)
def test_what_is_no_text_part_says_nothing(part: Json) -> None:
    """A part without the type or without a string is not text."""
    assert text_of_part(part) is None
    assert refusal_of_part(part) is None


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_a_text_part_says_its_text(kind: str) -> None:
    """The names of text parts of both APIs are known."""
    assert text_of_part({"type": kind, "text": "hi"}) == "hi"


def test_a_string_in_a_list_is_text() -> None:
    """Some clients put plain strings among the parts."""
    assert joined_text(["a", {"type": "text", "text": "b"}, {"type": "image_url"}, "c"]) == "abc"


def test_refusals_are_no_text() -> None:
    """Refusal parts are joined by themselves."""
    content: list[Json] = [
        {"type": "refusal", "refusal": "I "},
        {"type": "text", "text": "x"},
        {"type": "refusal", "refusal": "won't"},
        {"type": "refusal", "refusal": None},
    ]
    assert joined_refusal(content) == "I won't"
    assert joined_text(content) == "x"
    assert refusal_of_part({"type": "refusal", "refusal": None}) is None


@pytest.mark.parametrize("content", [None, 5, True, {"text": "x"}, []])
def test_content_of_unknown_kinds_says_nothing(content: Json) -> None:
    """What is neither text nor a list has no words."""
    assert joined_text(content) == ""
    assert joined_refusal(content) == ""


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, ""),
        ({"audio": None}, ""),
        ({"audio": {"id": "a"}}, ""),
        ({"audio": {"transcript": 5}}, ""),
        ({"audio": {"transcript": "hello"}}, "hello"),
    ],
)
def test_audio_says_its_transcript(message: JsonObject, words: str) -> None:
    """Only a transcript that is text counts."""
    assert transcript_of(message) == words
