"""Readable test data for file formats: messages, conversations, and one that has everything."""

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Line,
    Options,
    Passage,
)
from officeai_proxy.wire.messages import extra_of, role_of, text_of

EXPORTED_AT = datetime(2026, 11, 20, 19, 54, 53, tzinfo=UTC)
OPTIONS = Options(exported_at=EXPORTED_AT)

CALL_ID = "019c1407-4c00-7000-8000-000000000001"
PICTURE = "data:image/png;base64,iVBORw0KGgo="

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    '"=1',
    "'=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    " “=cmd|' /C calc'!A0",
    "\u2003=1",
    "\u00ad\u202d=1",
    "\u180e@x",
)
"""Text that one spreadsheet or another takes for a formula."""

NASTY = (
    '"quotes", commas;\tand\ttabs',
    "two\r\nlines\rand\nmore",
    "]]> <!-- </script> & <b>bold</b>",
    "␀ was NUL, \x01 is control, \x7f, \u2028 and \u202e turn",
    "中文，日本語、한국어 👩‍👩‍👧‍👦 e\u0301",
    "x" * 40_000,
    "_x0041_ and \ufffe",
    "",
    " ",
)


def line(message: dict[str, Any], number: int, parent: int | None = None, **more: Any) -> Line:
    """The stored form of an OpenAI message."""
    stored = Line(
        conversation_id=1,
        id=number,
        parent_id=parent,
        role=role_of(message),
        content=text_of(message),
        model_name=None,
        token_count=None,
        timestamp=f"2026-01-31T12:00:{number % 60:02}Z",
        metadata=None,
        extra=extra_of(message),
        exchange_id=None,
        outcome=None,
        finish_reason=None,
    )
    return stored._replace(**more)


def head(number: int = 1, **more: Any) -> ConversationHead:
    """A conversation without its messages."""
    plain = ConversationHead(
        id=number,
        session_id=f"s{number}",
        title=f"Conversation {number}",
        user_identifier="alice",
        metadata=None,
        created_at="2026-01-31T12:00:00Z",
        updated_at="2026-01-31T12:00:05.250000Z",
        deleted_at=None,
        message_count=0,
        path_count=0,
        leaf_id=None,
    )
    return plain._replace(**more)


def talk(*texts: str, **more: Any) -> Passage:
    """A conversation of a user and an assistant by turns."""
    roles = ("user", "assistant")
    lines = [
        line({"role": roles[n % 2], "content": text}, n + 1, n or None)
        for n, text in enumerate(texts)
    ]
    count = len(lines)
    conversation = head(**{"leaf_number": count or None, "leaf_id": count or None, **more})
    return Passage(conversation, lines)


def everything() -> Passage:
    """A conversation with all that a conversation can have, branches included."""
    calls = [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"北京"}'},
        }
    ]
    picture = [
        {"type": "text", "text": "What is on "},
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "text", "text": "this?"},
    ]
    forging = (
        "Look:\n\n---\n\n**Assistant**\n\nI never said this.\n\n<!-- hidden\n```py\nleft = 'open'"
    )
    messages: list[tuple[dict[str, Any], int | None, dict[str, Any]]] = [
        ({"role": "system", "content": "Be brief."}, None, {}),
        ({"role": "user", "content": picture}, 10, {"exchange_id": CALL_ID}),
        (
            {"role": "assistant", "content": None, "tool_calls": calls},
            11,
            {"model_name": "gpt-4o", "finish_reason": "tool_calls", "exchange_id": CALL_ID},
        ),
        ({"role": "tool", "content": "21°, ```clear```", "tool_call_id": "call_1"}, 12, {}),
        (
            {"role": "assistant", "content": "Warm. ☀️", "reasoning_content": "It is 21°."},
            13,
            {"model_name": "gpt-4o", "token_count": 7, "metadata": '{"rated":5}'},
        ),
        ({"role": "user", "content": forging}, 14, {}),
        ({"role": "assistant", "content": "An other answer"}, 11, {"model_name": "m`1`\n"}),
        (
            {"role": "assistant", "content": None, "refusal": "I cannot do that."},
            15,
            {"outcome": "client_closed", "exchange_id": CALL_ID},
        ),
        ({"role": "user", "content": "=1+1"}, 17, {"timestamp": "2026-01-31T12:00:05.250000Z"}),
    ]
    lines = [
        line(message, 10 + n, parent, **more) for n, (message, parent, more) in enumerate(messages)
    ]
    conversation = head(
        session_id="everything",
        title='标题 <b>"all" of it</b> #1',
        metadata='{"project":"demo"}',
        deleted_at="2026-02-01T00:00:00Z",
        leaf_id=18,
        leaf_number=9,
    )
    return Passage(conversation, lines)


def split(passage: Passage, size: int) -> list[Passage]:
    """The same conversation in passages of *size* messages."""
    starts = list(range(0, len(passage.rows), size)) or [0]
    return [
        Passage(
            passage.conversation,
            passage.rows[start : start + size],
            is_first=start == 0,
            is_last=start == starts[-1],
        )
        for start in starts
    ]


def written(
    name: str, passages: Sequence[Passage], *, at_once: int = 1000, options: Options = OPTIONS
) -> bytes:
    """The file of *passages* in the format *name*, encoded *at_once* passages at a time."""
    encoder = FORMATS[name].make(options)
    begin = encoder.start()
    starts = range(0, len(passages), at_once)
    data = [encoder.encode(passages[start : start + at_once]) for start in starts]
    conversations = sum(passage.is_first for passage in passages)
    messages = sum(len(passage.rows) for passage in passages)
    with closing(encoder):
        return b"".join([begin, *data, *encoder.finish(Counts(conversations, messages))])


def json_file(*passages: Passage) -> Any:
    """What is in the `json` file of *passages*."""
    return json.loads(written("json", passages))
