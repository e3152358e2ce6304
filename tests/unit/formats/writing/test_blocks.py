"""What a person reads of a message."""

from typing import Any

import pytest
from tests.passages import PICTURE, line

from officeai_proxy.formats.containment import lines_of
from officeai_proxy.formats.writing.blocks import Block, Kind, blocks_of, label_of, told


def read(message: dict[str, Any]) -> list[Block]:
    return blocks_of(line(message, 1))


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [None, "x", 1]},
        {"role": "user", "content": [None, 1, [], {}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": None}]},
        {"role": "assistant", "content": None, "reasoning_content": {"a": 1}, "audio": 5},
    ],
)
def test_strange_messages_are_read_as_far_as_they_can_be(message: dict[str, Any]):
    """Nothing that a client ever sent stops an export."""
    assert all(isinstance(block, Block) for block in read(message))


def test_calls_are_shown_with_their_arguments():
    """JSON in lines, anything else as it is; the older field and custom tools as well."""
    calls = [
        {"type": "function", "function": {"name": "f", "arguments": '{"a":"ü"}'}},
        {"type": "custom", "custom": {"name": "g", "input": "not json"}},
    ]

    assert read({"role": "assistant", "content": "", "tool_calls": calls}) == [
        Block(Kind.CALL, '{\n  "a": "ü"\n}', "f"),
        Block(Kind.CALL, "not json", "g"),
    ]
    legacy = {"name": "h", "arguments": "{}"}
    assert read({"role": "assistant", "content": None, "function_call": legacy}) == [
        Block(Kind.CALL, "{}", "h")
    ]


def test_attachments_are_named():
    """By address or by size; data are not repeated."""
    parts = [
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png\n"}},
        {"type": "file", "file": {"filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "new_kind"},
    ]

    words = [told(block) for block in read({"role": "user", "content": parts})]

    assert words == [
        "image_url: image/png, 25 bytes",
        "image_url: https://a.example/x.png",
        "file: a.pdf",
        "input_audio: wav",
        "new_kind",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning_text": "Hm."},
        {"reasoning_content": {"signature": "s", "text": "Hm."}},
        {"reasoning_content": "", "reasoning": "Hm."},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
        {"content": [{"type": "thinking", "thinking": "Hm."}]},
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}]},
    ],
)
def test_what_a_model_thought_is_told_wherever_it_stands(fields: dict[str, Any]):
    """In a field of its own, by any of its names, or in a part, which is no attachment."""
    content = [*fields.get("content", []), {"type": "text", "text": "Yes"}]

    assert read({"role": "assistant"} | fields | {"content": content}) == [
        Block(Kind.REASONING, "Hm."),
        Block(Kind.TEXT, "Yes"),
    ]


def test_pictures_that_a_model_drew_are_attachments():
    """OpenRouter has them beside the content."""
    image = {"type": "image_url", "image_url": {"url": PICTURE}, "index": 0}

    assert read({"role": "assistant", "content": "Here:", "images": [image]}) == [
        Block(Kind.TEXT, "Here:"),
        Block(Kind.MEDIA, PICTURE, "image_url"),
    ]


def test_sound_is_at_hand():
    """Whoever can play it gets it, of a question and of an answer; a text never has it."""
    asked = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]

    assert read({"role": "user", "content": asked}) == [
        Block(Kind.MEDIA, "wav", "input_audio", "AAAA")
    ]
    assert read({"role": "assistant", "content": None, "audio": {"data": "BBBB"}}) == [
        Block(Kind.MEDIA, "", "audio", "BBBB")
    ]


@pytest.mark.parametrize(("role", "label"), [("user", "User"), ("", "Unknown"), ("a\nb", "a b")])
def test_everybody_has_a_label(role: str, label: str):
    """A role nobody knows is shown as it is, in one line."""
    assert label_of(line({"role": role, "content": "x"}, 1)) == label


def test_only_line_breaks_end_a_line():
    """Form feeds and Unicode's separators are characters of a line."""
    assert lines_of("\n\na\r\nb\rc\x0c\u2028d\n") == ["a", "b", "c\x0c\u2028d"]


def test_half_a_character_can_be_written():
    """Clients cut texts inside an emoji; what a file cannot hold is replaced."""
    call = {"type": "function", "function": {"name": "f\udc00", "arguments": '{"a":"\\ud83d"}'}}
    part = {"type": "image_url", "image_url": {"url": "x\ud83d"}}
    message = {
        "role": "assistant",
        "content": [part],
        "reasoning": "so\ud83d",
        "tool_calls": [call],
    }

    blocks = read(message)

    assert [block.kind for block in blocks] == [Kind.REASONING, Kind.MEDIA, Kind.CALL]
    "".join(block.text + block.name for block in blocks).encode()
