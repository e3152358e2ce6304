"""Who takes a reply slowly is not taken for one who does not take it; over a real connection.

Time is what the test says it is, so that a reader of many minutes takes none.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from officeai_proxy.server.connection import Connection
from officeai_proxy.server.patience import Limits, Patience
from officeai_proxy.settings import load_settings

SECONDS = 120.0
TAKES = 2**19
"""Bytes that a slow reader takes between two looks."""
LOOKS_EVERY = 50.0
IN_PIECES = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
AT_ONCE = b"GET / HTTP/1.0\r\n\r\n"


async def replies(scope: Scope, _: Receive, send: Send) -> None:
    """In ever larger pieces; for HTTP/1.0, where the connection is closed behind it, in one."""
    is_last = scope["http_version"] == "1.0"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for size in range(2**16, 2**25, 2**13):
        piece = bytes(2**25 if is_last else size)
        await send({"type": "http.response.body", "body": piece, "more_body": not is_last})
        if is_last:
            return
        # Nothing that is sent to a client who has gone waits for anything.
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(patience: Patience) -> AsyncIterator[socket.socket]:
    """A client of a server that looks after its connections with *patience*."""
    loop = asyncio.get_running_loop()
    config = Config(replies, ws="none", log_config=None)
    config.load()
    state = ServerState()
    server = await loop.create_server(
        lambda: Connection(config, state, {}, patience=patience), "127.0.0.1", 0
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        try:
            yield client
        finally:
            server.close()
            for task in state.tasks:
                task.cancel()
            for connection in list(state.connections):
                connection.transport.abort()


async def read(client: socket.socket, size: int) -> int:
    """Take *size* bytes, if there are so many; how many there were."""
    left = size
    while left and (data := await asyncio.get_running_loop().sock_recv(client, left)):
        left -= len(data)
    return size - left


@pytest.mark.parametrize("asked", [IN_PIECES, AT_ONCE], ids=["pieces", "closed"])
@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_who_takes_some_goes_on_and_who_takes_nothing_does_not(asked: bytes, new_loop) -> None:
    """Also where the kernel has so much of it that the program sends nothing for many minutes."""
    settings = load_settings(send_timeout=SECONDS, _env_file=None)
    patience = Patience(Limits.of(settings))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        async with connected(patience) as client:
            await loop.sock_sendall(client, asked)
            for _ in range(16):
                assert await read(client, TAKES) == TAKES
                now += LOOKS_EVERY
                patience.sweep(now)
                await asyncio.sleep(0.001)
            for _ in range(5):
                now += LOOKS_EVERY
                patience.sweep(now)
                await asyncio.sleep(0.001)
            taken = 0
            try:
                while data := await loop.sock_recv(client, 2**20):
                    taken += len(data)
            except ConnectionError:
                pass
            assert 16 * TAKES + taken < 2**25

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(run(), 30))
