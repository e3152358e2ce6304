"""Clients that call as fast as they are answered, over plain sockets, and note what they saw."""

import asyncio
import json
from collections.abc import Callable
from itertools import count

from tests.faults.history import History, Seen
from tests.proxies import KEY
from tests.upstream import DONE

LOST = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, OSError)


class Client:
    """One client with a session of its own; every second call asks for a stream.

    What it asks begins with *label*, so that several runs can share one database. It thinks for
    *pause* seconds before each call.
    """

    def __init__(
        self,
        number: int,
        history: History,
        *,
        key: str = KEY,
        label: str = "question",
        pause: float = 0.0,
    ) -> None:
        self.session = f"{label}-{number}"
        self._number = number
        self._label = label
        self._pause = pause
        self._history = history
        self._key = key
        self._calls = count(1)

    async def run(self, port: int, until: Callable[[], bool]) -> None:
        """Call the proxy on *port*, again and again, on one connection for as long as it lives."""
        while not until():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            try:
                while not until():
                    await asyncio.sleep(self._pause)
                    await self._call(reader, writer)
            except LOST:
                pass
            finally:
                writer.close()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._calls)
        question = f"{self._label} {self._number}.{number}"
        is_stream = number % 2 == 0
        self._history.invoke(question)
        body = json.dumps(
            {
                "model": "m",
                "stream": is_stream,
                "messages": [{"role": "user", "content": question}],
            }
        ).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\n"
            b"content-type: application/json\r\nx-user-id: chaos\r\n"
            + f"authorization: Bearer {self._key}\r\nx-session-id: {self.session}\r\n".encode()
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head[9:12])
            if b"transfer-encoding: chunked" not in head:
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                seen = Seen.OK if status == 200 else Seen.FAIL
                self._history.end(question, seen)
            else:
                await self._read_stream(reader, question)

    async def _read_stream(self, reader: asyncio.StreamReader, question: str) -> None:
        """An OpenAI client has its answer when it sees `[DONE]`, whatever comes after that."""
        body = b""
        while size := int((await reader.readuntil(b"\r\n")), 16):
            body += await reader.readexactly(size)
            if body.endswith(DONE):
                self._history.end(question, Seen.OK)
            await reader.readexactly(2)
        await reader.readexactly(2)
