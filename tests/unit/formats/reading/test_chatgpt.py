"""ChatGPT's conversations: the tree, and every kind of content."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.exports import CREATED, chatgpt_conversation, chatgpt_node

from officeai_proxy.formats.reading import chatgpt
from officeai_proxy.formats.reading.imported import BadItem, ImportedConversation, Reading
from officeai_proxy.wire.messages import rebuild

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
READING = Reading(now=NOW, item_bytes=10**6, total_bytes=10**6, max_messages=20)


def read(*nodes: dict[str, Any], **more: Any) -> ImportedConversation:
    """The conversation of *nodes*."""
    return chatgpt.conversation(
        json.loads(json.dumps(chatgpt_conversation(*nodes, **more))), READING
    )


def read_message(content: object, role: str = "assistant", **more: Any) -> dict[str, Any]:
    """The API message of a node with *content*, and the stored message's metadata."""
    item = read(chatgpt_node("a", None, role, content, **more))
    [message] = item.messages
    return {**rebuild(message.role, message.content, message.extra), "stored": message.metadata}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mapping": []}, "`mapping` must be"),
        ({"mapping": {"a": 1}}, "node 'a' is not"),
        ({"mapping": {"a": {"message": {"author": 1}}}}, "`author` must be"),
        ({"mapping": {str(n): {} for n in range(21)}}, "more than 20 messages"),
        ({"mapping": {"a": {"parent": "b"}, "b": {"parent": "a"}}}, "each other's parents"),
        ({"conversation_id": 1}, "`conversation_id` must be"),
        ({"title": 1}, "`title` must be"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], reason: str) -> None:
    """What cannot be read is told by its name."""
    with pytest.raises(BadItem, match=reason):
        read(**change)


def test_branches_are_kept() -> None:
    """Both answers are there, the path leads to the current node, and hidden nodes are not."""
    item = read()

    said = [(message.role, message.content) for message in item.messages]
    assert said == [
        ("user", "Where shall we go?"),
        ("assistant", "To Rome."),
        ("assistant", "To 北京."),
        ("user", "And when?"),
    ]
    assert item.parents == (None, 0, 0, 1)
    assert item.leaf == 3
    assert item.messages[1].model_name == "gpt-4o"
    created = datetime.fromtimestamp(CREATED, UTC)
    assert item.created_at == created
    assert item.updated_at == created + timedelta(minutes=1)
    assert item.messages[3].timestamp == created + timedelta(seconds=4)
    assert (item.session_id, item.title) == ("c0ffee", "Trip")


def test_the_path_may_end_at_a_hidden_node() -> None:
    """Then it ends at the last message that is shown above it."""
    hidden = chatgpt_node("h", "q", "assistant", "x", is_visually_hidden_from_conversation=True)
    item = read(
        chatgpt_node("q", None, "user", "one"), chatgpt_node("a", "q", "user", "two"), hidden
    )

    assert item.leaf == 0


def test_one_without_an_id_has_always_the_same() -> None:
    """A session id is made of what was said, so that importing again finds it."""
    first = read(conversation_id=None, id=None)
    second = read(conversation_id=None, id=None)
    other = read(conversation_id=None, id=None, title="Other")

    assert first.session_id == second.session_id != other.session_id


def test_pictures_are_parts() -> None:
    """Text and pictures become parts; what ChatGPT tells of a picture is kept."""
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-1", "width": 2}
    speech = {"content_type": "audio_transcription", "text": "spoken"}
    content = {"content_type": "multimodal_text", "parts": [picture, speech, "What is it?", ""]}

    message = read_message(content, role="user")

    assert message["content"] == [
        {**picture, "type": "image_asset_pointer"},
        {"type": "text", "text": "spoken"},
        {"type": "text", "text": "What is it?"},
    ]
    assert message["stored"] == {"content_type": "multimodal_text"}


def test_files_that_came_with_a_message_are_named() -> None:
    """A document stands in the message's metadata only; without any nothing is added."""
    document = {"id": "file-1", "name": "报告.pdf", "mimeType": "application/pdf", "size": 5}

    assert read_message("Sum it up", role="user", attachments=[document])["stored"] == {
        "attachments": [document]
    }
    assert read_message("Sum it up", role="user", attachments=[])["stored"] is None


def test_parts_of_text_are_one_text() -> None:
    """Several parts of text are lines of one."""
    assert read_message({"content_type": "text", "parts": ["a", "b"]})["content"] == "a\nb"


def test_code_goes_to_a_tool_and_its_output_comes_back() -> None:
    """Code is what the assistant says to a tool, and output is what the tool says."""
    code = read_message(
        {"content_type": "code", "language": "python", "text": "1+1"}, recipient="python"
    )
    output = read_message(
        {"content_type": "execution_output", "text": "2"}, role="tool", author_name="python"
    )

    assert (code["role"], code["content"]) == ("assistant", "1+1")
    assert code["stored"] == {"content_type": "code", "recipient": "python", "language": "python"}
    assert output == {
        "role": "tool",
        "content": "2",
        "name": "python",
        "stored": {"content_type": "execution_output"},
    }


def test_quotes_keep_their_source() -> None:
    """The words of a page that was read, with its address and title beside them."""
    content = {"content_type": "tether_quote", "url": "https://a.test", "title": "A", "text": "w"}

    message = read_message(content, role="tool")

    assert message["content"] == "w"
    assert message["stored"] == {
        "content_type": "tether_quote",
        "url": "https://a.test",
        "title": "A",
    }


def test_thoughts_are_reasoning() -> None:
    """What a model thought stands where the API's servers put it."""
    thoughts = [{"summary": "s", "content": "first"}, {"summary": "second", "content": ""}]

    message = read_message({"content_type": "thoughts", "thoughts": thoughts})
    recap = read_message({"content_type": "reasoning_recap", "content": "Thought for 5 s"})

    assert message["reasoning_content"] == "first\n\nsecond"
    assert recap["reasoning_content"] == "Thought for 5 s"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"content_type": "new_kind", "text": "words"}, "words"),
        ({"content_type": "tether_browsing_display", "result": "words"}, "words"),
        ({"content_type": "model_editable_context", "model_set_context": "words"}, "words"),
        ({"content_type": "citable_code_output", "output_str": "words"}, "words"),
        ({"content_type": "other", "parts": ["words", {"x": 1}]}, "words"),
        ({"content_type": "text"}, ""),
        ({"content_type": 1}, ""),
        ({}, ""),
    ],
)
def test_other_kinds_give_their_words(content: object, text: str) -> None:
    """A kind of content that is not known is not lost."""
    assert read_message(content)["content"] == text


@pytest.mark.parametrize("role", ["critic", 5, ["user"], {"role": "user"}])
def test_an_unknown_role_is_the_assistants(role: Any) -> None:
    """A role that the API does not have, or that is no name, is taken for the program's side."""
    assert read_message("x", role=role)["role"] == "assistant"
