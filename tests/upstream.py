"""A scripted upstream on a real loopback port: slow, cut off, garbled, huge, whatever a test says.

It runs in a thread with a loop of its own and speaks raw HTTP/1.1, so that a test decides about
every byte and sees every byte that came. By default it answers chat requests with an echo.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the upstream got it; header names in lower case, in order."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> dict[str, object]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@dataclass
class Answer:
    """The way back to the client, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_closed_by_client: bool = False
    keeps_alive: bool = True

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, *headers: tuple[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def begin_chunks(self, *headers: tuple[str, str], status: int = 200) -> None:
        await self.head(status, *headers, ("transfer-encoding", "chunked"))

    async def begin_events(self, *headers: tuple[str, str]) -> None:
        await self.begin_chunks(("content-type", "text/event-stream; charset=utf-8"), *headers)

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_chunks(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def whole(
        self,
        body: bytes,
        *headers: tuple[str, str],
        status: int = 200,
        kind: str = "application/json",
    ) -> None:
        length = ("content-length", str(len(body)))
        await self.head(status, ("content-type", kind), length, *headers)
        await self.raw(body)

    def close(self) -> None:
        """Close the connection in good order after this."""
        self.keeps_alive = False

    def reset(self) -> None:
        """Break the connection off with a RST."""
        self.keeps_alive = False
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_client_closes(self, patience: float = 10.0) -> bool:
        """Wait until the client closes its side; False when it does not within *patience* s."""
        try:
            async with asyncio.timeout(patience):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        self.is_closed_by_client = True
        self.keeps_alive = False
        return True


Script = Callable[[ReceivedRequest, Answer], Awaitable[None]]


def chunk_event(delta: dict[str, object], *, finish: str | None = None, **more: object) -> bytes:
    """One event of a streamed chat reply, as OpenAI sends it."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {
        "id": "chatcmpl-test",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-test",
        "choices": [choice],
        **more,
    }
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
DONE = b"data: [DONE]\n\n"


def completion(text: str, **more: object) -> bytes:
    """The JSON body of a chat reply, as OpenAI sends it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-test",
        "choices": [choice],
        "usage": USAGE,
        **more,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def stream_of(text: str, *, pieces: int = 4) -> list[bytes]:
    """The events of a streamed chat reply, `[DONE]` included."""
    size = max(1, -(-len(text) // pieces))
    words = [text[at : at + size] for at in range(0, len(text), size)]
    return [
        chunk_event({"role": "assistant", "content": ""}),
        *(chunk_event({"content": word}) for word in words),
        chunk_event({}, finish="stop"),
        chunk_event({}, usage=USAGE).replace(
            b'"choices": [{"index": 0, "delta": {}, "finish_reason": null}]', b'"choices": []'
        ),
        DONE,
    ]


def said(request: ReceivedRequest) -> str:
    """The text of the last message of a chat request."""
    messages = request.json().get("messages")
    assert isinstance(messages, list)
    return str(messages[-1]["content"])


async def echo(request: ReceivedRequest, answer: Answer) -> None:
    """Answer a chat with `echo: …`, in events if it asks for a stream; other calls with JSON."""
    path = request.target.partition("?")[0].rstrip("/")
    if path.endswith("/chat/completions") and request.method == "POST":
        text = f"echo: {said(request)}"
        if request.json().get("stream") is True:
            await answer.begin_events(("x-request-id", "req_test"))
            for event in stream_of(text):
                await answer.chunk(event)
            await answer.end_chunks()
        else:
            await answer.whole(completion(text), ("x-request-id", "req_test"))
    else:
        await answer.whole(json.dumps({"object": "list", "data": []}).encode())


@dataclass
class ScriptedUpstream:
    """The server; a context manager. `script` may be exchanged at any time."""

    script: Script = echo
    ssl: SSLContext | None = None
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def base_url(self) -> str:
        scheme = "https" if self.ssl else "http"
        host = "localhost" if self.ssl else "127.0.0.1"
        return f"{scheme}://{host}:{self.port}/v1"

    def __enter__(self) -> "ScriptedUpstream":
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, ssl=self.ssl, backlog=2048, limit=2**20
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            # Over TLS, `close` alone would wait half a minute for the other side's goodbye.
            writer.transport.abort()
        await asyncio.sleep(0.01)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                request = await _read_request(reader, writer)
                if request is None:
                    break
                self.requests.append(request)
                answer = Answer(reader, writer)
                await self.script(request, answer)
                if not answer.keeps_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> ReceivedRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = [line.split(":", 1) for line in lines]
    headers = [(name.lower(), value.strip()) for name, value in pairs]
    named = dict(headers)
    if named.get("expect") == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in named.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(named.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body)
