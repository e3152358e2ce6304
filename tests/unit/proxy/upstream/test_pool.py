"""Connections kept, reused, expired, and never leaked."""

import asyncio
import gc
import random
import socket

import pytest

from officeai_proxy.errors import ShuttingDown, UpstreamUnreachable
from officeai_proxy.proxy.upstream import Timeouts, UpstreamAborted
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.connection import Connection
from officeai_proxy.proxy.upstream.pool import MAX_KEPT, ConnectionPool


async def echo(link) -> None:
    """Reply to every request with its own body, in three chunks."""
    while True:
        request = await link.request()
        await link.chunked_head()
        for start in range(0, len(request.body), 8):
            await link.chunk(request.body[start : start + 8])
        await link.send(b"0\r\n\r\n")


async def call(upstream, request) -> bytes:
    exchange = upstream.exchange()
    await exchange.send(request)
    pieces = []
    while more := await exchange.read():
        pieces += more
    return b"".join(pieces)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_refused_connection_says_what_to_check(direct, request_of, scheme: str) -> None:
    """Nothing listening: the message names host, port and setting, and never the key."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(UpstreamUnreachable) as caught:
            await direct(f"{scheme}://127.0.0.1:{port}").exchange().send(request_of())
    message = caught.value.message
    assert f"127.0.0.1:{port}" in message
    assert "nothing listens" in message
    assert "OFFICEAI_UPSTREAM_BASE_URL" in message
    assert "sk-secret" not in message


async def test_an_unknown_name_is_unreachable(direct, request_of) -> None:
    """A name without an address is reported by name."""
    with pytest.raises(UpstreamUnreachable, match=r"llm\.invalid:81"):
        await direct("http://llm.invalid:81").exchange().send(request_of())


async def test_a_closed_pool_makes_no_connection(serve, direct, request_of) -> None:
    """After close() a call is refused as during a shutdown."""
    served = await serve(echo)
    upstream = direct(served.url)
    await upstream.close()
    with pytest.raises(ShuttingDown):
        await upstream.exchange().send(request_of())
    assert served.connections == 0


async def test_calls_one_after_the_other_share_a_connection(serve, direct, request_of) -> None:
    """Ten calls, one connection, which is free in the end."""
    served = await serve(echo)
    upstream = direct(served.url)
    for number in range(10):
        assert await call(upstream, request_of(b"call %d" % number)) == b"call %d" % number
    assert served.connections == 1
    numbers = upstream.numbers
    assert (numbers.connections, numbers.free) == (1, 1)


async def test_the_newest_free_connection_is_used_first(serve, direct, request_of) -> None:
    """After a burst one call at a time stays on one connection, so that the others grow old."""
    used: list[int] = []

    async def script(link) -> None:
        while True:
            await link.request()
            used.append(link.number)
            if len(used) == 3:
                burst.set()
            await burst.wait()
            await link.ok()

    burst = asyncio.Event()
    served = await serve(script)
    upstream = direct(served.url)
    await asyncio.gather(*(call(upstream, request_of()) for _ in range(3)))
    assert upstream.numbers.free == 3
    for _ in range(5):
        await call(upstream, request_of())
    assert len(set(used[3:])) == 1


async def test_free_connections_are_closed_when_they_are_old(
    serve, direct, request_of, until
) -> None:
    """A connection that nobody uses is closed after its time, without any further call."""
    served = await serve(echo)
    upstream = direct(served.url, kept_seconds=0.1)
    await call(upstream, request_of())
    await served.all_closed.wait()
    await until(lambda: upstream.numbers.connections == 0)
    assert await call(upstream, request_of(b"again")) == b"again"
    assert served.connections == 2


async def test_a_connection_that_the_server_closes_is_forgotten(
    serve, direct, request_of, until
) -> None:
    """A free connection that goes away is not counted, nor tried."""

    async def script(link) -> None:
        await link.request()
        await link.ok()

    served = await serve(script)
    upstream = direct(served.url)
    await call(upstream, request_of())
    await until(lambda: upstream.numbers.connections == 0)
    assert upstream.numbers.free == 0


async def test_more_free_connections_than_allowed_are_closed(
    serve, direct, request_of, until
) -> None:
    """After a great burst no more than the limit are kept."""
    waiting = 0

    async def script(link) -> None:
        nonlocal waiting
        await link.request()
        waiting += 1
        if waiting == MAX_KEPT + 10:
            everybody.set()
        await everybody.wait()
        await link.ok()
        await link.gone()

    everybody = asyncio.Event()
    served = await serve(script)
    upstream = direct(served.url)
    await asyncio.gather(*(call(upstream, request_of()) for _ in range(MAX_KEPT + 10)))
    await until(lambda: upstream.numbers.connections == MAX_KEPT)
    assert upstream.numbers.free == MAX_KEPT


async def test_close_aborts_what_runs_and_leaves_no_socket(
    serve, direct, request_of, until
) -> None:
    """close() ends waiting sends and reads, closes free connections, and then holds nothing."""

    async def script(link) -> None:
        if b"/free" in (await link.request()).head:
            await link.ok()
        elif link.number % 2:
            await link.chunked_head()
        started.release()
        await link.gone()

    started = asyncio.Semaphore(0)
    served = await serve(script)
    upstream = direct(served.url)
    await call(upstream, request_of(target=b"/free"))
    calls = [asyncio.ensure_future(call(upstream, request_of())) for _ in range(4)]
    for _ in range(4):
        await started.acquire()
    await upstream.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [UpstreamAborted] * 4
    assert upstream.numbers.connections == 0
    await until(lambda: served.open == 0)


async def give_up(upstream, request, *, chance: random.Random, by_cancelling: bool) -> None:
    """Make a call and leave it somewhere on its way."""
    exchange = upstream.exchange()

    async def whole() -> None:
        await exchange.send(request)
        while await exchange.read():
            pass

    task = asyncio.ensure_future(whole())
    await asyncio.sleep(chance.random() * 0.01)
    if by_cancelling:
        task.cancel()
        await asyncio.sleep(0)
    exchange.abort()
    exchange.abort()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert result is None or isinstance(result, UpstreamAborted | asyncio.CancelledError)


async def test_500_random_aborts_leak_nothing(serve, direct, request_of, until) -> None:
    """Calls given up or cancelled anywhere leave no connection, and the next 20 calls work."""
    chance = random.Random(1)

    async def script(link) -> None:
        while True:
            request = await link.request()
            await asyncio.sleep(chance.random() * 0.004)
            await link.chunked_head()
            for start in range(0, len(request.body), 8):
                await link.chunk(request.body[start : start + 8])
                await asyncio.sleep(chance.random() * 0.001)
            await link.send(b"0\r\n\r\n")

    served = await serve(script)
    upstream = direct(served.url)
    for start in range(0, 500, 20):
        requests = [(n, request_of(b"number %09d of many" % n)) for n in range(start, start + 20)]
        await asyncio.gather(
            *(
                give_up(upstream, request, chance=chance, by_cancelling=number % 2 == 0)
                for number, request in requests
            )
        )
    await until(lambda: upstream.numbers.connections == upstream.numbers.free)
    for number in range(20):
        assert await call(upstream, request_of(b"after %d" % number)) == b"after %d" % number
    await upstream.close()
    assert upstream.numbers.connections == 0
    await until(lambda: served.open == 0)


async def test_200_calls_at_once_never_mix(serve, direct, request_of) -> None:
    """Each of 200 concurrent calls, five times over, gets its own reply and nothing else."""
    served = await serve(echo)
    upstream = direct(served.url)
    for turn in range(5):
        bodies = [b"call %d of turn %d " % (number, turn) * 20 for number in range(200)]
        replies = await asyncio.gather(*(call(upstream, request_of(body)) for body in bodies))
        assert replies == bodies
    assert served.connections <= 200


async def test_a_silent_listener_times_out_while_connecting(direct, request_of, until) -> None:
    """A TLS handshake that never ends is given up after the connect limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        upstream = direct(url, Timeouts(connect=0.2, first_byte=5, idle=5))
        with pytest.raises(Exception, match="OFFICEAI_CONNECT_TIMEOUT"):
            await upstream.exchange().send(request_of())
        await until(lambda: upstream.numbers.connections == 0)


async def test_an_ipv6_address_works(request_of, direct) -> None:
    """An IPv6 literal is connected to, and named in brackets in the Host header."""
    hosts: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hosts.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    try:
        server = await asyncio.start_server(script, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server:
        port = server.sockets[0].getsockname()[1]
        exchange = direct(f"http://[::1]:{port}/v1").exchange()
        await exchange.send(request_of(None, method=b"GET"))
    assert exchange.status == 204
    assert b"host: [::1]:%d\r\n" % port in hosts[0]


async def test_connections_given_up_while_they_are_made_wait_for_no_collector(serve) -> None:
    """Callers leave at every step of the making, and nothing of it goes round in circles."""
    served = await serve(echo)
    pool = ConnectionPool(
        Address.of(served.url), timeouts=Timeouts(connect=10, first_byte=10, idle=10)
    )
    gc.collect()
    gc.disable()
    try:
        for steps in range(12):
            connecting = asyncio.ensure_future(pool.connect())
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.wait([connecting])
            del connecting
        await pool.close()
        left = [found for found in gc.get_objects() if isinstance(found, Connection)]
    finally:
        gc.enable()

    assert left == []
