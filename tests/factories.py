"""Readable test data: exchanges as the hot path hands them to the journal."""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

from officeai_proxy.model import Exchange, Outcome

_numbers = count(1)
_START = 1_700_000_000_000_000_000

Messages = Sequence[dict[str, Any]]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def request_body(messages: Messages, **more: Any) -> bytes:
    """A chat request."""
    return json.dumps({"model": "asked", "messages": list(messages), **more}).encode()


def reply_body(messages: Messages, **more: Any) -> bytes:
    """A JSON reply with one choice for each of *messages*; nothing for none."""
    if not messages:
        return b""
    choices = [
        {"index": n, "message": message, "finish_reason": "stop"}
        for n, message in enumerate(messages)
    ]
    body = {"id": "chatcmpl-1", "model": "served", "choices": choices, **more}
    return json.dumps(body).encode()


def an_exchange(
    request: Messages | bytes = (user("hi"),),
    reply: Messages | bytes | None = (assistant("hello"),),
    **more: Any,
) -> Exchange:
    """A recorded chat call; *reply* None: the upstream failed. Each is a second after the last."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": UUID(int=(0x7 << 76) | (0b10 << 62) | (number << 80)),
        "workspace": "default",
        "key_id": "key_1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "upstream.test",
        "started_ns": _START + number * 1_000_000_000,
        "duration_ns": 500_000_000,
        "outcome": Outcome.COMPLETE if reply is not None else Outcome.UPSTREAM_ERROR,
        "client_ip": "10.0.0.1",
        "is_recorded": True,
        "session": "s1",
        "user": "ann",
        "status": 200 if reply is not None else 502,
        "first_byte_ns": 100_000_000 if reply is not None else None,
        "model_asked": "asked",
        "model_sent": "sent",
        "content_type": "application/json" if reply is not None else "",
        "request": request if isinstance(request, bytes) else request_body(request),
        "reply": reply if isinstance(reply, bytes) else reply_body(reply or ()),
    }
    return Exchange(**{**given, **more})
