"""A scripted upstream on a real loopback port, and every test here on both kinds of event loop."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import uvloop

from officeai_proxy.proxy.upstream import PooledUpstream, Timeouts, UpstreamRequest

PATIENT = Timeouts(connect=10, first_byte=10, idle=10)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    head: bytes
    body: bytes


class Link:
    """One connection, seen from the server: the test says which bytes go out, and when."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, number: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> Received:
        head = await self.head()
        lines = head.lower().split(b"\r\n")
        if b"transfer-encoding: chunked" in lines:
            return Received(head, await self.reader.readuntil(b"0\r\n\r\n"))
        lengths = [int(line[16:]) for line in lines if line.startswith(b"content-length: ")]
        return Received(head, await self.reader.readexactly(lengths[0] if lengths else 0))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ok(self, body: bytes = b"ok") -> None:
        await self.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def chunked_head(self) -> None:
        await self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close so that the client sees a reset, not an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Link], Awaitable[None]]


class Served:
    """A running server and what it has seen."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections = 0
        self.open = 0
        self.all_closed = asyncio.Event()


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A function that starts a server whose connections each follow a script."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(script: Script, *, tls: ssl.SSLContext | None = None) -> Served:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            served.connections += 1
            served.open += 1
            try:
                await script(Link(reader, writer, number=served.connections))
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
                tasks.discard(task)
                served.open -= 1
                if served.open == 0:
                    served.all_closed.set()

        server = await asyncio.start_server(follow, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        served = Served(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        return served

    yield start
    for server in servers:
        server.close()
    leftover = list(tasks)
    for task in leftover:
        task.cancel()
    await asyncio.gather(*leftover, return_exceptions=True)


Direct = Callable[..., PooledUpstream]


@pytest.fixture
async def direct() -> AsyncIterator[Direct]:
    """A function that gives a `PooledUpstream`; all are closed after the test."""
    made: list[PooledUpstream] = []

    def make(url: str, timeouts: Timeouts = PATIENT, **options: float) -> PooledUpstream:
        made.append(PooledUpstream(url, timeouts, **options))
        return made[-1]

    yield make
    for upstream in made:
        await upstream.close()
        assert upstream.numbers.connections == 0


def a_request(
    body: bytes | AsyncIterator[bytes] | None = b"{}",
    *,
    method: bytes = b"POST",
    target: bytes = b"/v1/chat/completions",
    content_length: int | None = None,
) -> UpstreamRequest:
    """A request like those of an OpenAI client."""
    headers = [(b"content-type", b"application/json"), (b"authorization", b"Bearer sk-secret")]
    return UpstreamRequest(method, target, headers, body, content_length)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A private authority that SSL_CERT_FILE makes trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """A function that waits until a condition holds, a minute at most."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - sockets set no event of ours
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def request_of() -> Callable[..., UpstreamRequest]:
    """`a_request`, for modules that cannot import this one."""
    return a_request
