"""A chat request in, a canned answer out, streamed word by word if asked; a server in a thread.

It speaks enough of OpenAI's API for a first look and keeps nothing.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PAUSE = 0.03
"""Seconds between two words of a streamed answer."""

MODEL = "officeai-demo"

ENGLISH = (
    "This is a canned answer of the demo. You said: “{said}”. It went through the proxy, and it is "
    "in the database already: ask for the conversation and you will find both of us there."
)
CHINESE = (
    "这是演示用的固定回答。你说的是：“{said}”。这次对话已经经过代理并写入数据库：现在去查询这个会话，"
    "就能看到你的问题和这条回答。"
)


class DemoUpstream:
    """The server; a context manager that serves for as long as it is open."""

    def __init__(self) -> None:
        """Take a free port of this machine."""
        # asyncio lets small pieces wait for acknowledgements (Nagle) where no protocol is named.
        self._listener = socket.socket(proto=socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        config = uvicorn.Config(_application(), log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._server.serve([self._listener]),), daemon=True
        )

    @property
    def base_url(self) -> str:
        """Where it can be called."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._listener.close()


def _application() -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/chat/completions", _chat, methods=["POST"]),
            Route("/v1/models", _models),
        ]
    )


async def _models(_: Request) -> Response:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "officeai-proxy"}
    return JSONResponse({"object": "list", "data": [model]})


async def _chat(request: Request) -> Response:
    asked = await request.json()
    said = _last_words(asked.get("messages"))
    answer = (CHINESE if any(ord(c) > 0x2E80 for c in said) else ENGLISH).format(said=said)
    about = {
        "id": f"chatcmpl-demo-{time.time_ns():x}",
        "created": int(time.time()),
        "model": MODEL,
    }
    usage = {
        "prompt_tokens": len(said.split()),
        "completion_tokens": len(_words(answer)),
        "total_tokens": len(said.split()) + len(_words(answer)),
    }
    if asked.get("stream") is True:
        return StreamingResponse(
            _events(about, answer, usage), headers={"content-type": "text/event-stream"}
        )
    message = {"role": "assistant", "content": answer, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return JSONResponse({**about, "object": "chat.completion", "choices": [choice], "usage": usage})


async def _events(
    about: dict[str, object], answer: str, usage: dict[str, int]
) -> AsyncIterator[bytes]:
    def event(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {**about, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()

    yield event({"role": "assistant", "content": ""})
    for word in _words(answer):
        yield event({"content": word})
        await asyncio.sleep(PAUSE)
    yield event({}, "stop")
    chunk = {**about, "object": "chat.completion.chunk", "choices": [], "usage": usage}
    yield f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()


def _last_words(messages: object) -> str:
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    return content if isinstance(content, str) else ""


def _words(text: str) -> list[str]:
    """Pieces of about a word: Latin words with the space before them, Chinese in pairs."""
    if " " in text:
        first, *rest = text.split(" ")
        return [first, *(f" {word}" for word in rest)]
    return [text[at : at + 2] for at in range(0, len(text), 2)]
