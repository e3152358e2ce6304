"""Small pieces of a reply leave at once: none waits until the one before it is acknowledged."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from officeai_proxy.demo.upstream import DemoUpstream
from officeai_proxy.server.listening import bind
from officeai_proxy.settings import load_settings

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_pieces_of_a_reply_leave_at_once(new_loop: NewLoop) -> None:
    """On the loop that there is without uvloop, too."""

    async def accepted() -> int:
        with bind(load_settings(host="127.0.0.1", port=0)) as listener:
            told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

            def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                told.set_result(_leaves_at_once(writer.get_extra_info("socket")))
                writer.close()

            async with await asyncio.start_server(connected, sock=listener):
                with socket.create_connection(listener.getsockname()):
                    return await told

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(accepted())


def test_pieces_of_a_reply_of_the_demo_leave_at_once() -> None:
    with DemoUpstream() as upstream:
        port = int(upstream.base_url.rpartition(":")[2].removesuffix("/v1"))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: demo\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            with _other_end(connection) as served:
                assert _leaves_at_once(served)


def _leaves_at_once(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _other_end(connection: socket.socket) -> socket.socket:
    """The socket of this process that *connection* leads to."""
    for link in list(Path("/proc/self/fd").iterdir()):
        # The list has the descriptor of the folder itself, which is closed by now.
        with suppress(FileNotFoundError):
            if str(link.readlink()).startswith("socket:"):
                found = socket.socket(fileno=os.dup(int(link.name)))
                with suppress(OSError):
                    if found.getpeername() == connection.getsockname():
                        return found
                found.close()
    raise AssertionError("it leads to nobody here")
