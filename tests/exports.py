"""Files as other programs export them, made by hand, for tests of reading and importing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

CREATED = 1_700_000_000.25


def own_message(number: int, parent: int | None, role: str, content: str, **more: Any) -> dict:  # type: ignore[type-arg]  # JSON
    """A message as our own export writes it."""
    return {
        "id": number,
        "parent_id": parent,
        "role": role,
        "content": content,
        "model_name": None,
        "token_count": None,
        "timestamp": f"{NOON + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}",
        "metadata": {},
        **more,
    }


def own_conversation(session: str = "s1", **more: Any) -> dict[str, Any]:
    """A conversation with a branch: the question was edited, and the path goes through the edit."""
    messages = [
        own_message(1, None, "system", "Be brief."),
        own_message(2, 1, "user", "一次导出？", metadata={"exchange_id": "e1"}),
        own_message(3, 2, "assistant", "Yes.", model_name="gpt-4o", token_count=7),
        own_message(4, 1, "user", "Everything at once?"),
        own_message(
            5,
            4,
            "assistant",
            "",
            raw={
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
        ),
        own_message(
            6, 5, "tool", "42", raw={"role": "tool", "content": "42", "tool_call_id": "c1"}
        ),
    ]
    return {
        "session_id": session,
        "title": "导出",
        "user_identifier": "alice",
        "metadata": {"project": "demo"},
        "created_at": "2026-01-31T11:59:59.500000Z",
        "updated_at": "2026-01-31T12:00:30Z",
        "leaf": 6,
        "messages": messages,
        **more,
    }


def own_json(*conversations: dict[str, Any], **more: Any) -> bytes:
    """Our own `json` export of *conversations*."""
    count = sum(len(one["messages"]) for one in conversations)
    value = {
        "format": "officeai-conversations",
        "version": 1,
        "conversations": list(conversations),
        "counts": {"conversations": len(conversations), "messages": count},
        "complete": True,
        **more,
    }
    return json.dumps(value, ensure_ascii=False).encode()


def own_jsonl(*conversations: dict[str, Any]) -> bytes:
    """Our own `jsonl` export of *conversations*."""
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in conversations]
    return "".join(lines).encode()


def chatgpt_node(
    name: str,
    parent: str | None,
    role: str | None = None,
    content: object = None,
    *,
    second: float = 0,
    **more: Any,
) -> dict[str, Any]:
    """A node of ChatGPT's tree; *content* is a text or the whole content object."""
    node: dict[str, Any] = {"id": name, "parent": parent, "children": [], "message": None}
    if role is None:
        return node
    if isinstance(content, str):
        content = {"content_type": "text", "parts": [content]}
    node["message"] = {
        "id": name,
        "author": {"role": role, "name": more.pop("author_name", None), "metadata": {}},
        "create_time": CREATED + second,
        "content": content,
        "status": "finished_successfully",
        "weight": 1.0,
        "recipient": more.pop("recipient", "all"),
        "metadata": more,
    }
    return node


def chatgpt_conversation(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conversation as ChatGPT exports it; by default one with a branch and hidden nodes."""
    chosen = nodes or (
        chatgpt_node("root", None),
        chatgpt_node("sys", "root", "system", "", is_visually_hidden_from_conversation=True),
        chatgpt_node("q", "sys", "user", "Where shall we go?", second=1),
        chatgpt_node("a1", "q", "assistant", "To Rome.", second=2, model_slug="gpt-4o"),
        chatgpt_node("a2", "q", "assistant", "To 北京.", second=3, model_slug="gpt-4o"),
        chatgpt_node("q2", "a1", "user", "And when?", second=4),
    )
    return {
        "title": "Trip",
        "create_time": CREATED,
        "update_time": CREATED + 60,
        "mapping": {node["id"]: node for node in chosen},
        "current_node": chosen[-1]["id"],
        "conversation_id": "c0ffee",
        **more,
    }


def webui_chat(**more: Any) -> dict[str, Any]:
    """The inner object of a chat as Open WebUI exports it, with two answers to one question."""
    return {
        "title": "Trip",
        "models": ["llama3"],
        "timestamp": 1_700_000_000_000,
        "history": {
            "currentId": "a1",
            "messages": {
                "q": {
                    "id": "q",
                    "parentId": None,
                    "childrenIds": ["a1", "a2"],
                    "role": "user",
                    "content": "What is this?",
                    "files": [{"type": "image", "url": "data:image/png;base64,AA=="}],
                    "timestamp": 1_700_000_001,
                },
                "a1": {
                    "id": "a1",
                    "parentId": "q",
                    "role": "assistant",
                    "content": "A cat.",
                    "model": "llama3",
                    "timestamp": 1_700_000_003,
                    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
                },
                "a2": {
                    "id": "a2",
                    "parentId": "q",
                    "role": "assistant",
                    "content": "A dog.",
                    "model": "qwen",
                    "timestamp": 1_700_000_002,
                },
            },
        },
        **more,
    }


def webui_export(**more: Any) -> dict[str, Any]:
    """One chat of Open WebUI's export of all chats."""
    return {
        "id": "chat-1",
        "user_id": "u-1",
        "title": "Trip",
        "chat": webui_chat(),
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_100,
        **more,
    }


CURSOR = """# 怎样备份数据库
_Exported on 9/12/2025 at 20:05:06 GMT+8 from Cursor (1.5.5)_

---

**User**

怎样备份？

---

**Cursor**

先停止写入。

### Steps
- Run:
  ```sh
  pg_dump db > backup.sql
  ```

---

A rule of its own, and a fence with a turn that is none:

```markdown
---

**User**

not said
```

---

**User**

"Export chat " only one?

---

**Cursor**

- Yes.
"""
