"""What the page is shown with: conversations of every kind, stored directly and by real calls."""

import base64
import json
import math
import random
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import httpx
from sqlalchemy import insert
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, chunk_event, completion

from officeai_proxy.model import Caller, NewMessage, Outcome
from officeai_proxy.storage.calls import hours as call_hours
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import conversations, exchanges
from officeai_proxy.wire.messages import new_messages

HERE = Caller("key-1", "default")
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

LONG = 10_000
"""Messages of the long conversation."""

PYTHON = """Python 是一种**解释型**、面向对象的编程语言，由 Guido van Rossum 于 1991 年发布。

它的特点：

1. 语法简洁，接近自然语言
2. 标准库丰富，“自带电池”
3. 社区庞大，生态成熟

```python
def greet(name: str) -> str:
    return f"你好，{name}！"

print(greet("世界"))
```

| 用途 | 常用库 | 热度 |
|:-----|:------|-----:|
| Web | FastAPI | 95 |
| 数据 | pandas | 98 |
| 深度学习 | PyTorch | 99 |

> 人生苦短，我用 Python。"""

REPORT = """Here is the outline of the **quarterly report**:

- Revenue grew by 12 %, mostly from renewals
- Support answered 94 % of tickets within a day
- Two incidents, both below 20 minutes

Shall I write the summary, or start with the figures?"""

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    "![x](https://evil.example/pixel.png)",
    '![x](https://evil.example/a.png "onerror=alert(1)")',
    "<iframe src=https://evil.example></iframe>",
    "<math><mtext></mtext><mglyph><svg><mtext><style><img src=x onerror=alert(1)></math>",
    "{{ 7 * 7 }} ${alert(1)} {% raw %}",
    '</script><script>alert("json")</script>',
    "line\u2028separator\u2029<b onmouseover=alert(1)>x</b>",
    '"><script src=https://evil.example/x.js></script>',
    "<style>@import url(https://evil.example/x.css);</style>",
    "<a href='&#106;avascript:alert(1)'>x</a> <https://evil.example/?q=<script>>",
    "| a |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    '```"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```',
    "<base href=https://evil.example/><meta http-equiv=refresh content=0;url=//evil.example>",
)
"""What a client or a model may write to make the page do something."""


def spoken(
    role: str,
    content: object,
    when: datetime,
    *,
    tokens: int | None = None,
    model: str | None = None,
    outcome: Outcome = Outcome.COMPLETE,
    finish: str | None = None,
    **more: object,
) -> NewMessage:
    """A message to store, made of an OpenAI message."""
    message = {"role": role, "content": content, **more}
    [new] = new_messages([message], timestamp=when, model_name=model)  # type: ignore[list-item]
    return replace(new, token_count=tokens, outcome=outcome, finish_reason=finish)


async def tell(
    database: Database,
    session: str,
    user: str,
    messages: Sequence[NewMessage],
    *,
    title: str | None = None,
    when: datetime,
) -> int:
    """Store a conversation; its id."""
    async with database.write() as connection:
        conversation = await ConversationRepository(connection, HERE).create(
            session_id=session, user_identifier=user, title=title, metadata={}, now=when
        )
        await MessageRepository(connection, HERE).append(conversation, messages, now=when)
        return conversation.id


async def tell_stories(
    database: Database, now: datetime, *, long: int = LONG, is_hostile: bool = True
) -> dict[str, int]:
    """Store one of each; their ids by a short name."""
    ids = {}
    at = now - 20 * MINUTE
    ids["python"] = await tell(
        database,
        "session-python",
        "user123",
        [
            spoken("system", "你是一名耐心的编程老师。", at),
            spoken("user", "你好，请介绍一下Python编程语言", at, tokens=14),
            spoken("assistant", PYTHON, at + MINUTE / 20, tokens=412, model="gpt-4o"),
            spoken("user", "东京今天的天气怎么样？", at + 2 * MINUTE, tokens=11),
            spoken(
                "assistant",
                None,
                at + 2.1 * MINUTE,
                model="gpt-4o",
                reasoning_content="需要实时信息，应当调用天气工具。",
                tool_calls=[_call("get_weather", {"city": "东京", "unit": "celsius"})],
            ),
            spoken("tool", '{"temp": 18, "sky": "晴"}', at + 2.2 * MINUTE, tool_call_id="call_1"),
            spoken(
                "assistant", "东京今天晴，18 °C。", at + 2.3 * MINUTE, tokens=16, model="gpt-4o"
            ),
            spoken(
                "user",
                [{"type": "text", "text": "这张图是什么颜色？"}, _picture()],
                at + 3 * MINUTE,
            ),
            spoken(
                "assistant",
                "这是一块青绿色的小图，边缘",
                at + 3.1 * MINUTE,
                model="gpt-4o",
                outcome=Outcome.CLIENT_CLOSED,
            ),
        ],
        title="介绍一下 Python",
        when=at + 3.1 * MINUTE,
    )
    at = now - 70 * MINUTE
    ids["report"] = await tell(
        database,
        "q3-report",
        "ann@example.com",
        [
            spoken("user", "Quarterly report: where do I begin?", at, tokens=9),
            spoken("assistant", REPORT, at + MINUTE / 12, tokens=96, model="gpt-4o-mini"),
            spoken("user", "The summary, in one paragraph.", at + MINUTE, tokens=7),
            spoken(
                "assistant",
                "The third quarter was steady: revenue grew by twelve per cent, and",
                at + 1.1 * MINUTE,
                tokens=16,
                model="gpt-4o-mini",
                finish="length",
            ),
        ],
        title="Quarterly report: where do I begin?",
        when=at + 1.1 * MINUTE,
    )
    if is_hostile:
        ids["hostile"] = await tell_hostile(database, now - 3 * DAY)
        ids["foreign"] = await tell_foreign(database, now - 4 * DAY)
    ids["long"] = await tell_long(database, now - 2 * DAY, long)
    for number, (title, user, age) in enumerate(_OTHERS):
        moment = now - age
        said = [spoken("user", title, moment), spoken("assistant", "…", moment, model="qwen-max")]
        await tell(database, f"other-{number}", user, said, title=title, when=moment)
    return ids


async def tell_long(database: Database, when: datetime, count: int) -> int:
    """A conversation of *count* messages."""
    said = [
        spoken("user", f"Question {n}: what is {n} times {n}?", when)
        if n % 2
        else spoken("assistant", f"It is **{(n - 1) ** 2}**.\n\n- step {n}", when, model="gpt-4o")
        for n in range(1, count + 1)
    ]
    return await tell(database, "long", "user123", said, title="A very long talk", when=when)


async def tell_hostile(database: Database, when: datetime) -> int:
    """A conversation that has HOSTILE in every field that a client or a model controls."""
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    said = [spoken("user", text, when) for text in HOSTILE]
    said += [spoken("assistant", text, when, model=bad) for text in HOSTILE]
    said += [
        spoken("system", bad, when),
        spoken("assistant", bad, when, reasoning_content=bad, tool_calls=[_call(bad, {bad: bad})]),
        spoken("tool", bad, when, tool_call_id=bad, name=bad),
        spoken(
            "user",
            [{"type": "image_url", "image_url": {"url": f"https://evil.example/{bad}"}}],
            when,
        ),
        spoken("user", [{"type": "image_url", "image_url": {"url": f"javascript:{bad}"}}], when),
        spoken("user", [{"type": bad, bad: bad}], when),
    ]
    user = "<img src=x onerror=alert(1)>"
    call = {
        "exchange_id": UUID(int=666),
        "workspace": "default",
        "key_id": "<b>key</b>",
        "method": "POST",
        "path": f"/v1/{bad}",
        "upstream": bad,
        "user_identifier": user,
        "session_id": bad,
        "client_ip": "10.0.0.7",
        "started_at": when,
        "latency_ms": 1.0,
        "status_code": 500,
        "outcome": "upstream_error",
        "error": bad,
        "model_asked": bad,
        "model_served": bad,
    }
    async with database.write() as connection:
        await connection.execute(insert(exchanges), [call])
    return await tell(database, '"><svg onload=alert(1)>', user, said, title=bad, when=when)


async def tell_foreign(database: Database, when: datetime) -> int:
    """A conversation with the longest names that there can be, from right to left, and silence."""
    said = [
        spoken("user", "كيف أتعلم Python؟", when),
        spoken(
            "assistant", "مرحبا!\n\n- أولاً: اقرأ الكتاب.\n\nThat is all.", when, model="m" * 200
        ),
        spoken("user", "İİİİİİİİ Python", when),
        spoken("assistant", "", when, model="gpt-4o"),
    ]
    user, title = "عمر" + "u" * 240, "كيف أتعلم Python؟ " + "a" * 900
    return await tell(database, "s" * 255, user, said, title=title, when=when)


async def tell_many(database: Database, count: int, now: datetime, *, users: int = 500) -> None:
    """Store *count* empty conversations at once, a minute apart."""
    rows = [
        {
            "workspace": "default",
            "user_identifier": f"user{number % users}",
            "session_id": f"many-{number}",
            "title": f"Conversation number {number}",
            "message_count": 0,
            "path_count": 0,
            "created_at": now - number * MINUTE,
            "updated_at": now - number * MINUTE,
        }
        for number in range(count)
    ]
    async with database.write() as connection:
        await connection.execute(insert(conversations), rows)


async def tell_calls(database: Database, now: datetime, *, hours: int = 24) -> None:
    """Fill the call log: a day with its busy hours, some of them failing."""
    chance = random.Random(7)
    rows = []
    for back in range(hours):
        busy = 4 + round(22 * max(0.0, math.sin((hours - back) / 24 * math.pi)))
        for _ in range(busy):
            at = now - back * timedelta(hours=1) - timedelta(seconds=chance.randrange(3000))
            failed = chance.random() < (0.3 if back == 5 else 0.04)
            model, price = chance.choice(
                (("gpt-4o", 9e-6), ("gpt-4o-mini", 6e-7), ("qwen-max", 2e-6))
            )
            prompt, completion = chance.randrange(80, 2400), chance.randrange(40, 900)
            ttft = chance.lognormvariate(6, 0.4)
            rows.append(
                {
                    "exchange_id": UUID(int=chance.getrandbits(128)),
                    "workspace": "default",
                    "key_id": chance.choice(("key_laptop", "key_service")),
                    "method": "POST",
                    "path": "/v1/chat/completions",
                    "upstream": "api.openai.com",
                    "user_identifier": chance.choice(("user123", "ann@example.com", "li.wei")),
                    "session_id": f"session-{chance.randrange(40)}",
                    "client_ip": "10.0.0.7",
                    "started_at": at,
                    "latency_ms": ttft + completion * 7.0,
                    "ttft_ms": ttft,
                    "status_code": 429 if failed else 200,
                    "outcome": "complete",
                    "error": "requests: Rate limit reached for gpt-4o." if failed else None,
                    "stream": True,
                    "model_asked": model,
                    "model_served": None if failed else model,
                    "prompt_tokens": None if failed else prompt,
                    "completion_tokens": None if failed else completion,
                    "total_tokens": None if failed else prompt + completion,
                    "cost": None if failed else price * (prompt + completion),
                }
            )
    async with database.write() as connection:
        await connection.execute(insert(exchanges), rows)
        await connection.run_sync(call_hours.add, exchanges.c.id > 0)


def call_for_real(proxy: RunningProxy) -> None:
    """Leave behind what only calls can: two branches of three, an interruption, a failed call."""
    chat = {"model": "gpt-4o", "stream": False}
    with proxy.client("branches", "user123") as client:
        asked = {"role": "user", "content": "Name a colour."}
        answer = _post(client, {**chat, "messages": [asked]})
        for wish in ("A warmer one.", "A colder one.", "One of the sea."):
            again = [asked, answer, {"role": "user", "content": wish}]
            _post(client, {**chat, "messages": again})
    with proxy.client("failed", "ann@example.com") as client:
        _post(
            client,
            {**chat, "messages": [{"role": "user", "content": "Draft the launch announcement"}]},
        )
    with proxy.client("left", "user123") as client, suppress(httpx.HTTPError):
        body = {
            **chat,
            "stream": True,
            "messages": [{"role": "user", "content": "Write a very long story"}],
        }
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            next(answer.iter_raw())


async def script(request: ReceivedRequest, answer: Answer) -> None:
    """An upstream that fails or hangs when it is asked to, and else answers."""
    said = json.dumps(request.json()["messages"])
    if "Draft the launch announcement" in said:
        error = {"error": {"message": "Rate limit reached for gpt-4o.", "type": "requests"}}
        await answer.whole(json.dumps(error).encode(), status=429)
    elif "Write a very long story" in said:
        await answer.begin_events()
        await answer.chunk(chunk_event({"role": "assistant", "content": "This is what had arr"}))
        await answer.until_client_closes()
    else:
        wish = next((wish for wish in _COLOURS if wish in said), "")
        await answer.whole(completion(_COLOURS.get(wish, "Teal: the colour of still water.")))


def _post(client: httpx.Client, body: dict[str, object]) -> dict[str, str]:
    """The message of the reply; an empty one of a refusal."""
    answer = client.post("/v1/chat/completions", json=body).json()
    said = answer["choices"][0]["message"]["content"] if "choices" in answer else ""
    return {"role": "assistant", "content": said}


def _call(name: str, arguments: dict[str, str]) -> dict[str, object]:
    text = json.dumps(arguments, ensure_ascii=False)
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}


def _picture() -> dict[str, object]:
    """A small gradient, written as a PNG (PNG Specification, 5)."""
    width, height = 180, 72
    rows = [
        bytes(v for x in range(width) for v in (11 + x // 3, 110 + y, 95 + x // 2))
        for y in range(height)
    ]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    pieces = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in pieces
    )
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


_COLOURS = {
    "warmer": "Coral: it has the evening in it.",
    "colder": "Slate blue: a morning in November.",
    "sea": "Aquamarine: shallow water over sand.",
}

_OTHERS = (
    ("什么是深度学习？", "user123", 45 * MINUTE),
    ("Explain the CAP theorem", "10.0.0.7", 190 * MINUTE),
    ("写一封请假邮件", "li.wei", 4 * 60 * MINUTE),
    ("Regex for ISO dates", "ann@example.com", 5 * 60 * MINUTE),
    ("周报：本周完成的工作", "li.wei", DAY),
    ("Translate to French: good evening", "10.0.0.7", DAY + 30 * MINUTE),
    ("SQL：按月统计订单", "user123", DAY + 90 * MINUTE),
    ("Docker compose for PostgreSQL", "ann@example.com", 2 * DAY + 70 * MINUTE),
    ("数据结构：红黑树", "li.wei", 3 * DAY),
    ("Plan a trip to Kyoto", "10.0.0.7", 6 * DAY),
)
