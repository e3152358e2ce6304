"""Examples on the API page that work when they are tried, from top to bottom, on a new proxy.

What is cleared, erased or deleted on the way is not what a later example is about: the first call
records `demo-session` of user123, which stays to the end.
"""

from typing import Any

from fastapi.openapi.models import Example

from officeai_proxy.api.lists import example_of

OTHER_USER: dict[str, Example] = {"demo": {"value": "user456"}}

IMPORTED_SESSION: dict[str, Example] = {"demo": {"value": "imported-session"}}

IMPORT: dict[str, Any] = {
    "demo": {
        "summary": "An export of this proxy",
        "value": {
            "format": "officeai-conversations",
            "version": 1,
            "conversations": [
                {
                    "session_id": "imported-session",
                    "title": "Python 装饰器",
                    "user_identifier": "user123",
                    "messages": [
                        {"role": "user", "content": "什么是装饰器？"},
                        {"role": "assistant", "content": "A function that wraps a function."},
                    ],
                }
            ],
            "complete": True,
        },
    }
}

NEW_CONVERSATION: dict[str, Example] = {
    "demo": {
        "summary": "A conversation of user456",
        "value": {"user_identifier": "user456", "title": "我的会话", "session_id": "new-session"},
    }
}

CHANGE: dict[str, Example] = {
    "title": {"summary": "A new title", "value": {"title": "新的会话标题"}},
    "metadata": {"summary": "New metadata", "value": {"metadata": {"project": "demo"}}},
}

MESSAGES: dict[str, Example] = {
    "one": {
        "summary": "One message",
        "value": {
            "role": "user",
            "content": "你好，请帮我解释一下Python装饰器",
            "model_name": "gpt-3.5-turbo",
            "token_count": 15,
        },
    },
    "several": {
        "summary": "A question and its answer",
        "value": [
            {"role": "user", "content": "What is a decorator?"},
            {"role": "assistant", "content": "A function that wraps a function."},
        ],
    },
}

CONVERSATION: dict[str, Any] = {
    "id": 1,
    "session_id": "demo-session",
    "title": "我的会话",
    "user_identifier": "user123",
    "workspace": "default",
    "metadata": {},
    "message_count": 1,
    "created_at": "2026-01-31T12:00:00.000000Z",
    "updated_at": "2026-01-31T12:00:05.250000Z",
    "deleted_at": None,
}

MESSAGE: dict[str, Any] = {
    "id": 1,
    "parent_id": None,
    "role": "user",
    "content": "你好，请帮我解释一下Python装饰器",
    "model_name": "gpt-3.5-turbo",
    "token_count": 15,
    "timestamp": "2026-01-31T12:00:05.250000Z",
    "metadata": {},
    "raw": {"role": "user", "content": "你好，请帮我解释一下Python装饰器"},
}

CONVERSATION_WITH_MESSAGES: dict[str, Any] = {
    **CONVERSATION,
    "has_more": False,
    "next_cursor": None,
    "messages": [MESSAGE],
}

SEARCH: dict[str, Example] = {
    "demo": {"summary": "Words in two languages", "value": "Python装饰器"},
    "phrase": {"summary": "A phrase", "value": '"a decorator"'},
}

HIT: dict[str, Any] = {
    "conversation": CONVERSATION,
    "message": MESSAGE,
    "snippet": "你好，请帮我解释一下Python装饰器",
    "highlights": [[10, 16], [16, 19]],
}

HIT_LIST: dict[str, Any] = {
    "object": "list",
    "data": [HIT],
    "limit": 20,
    "has_more": False,
    "next_cursor": None,
}

CONVERSATION_LIST = example_of(CONVERSATION, limit=50)

MESSAGE_LIST = example_of(MESSAGE, limit=50)

CALL: dict[str, Any] = {
    "time": "2026-01-31T12:00:00.000000Z",
    "api": "/v1/chat/completions",
    "service_name": "api.openai.com",
    "service_type": "chat",
    "method": "POST",
    "params": {"model": "officeai", "stream": True},
    "result": {"status_code": 200},
    "model": "gpt-3.5-turbo",
    "user": "user123",
    "session": "demo-session",
    "upstream": "api.openai.com",
    "latency_ms": 1250.5,
    "ttft_ms": 310.25,
    "prompt_tokens": 15,
    "completion_tokens": 120,
    "total_tokens": 135,
    "cached_tokens": 0,
    "reasoning_tokens": None,
    "cost": 0.0001875,
    "stream": True,
    "outcome": "complete",
    "error": None,
    "exchange_id": "019c1407-4c00-7000-8000-000000000001",
    "key_id": "configured-1",
    "client_ip": "127.0.0.1",
}

ONE_USER: dict[str, Any] = {
    "user_identifier": "user123",
    "conversations": 1,
    "messages": 1,
    "first_seen_at": "2026-01-31T12:00:00.000000Z",
    "last_active_at": "2026-01-31T12:00:05.250000Z",
}

USER_LIST = example_of(ONE_USER)

ERASED: dict[str, Any] = {
    "user_identifier": "user123",
    "conversations": 1,
    "messages": 1,
    "calls": 0,
}

_TIMES: dict[str, Any] = {"p50": 1264.0, "p95": 4032.0, "p99": 8064.0}

_NUMBERS: dict[str, Any] = {
    "calls": 1204,
    "errors": 7,
    "prompt_tokens": 18060,
    "completion_tokens": 144480,
    "total_tokens": 162540,
    "cost": 0.22575,
    "priced_calls": 1197,
    "latency_ms": _TIMES,
    "ttft_ms": {"p50": 312.0, "p95": 632.0, "p99": 1008.0},
}

STATS: dict[str, Any] = {
    "object": "list",
    "group_by": "day",
    "data": [{"key": "2026-01-31", **_NUMBERS}],
    "total": _NUMBERS,
    "limit": 100,
    "has_more": False,
    "next_cursor": None,
}
