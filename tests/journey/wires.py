"""A client's bare socket to a running proxy, so that a test decides about every byte it sends."""

import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from tests.proxies import RunningProxy

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a test waits for what should come at once: two cores may have much else to do."""


def until(look: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """The first truthy value of *look*; fails when there is none within *patience* seconds."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return seen


def chat(text: str, **more: object) -> bytes:
    """The body of a chat request that says *text*."""
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "m", "messages": messages, **more}).encode()


def record_of(proxy: RunningProxy, **filters: str) -> dict[str, object]:
    """The line of the only call that *filters* let through, once it is in the log."""
    found = until(lambda: proxy.get("/history", **filters).json()["history"])
    assert len(found) == 1
    line: dict[str, object] = found[0]
    return line


def reply_of(proxy: RunningProxy, session: str) -> tuple[str, str | None]:
    """The text of the last message of *session* and its outcome; None: complete."""
    message = proxy.get(f"/conversations/{session}/messages").json()["data"][-1]
    assert message["role"] == "assistant"
    return message["content"], message["metadata"].get("outcome")


@dataclass(frozen=True)
class Head:
    """The head of a reply; header names in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


class Wire:
    """One connection to the proxy; a context manager."""

    def __init__(self, proxy: RunningProxy, *, receive_buffer: int | None = None) -> None:
        """Connect; *receive_buffer* makes the kernel hold back little (bytes)."""
        self._proxy = proxy
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", proxy.port))
        self._came = b""

    def ask(
        self,
        method: str,
        target: str,
        *headers: tuple[str, str],
        body: bytes | None = None,
        key: bool = True,
    ) -> None:
        """Send a request with its length; *target* and the headers go out as they are."""
        length = [] if body is None else [("Content-Length", str(len(body)))]
        self.begin(method, target, *headers, *length, key=key)
        if body:
            self.send(body)

    def begin(self, method: str, target: str, *headers: tuple[str, str], key: bool = True) -> None:
        """Send the head of a request."""
        ours = [("Host", "proxy.test")]
        if key:
            ours.append(("Authorization", f"Bearer {self._proxy.key}"))
        lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in (*ours, *headers))]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def say(self, text: str, session: str | None = None, **more: object) -> None:
        """Send a chat request."""
        named = [] if session is None else [("X-Session-ID", session)]
        json_type = ("Content-Type", "application/json")
        body = chat(text, **more)
        self.ask("POST", "/v1/chat/completions", json_type, *named, body=body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def chunk(self, data: bytes) -> None:
        """Send a piece of a chunked request; an empty one ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def head(self) -> Head:
        """The head of the next reply."""
        head, _, self._came = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        pairs = (line.partition(b": ") for line in lines)
        return Head(int(first.split(b" ")[1]), [(n.lower(), v) for n, _, v in pairs])

    def piece(self) -> bytes:
        """The next chunk of a chunked reply; empty at its end. Raises EOFError at a break."""
        line, _, self._came = self._until(b"\r\n").partition(b"\r\n")
        size = int(line, 16)
        data = self._exactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def content(self, size: int) -> bytes:
        """The next chunks of a chunked reply until *size* bytes have come; chunks may be joined."""
        data = b""
        while len(data) < size:
            piece = self.piece()
            if not piece:
                raise EOFError("the reply has ended")
            data += piece
        return data

    def reply(self) -> tuple[Head, bytes]:
        """A whole reply. Raises EOFError when it breaks off."""
        head = self.head()
        if head.all(b"transfer-encoding") == [b"chunked"]:
            return head, b"".join(iter(self.piece, b""))
        length = head.all(b"content-length")
        return head, self._exactly(int(length[0])) if length else b""

    def rest(self) -> bytes:
        """All that comes until the proxy closes. Raises ConnectionResetError when it breaks off."""
        while data := self.socket.recv(1 << 20):
            self._came += data
        return self._came

    def is_closed(self) -> bool:
        """Whether the proxy closes the connection without another byte."""
        try:
            return self._came == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def half_close(self) -> None:
        """Send FIN and stay able to read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break off with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._came:
            self._more()
        return self._came

    def _exactly(self, size: int) -> bytes:
        while len(self._came) < size:
            self._more()
        data, self._came = self._came[:size], self._came[size:]
        return data

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError("the proxy closed the connection")
        self._came += data

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()
