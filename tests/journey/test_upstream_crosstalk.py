"""Many calls at once through one client, some given up: nobody ever sees another's bytes."""

import asyncio
import random
from collections.abc import Callable

import pytest
import uvloop

from officeai_proxy.proxy.upstream import (
    PooledUpstream,
    Timeouts,
    UpstreamAborted,
    UpstreamRequest,
)

CALLS = 400
AT_ONCE = 100


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reply to each request with its own path, over and over, in chunks with pauses between."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            token = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(5):
                writer.write(b"%x\r\n%b\r\n" % (len(token), token))
                await asyncio.sleep(0.001)
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def one_call(upstream: PooledUpstream, number: int, *, stop_after: int | None) -> None:
    """Read a reply, or give it up after some reads; every piece must carry this call's token."""
    token = b"/call-%06d" % number
    exchange = upstream.exchange()
    await exchange.send(UpstreamRequest(b"GET", token, [], None))
    received = b""
    reads = 0
    while pieces := await exchange.read():
        received += b"".join(pieces)
        assert received == token * (len(received) // len(token))
        reads += 1
        if reads == stop_after and not exchange.ended:
            exchange.abort()
            with pytest.raises(UpstreamAborted):
                await exchange.read()
            return
    assert received == token * 5


async def all_calls() -> None:
    chance = random.Random(7)
    places = asyncio.Semaphore(AT_ONCE)
    connections = 0

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await echo(reader, writer)

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    upstream = PooledUpstream(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        Timeouts(connect=10, first_byte=10, idle=10),
    )

    async def placed(number: int) -> None:
        async with places:
            await one_call(upstream, number, stop_after=chance.choice([None, None, 1, 2]))

    async with server:
        await asyncio.gather(*(placed(number) for number in range(CALLS)))
        assert connections < CALLS - CALLS // 10
        await upstream.close()
    assert upstream.numbers.connections == 0


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_concurrent_calls_and_aborts_never_mix(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """400 calls, 100 at a time, half of them given up: each reads its own token and no other."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(all_calls())
