"""The upstream's name is looked up once for all who wait, and holds nobody up for longer."""

import asyncio
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvloop

from officeai_proxy.errors import UpstreamTimedOut, UpstreamUnreachable
from officeai_proxy.proxy.upstream import Timeouts
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.lookup import Lookup
from officeai_proxy.proxy.upstream.pool import ConnectionPool

NAMED = Address.of("http://llm.example:80")
PATIENCE = 60.0


class NameServer:
    """What the system's lookup says, once it is let go."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked = 0
        self.answered = 0
        self.is_asked = threading.Event()
        self.answers = threading.Event()

    def __call__(self, _host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        self.is_asked.set()
        self.answers.wait(PATIENCE)
        self.answered += 1
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in self.hosts]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer("127.0.0.3", "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", server)
    return server


@contextmanager
def silent(host: str, port: int) -> Iterator[None]:
    """*host* answers no attempt to connect: its queue is full, and Linux drops what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex((host, port))
        yield


async def test_all_who_wait_share_one_lookup(name_server: NameServer) -> None:
    """Also with one that gives up; who comes after the answer asks anew."""
    lookup = Lookup(NAMED)
    impatient, *others = [asyncio.create_task(lookup.hosts()) for _ in range(5)]
    await asyncio.sleep(0)
    impatient.cancel()
    name_server.answers.set()

    assert await asyncio.gather(*others) == [["127.0.0.3", "127.0.0.1"]] * 4
    assert impatient.cancelled()
    assert name_server.asked == 1
    await lookup.hosts()
    assert name_server.asked == 2


async def test_an_address_is_not_looked_up(name_server: NameServer) -> None:
    """It is where it says."""
    assert await Lookup(Address.of("http://127.0.0.1:80")).hosts() == ["127.0.0.1"]
    assert await Lookup(Address.of("http://[::1]:80")).hosts() == ["::1"]
    assert name_server.asked == 0


async def is_reached(link) -> None:
    """An upstream that was reached."""
    await link.request()
    await link.send(b"HTTP/1.1 204 No Content\r\n\r\n")


async def test_the_next_address_is_tried(
    name_server: NameServer, direct, serve, request_of
) -> None:
    """A host that is down at one of its addresses is reached at another."""
    name_server.answers.set()
    port = Address.of((await serve(is_reached)).url).port
    exchange = direct(f"http://llm.example:{port}").exchange()
    await exchange.send(request_of())
    assert exchange.status == 204

    name_server.hosts = ()
    with pytest.raises(UpstreamUnreachable, match=r"llm\.example:1 .*not known"):
        await direct("http://llm.example:1").exchange().send(request_of())


async def test_an_address_that_says_nothing_does_not_hold_up_the_next(
    name_server: NameServer, direct, serve, request_of
) -> None:
    """As a host that lost its power, or IPv6 behind a firewall that drops it, does (RFC 8305)."""
    name_server.answers.set()
    port = Address.of((await serve(is_reached)).url).port
    with silent("127.0.0.3", port):
        exchange = direct(f"http://llm.example:{port}").exchange()
        await exchange.send(request_of())
        assert exchange.status == 204

        name_server.hosts = ("127.0.0.3", "127.0.0.4")
        impatient = direct(
            f"http://llm.example:{port}", Timeouts(connect=0.4, first_byte=10, idle=10)
        )
        with pytest.raises(UpstreamTimedOut, match="No connection"):
            await impatient.exchange().send(request_of())


async def test_a_lookup_that_cannot_begin_is_an_upstream_that_cannot_be_reached(
    name_server: NameServer, direct, request_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account may have no thread left, for a while; the next call tries again."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    upstream = direct("http://llm.example:1")
    name_server.hosts = ()
    name_server.answers.set()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(UpstreamUnreachable, match="can't start new thread"):
            await upstream.exchange().send(request_of())
    with pytest.raises(UpstreamUnreachable, match="not known"):
        await upstream.exchange().send(request_of())


async def test_a_host_that_may_open_no_more_files_is_told_so(
    name_server: NameServer, direct, request_of
) -> None:
    """It is not the upstream that is to be looked at."""
    name_server.answers.set()
    upstream = direct("http://llm.example:1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(UpstreamUnreachable, match="ulimit -n"):
            await upstream.exchange().send(request_of())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_the_program_ends_while_nobody_answers(name_server: NameServer, new_loop) -> None:
    """A name server that is away holds up no end: the lookup goes on alone."""

    async def give_up() -> None:
        pool = ConnectionPool(NAMED, timeouts=Timeouts(connect=1, first_byte=1, idle=1))
        connecting = asyncio.create_task(pool.connect())
        await asyncio.to_thread(name_server.is_asked.wait, PATIENCE)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(give_up())
    told = (name_server.asked, name_server.answered)
    name_server.answers.set()
    assert told == (1, 0)
