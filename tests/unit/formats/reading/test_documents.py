"""Whole files of every kind, and of none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exports import (
    CURSOR,
    chatgpt_conversation,
    own_conversation,
    own_json,
    own_jsonl,
    webui_chat,
    webui_export,
)
from tests.passages import talk, written

from officeai_proxy.formats.reading.documents import read_document
from officeai_proxy.formats.reading.encoded import CHUNK
from officeai_proxy.formats.reading.imported import (
    Fault,
    ImportedConversation,
    Item,
    Reading,
    UnknownFile,
)

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
READING = Reading(now=NOW, item_bytes=100_000, total_bytes=10**6)


def read(data: bytes, reading: Reading = READING) -> list[Item]:
    """What a file of *data* holds."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield BytesIO(data)

    return list(read_document(opened, reading))


def read_one(value: object) -> ImportedConversation:
    """The conversation of a file with just *value*."""
    [item] = read(json.dumps([value]).encode())
    assert isinstance(item, ImportedConversation), item
    return item


def conversations_in(items: list[Item]) -> list[ImportedConversation]:
    """The conversations without the faults."""
    return [item for item in items if isinstance(item, ImportedConversation)]


def sessions(items: list[Item]) -> list[str | None]:
    """The session of each conversation, None for a fault."""
    return [None if isinstance(item, Fault) else item.session_id for item in items]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n\t",
        b"\xef\xbb\xbf",
        b"hello",
        b"# A page\n\n**bold** and text\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"null",
        b'"text"',
        b"[1, 2]",
        b'[{"a": 1}]',
        b'{"a": 1}',
        b'{"messages": 1}',
        b'{"a": 1}\n{"b": 2}\n',
        b'{"conversations": 5}',
        b'{"format": "officeai-conversations", "conversations": null, "complete": true}',
        b"{",
        b"[{",
        b"{{{{",
        b"\0" * 100,
        b"[" * 100_000,
        b"1," * 5000,
        b"[" + b"1," * 5000 + b"1]",
    ],
)
def test_what_is_none_of_them_is_refused(data: bytes) -> None:
    """A file without any conversation is unknown, and the message says what can be imported."""
    with pytest.raises(UnknownFile, match=r"ChatGPT's conversations\.json"):
        read(data)


def test_a_newer_version_is_refused() -> None:
    """A file of a version to come is not guessed at."""
    with pytest.raises(UnknownFile, match="newer version"):
        read(own_json(own_conversation(), version=2))


def test_no_conversations_are_none() -> None:
    """An export of nothing has nothing, and is no error."""
    assert read(own_json()) == []
    assert read(b"[]") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", ["json", "indented", "sorted", "jsonl", "one line", "array"])
def test_our_own_in_every_layout(kind: str, encoding: str) -> None:
    """However a tool laid it out again, our own export is the same conversations."""
    one, two = own_conversation("s1"), own_conversation("s2")
    value = json.loads(own_json(one, two))
    text = {
        "json": own_json(one, two).decode(),
        "indented": json.dumps(value, indent=2),
        "sorted": json.dumps(value, sort_keys=True),
        "jsonl": own_jsonl(one, two).decode().replace("\n", "\r\n"),
        "one line": own_jsonl(one).decode(),
        "array": json.dumps([one, two]),
    }[kind]

    items = read(text.encode(encoding))

    assert sessions(items) == (["s1"] if kind == "one line" else ["s1", "s2"])
    first = items[0]
    assert isinstance(first, ImportedConversation)
    expected = read_one(one)
    assert [m.identity for m in first.messages] == [m.identity for m in expected.messages]
    if kind != "sorted":
        assert first == expected


@given(
    cut=st.integers(0, 10_000), kind=st.sampled_from(["json", "jsonl", "chatgpt", "webui", "md"])
)
def test_a_file_cut_anywhere_keeps_what_was_whole(cut: int, kind: str) -> None:
    """Cut at any byte, a file gives conversations as they are in the whole one, or a reason."""
    data = {
        "json": own_json(own_conversation("s1"), own_conversation("s2")),
        "jsonl": own_jsonl(own_conversation("s1"), own_conversation("s2")),
        "chatgpt": json.dumps([chatgpt_conversation(), chatgpt_conversation(id="x")]).encode(),
        "webui": json.dumps([webui_export(), webui_export(id="chat-2")]).encode(),
        "md": CURSOR.encode(),
    }[kind]
    whole = read(data)

    try:
        items = read(data[: cut % len(data)])
    except UnknownFile:
        return

    if kind != "md":
        assert [item for item in items if not isinstance(item, Fault)] == whole[
            : len(items) - sum(isinstance(item, Fault) for item in items)
        ]
    if kind == "json":
        assert isinstance(items[-1], Fault) or data[cut % len(data) :].strip() == b""


def test_a_damaged_line_hides_no_other() -> None:
    """Of a JSON Lines file every line stands for itself, the first one too."""
    good = own_jsonl(own_conversation("s2"))

    assert sessions(read(b'{"session_id": "s1", "messages": [}\n' + good)) == [None, "s2"]
    assert sessions(read(good + b'{"session_id": \n' + good)) == ["s2", None, "s2"]
    assert sessions(read(good + b'{"messages": [{"role": "us')) == ["s2", None]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("shape", ["json", "jsonl", "array"])
def test_one_over_the_limit_fails_alone(shape: str, place: int) -> None:
    """A conversation that is too large is told with the setting's name; its neighbours come."""
    large = own_conversation("large", title="x" * 2 * CHUNK)
    all_of_them = [own_conversation("s1"), own_conversation("s3")]
    all_of_them.insert(place, large)
    data = {
        "json": own_json(*all_of_them),
        "jsonl": own_jsonl(*all_of_them),
        "array": json.dumps(all_of_them).encode(),
    }[shape]

    items = read(data)

    expected: list[str | None] = ["s1", "s3"]
    expected.insert(place, None)
    assert sessions(items) == expected
    assert "OFFICEAI_MAX_IMPORT_ITEM_MB" in str(items[place])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"title": 1}, "`title` must be a text"),
        ({"created_at": "soon"}, "`created_at` must be a moment"),
        ({"metadata": []}, "`metadata` must be a JSON object"),
        ({"leaf": 99}, "`leaf` must be the `id`"),
        ({"messages": [1]}, "message 1: it is not a JSON object"),
        ({"messages": [{"content": "x"}]}, "message 1: `role` must be a text"),
        ({"messages": [{"role": "user", "token_count": -1}]}, "`token_count` must be"),
        ({"messages": [{"role": "user", "raw": 1}]}, "`raw` must be a JSON object"),
        ({"messages": [{"id": 1, "role": "user", "parent_id": 1}]}, "`parent_id` must be"),
        ({"messages": [{"id": 1, "role": "user"}] * 2}, "`id` must be"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], reason: str) -> None:
    """A conversation with a wrong value fails alone, and the reason names the value."""
    wrong = {**own_conversation("wrong"), "leaf": None, **change}

    items = read(own_json(own_conversation("s1"), wrong, counts=None))

    assert sessions(items) == ["s1", None]
    assert reason in str(items[1])


@pytest.mark.parametrize(
    "text", ['"a\0b"', '"\\ud800"', '"\xff"', "1e400", "2" * 100, "NaN", '"\x80"']
)
def test_strange_texts_are_stored_or_refused(text: str) -> None:
    """NUL, half a character, numbers without end: a value or a reason, never another failure."""
    head = '[{"session_id": "s1", "messages": [{"role": "user", "content": "x", "odd": '

    [item] = read((head + text + "}]}]").encode("latin-1"))

    assert isinstance(item, (ImportedConversation, Fault))


def test_what_the_file_says_of_itself_is_checked() -> None:
    """A file that does not say it is complete, or counts otherwise, is told beside its content."""
    one = own_conversation()

    assert "not say that it is complete" in str(read(own_json(one, complete=False))[1])
    assert "says that it has 5" in str(read(own_json(one, counts={"conversations": 5}))[1])
    assert "damaged or not whole" in str(read(own_json(one) + b"x")[1])


def test_our_own_tree() -> None:
    """Parents, path, times, metadata and whole messages are those of the file."""
    item = read_one(own_conversation(deleted_at="2026-02-01T00:00:00Z"))

    assert item.parents == (None, 0, 1, 0, 3, 4)
    assert item.leaf == 5
    assert (item.title, item.user_identifier) == ("导出", "alice")
    assert item.created_at == datetime(2026, 1, 31, 11, 59, 59, 500_000, UTC)
    assert item.updated_at == datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)
    assert item.deleted_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert item.metadata == {"project": "demo"}
    assert item.messages[1].metadata == {"exchange_id": "e1"}
    assert (item.messages[2].model_name, item.messages[2].token_count) == ("gpt-4o", 7)
    assert "tool_calls" in (item.messages[4].extra or "")


def test_a_large_conversation_is_the_same() -> None:
    """One that is decoded message by message is what it is when it is decoded whole."""
    padded = (
        json.dumps(own_conversation()).encode().replace(b'"leaf"', b" " * 9_000_000 + b'"leaf"')
    )
    reading = Reading(now=NOW, item_bytes=10**8, total_bytes=10**9)

    assert read(b"[" + padded + b"]", reading) == [read_one(own_conversation())]


def test_a_deep_message_is_taken() -> None:
    """A message may be as deep as a call may be, although it stands deeper in the file."""
    deep = json.loads("[" * 198 + "]" * 198)
    raw = {"role": "user", "content": [{"type": "x", "x": 1}], "odd": deep[0]}
    messages = [{"id": 1, "parent_id": None, "role": "user", "content": "", "raw": raw}]

    item = read_one(own_conversation(messages=messages, leaf=1))

    assert item.messages[0].extra


def test_plain_messages_are_a_line() -> None:
    """A list of roles and contents is a conversation, and the same one every time."""
    parts = [{"type": "text", "text": "ho"}]
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": parts}]
    line = json.dumps({"messages": messages}).encode()

    [item], [again] = read(line), read(line)

    assert isinstance(item, ImportedConversation)
    assert item.parents == (None, 0)
    assert [m.content for m in item.messages] == ["hi", "ho"]
    assert item.created_at == NOW
    assert isinstance(again, ImportedConversation)
    assert item.session_id == again.session_id
    assert item.user_identifier is None


@pytest.mark.parametrize("single", [True, False])
def test_chatgpt_is_recognised(single: bool) -> None:
    """An array of conversations, and one by itself."""
    value = chatgpt_conversation()

    [item] = read(json.dumps(value if single else [value], indent=1).encode())

    assert sessions([item]) == ["c0ffee"]


@pytest.mark.parametrize("value", [[webui_export()], webui_export(), webui_chat(id="chat-1")])
def test_open_webui_is_recognised(value: object) -> None:
    """All chats, one chat, and the inner object of one."""
    assert sessions(read(json.dumps(value).encode())) == ["chat-1"]


def test_markdown_is_recognised() -> None:
    """A chat that Cursor exported; one that is not UTF-8 fails with that reason."""
    [item] = read(CURSOR.replace("\n", "\r\n").encode())

    assert isinstance(item, ImportedConversation)
    assert item.title == "怎样备份数据库"
    assert read(CURSOR.encode("gb18030")) == [
        Fault("the text is not UTF-8; save it in that encoding.")
    ]


def test_conversations_without_messages_hide_no_others() -> None:
    """Our Markdown of conversations in which nothing was said has each of them, in order."""
    for passages in ([talk()], [talk(title="A"), talk("hi", title="B"), talk(title="C")]):
        items = read(written("md", passages))

        found = [(item.title, len(item.messages)) for item in conversations_in(items)]
        assert found == [(one.conversation.title, len(one.lines)) for one in passages]


def test_markdown_over_the_limit_fails() -> None:
    """A text longer than one conversation may be is told so."""
    [item] = read(CURSOR.encode() + b"x" * 100_000)

    assert "OFFICEAI_MAX_IMPORT_ITEM_MB" in str(item)


def test_strangers_among_conversations_are_told() -> None:
    """What is no conversation is a fault as soon as something else in the file is one."""
    items = read(json.dumps([1, {"a": 1}, chatgpt_conversation(), "x"]).encode())

    assert sessions(items) == [None, None, "c0ffee", None]
