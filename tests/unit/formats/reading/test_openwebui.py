"""Open WebUI's chats: the tree, the plain list, files and tokens."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.exports import webui_chat, webui_export

from officeai_proxy.formats.reading import openwebui
from officeai_proxy.formats.reading.imported import BadItem, ImportedConversation, Reading
from officeai_proxy.wire.messages import rebuild

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
READING = Reading(now=NOW, item_bytes=10**6, total_bytes=10**6, max_messages=20)


def read(value: Any) -> ImportedConversation:
    """The conversation of one chat."""
    return openwebui.conversation(value, READING)


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (1, "`chat` must be"),
        ({"history": 1}, "`history` must be"),
        ({"history": {"messages": {"a": 1}}}, "message 'a' is not"),
        ({"history": {"messages": {"a": {}}}}, "message 'a' has no role"),
        ({"messages": [1]}, r"`messages\[0\]` must be"),
        ({"messages": [{"role": "user"}] * 21}, "more than 20 messages"),
    ],
)
def test_a_wrong_value_is_named(chat: object, reason: str) -> None:
    """What cannot be read is told by its name."""
    with pytest.raises(BadItem, match=reason):
        read({"id": "x", "chat": chat})


def test_the_tree() -> None:
    """Both answers are there, in the order of time, and the path leads to the current one."""
    item = read(webui_export())

    assert [message.content for message in item.messages] == ["What is this?", "A dog.", "A cat."]
    assert item.parents == (None, 0, 0)
    assert item.leaf == 2
    assert [message.model_name for message in item.messages] == [None, "qwen", "llama3"]
    assert [message.token_count for message in item.messages] == [None, None, 4]
    assert item.messages[0].timestamp == datetime.fromtimestamp(1_700_000_001, UTC)
    assert (item.session_id, item.title) == ("chat-1", "Trip")
    assert item.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert item.updated_at == datetime.fromtimestamp(1_700_000_100, UTC)


def test_a_reply_that_failed_says_why() -> None:
    """What went wrong stands beside the reply, which has no words; others have nothing there."""
    error = {"content": "model 'qwen' not found"}
    failed = {"role": "assistant", "content": "", "error": error}
    item = read({"chat": {"messages": [{"role": "user", "content": "hi"}, failed]}})

    assert [message.metadata for message in item.messages] == [None, {"error": error}]


def test_the_user_is_another_programs() -> None:
    """Its user id is no user of ours unless nobody else is named."""
    item = read(webui_export())

    assert item.user_identifier is None
    assert item.foreign_user == "u-1"


def test_files_are_parts() -> None:
    """A picture is a part as the API has it; other files keep what is told of them."""
    files = [{"type": "image", "url": "data:x"}, {"type": "doc", "name": "a.pdf"}, "odd"]
    chat = webui_chat(history={}, messages=[{"role": "user", "content": "see", "files": files}])

    [message] = read(chat).messages

    assert rebuild(message.role, message.content, message.extra)["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:x"}},
        {"type": "file", "name": "a.pdf"},
        {"type": "file", "file": "odd"},
    ]


def test_a_plain_list_is_a_line() -> None:
    """A chat without a tree is its list of messages; its time is in milliseconds."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "info": {"eval_count": 3}},
        {"role": "user", "content": None},
    ]

    item = read(webui_chat(history={}, messages=messages))

    assert item.parents == (None, 0, 1)
    assert item.leaf == 2
    assert [message.token_count for message in item.messages] == [None, 3, None]
    assert item.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert item.session_id == read(webui_chat(history={}, messages=messages)).session_id
