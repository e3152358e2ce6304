"""One connection to the upstream, on real sockets: framing, order, backpressure, time."""

import asyncio

import pytest

from officeai_proxy.errors import UpstreamBroke, UpstreamTimedOut
from officeai_proxy.proxy.upstream import Timeouts
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.connection import Connection
from officeai_proxy.proxy.upstream.inbox import Inbox

MEGABYTE = 1024 * 1024


async def body_of(exchange) -> bytes:
    pieces = []
    while more := await exchange.read():
        pieces += more
    return b"".join(pieces)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MEGABYTE + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 10_000 + b"\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"220 smtp.example ESMTP\r\n",
    ],
    ids=["cl-te", "two-lengths", "1-mb-header", "10000-headers", "http2", "smtp"],
)
async def test_a_reply_that_is_not_http_is_refused_and_its_connection_closed(
    serve, direct, request_of, reply: bytes
) -> None:
    """A malformed reply raises, and its connection serves nobody again."""

    async def script(link) -> None:
        await link.request()
        await link.send(reply)
        await link.gone()

    served = await serve(script)
    upstream = direct(served.url)
    with pytest.raises(UpstreamBroke, match=r"127\.0\.0\.1"):
        await upstream.exchange().send(request_of())
    await served.all_closed.wait()
    assert upstream.numbers.free == 0


async def test_bad_chunks_are_refused_after_the_good_ones(serve, direct, request_of) -> None:
    """What was well formed is handed out, then the fault is raised and the connection closed."""

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        await link.chunk(b"good")
        await link.send(b"zz\r\nbad\r\n")
        await link.gone()

    served = await serve(script)
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    assert await exchange.read() == [b"good"]
    with pytest.raises(UpstreamBroke, match="not to be trusted"):
        await exchange.read()
    await served.all_closed.wait()


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("head", [b"Content-Length: 99", b"Transfer-Encoding: chunked"])
async def test_a_reply_that_stops_early_raises_after_its_pieces(
    serve, direct, request_of, head: bytes, is_reset: bool
) -> None:
    """Closed or reset in the middle: every piece that came is handed out, then it raises."""

    async def script(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        await link.send(b"4\r\nhalf\r\n")
        await handed_out.wait()
        if is_reset:
            link.reset()

    handed_out = asyncio.Event()
    served = await serve(script)
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    assert b"half" in (await exchange.read())[0]
    handed_out.set()
    with pytest.raises(UpstreamBroke):
        await exchange.read()
    assert not exchange.ended


async def test_a_connection_closed_before_any_reply_raises(serve, direct, request_of) -> None:
    """A fresh connection that dies without a byte is not tried again."""

    async def script(link) -> None:
        await link.request()

    served = await serve(script)
    with pytest.raises(UpstreamBroke, match="before its reply"):
        await direct(served.url).exchange().send(request_of())
    assert served.connections == 1


async def test_bytes_on_a_free_connection_close_it(serve, direct, request_of) -> None:
    """A reply that nobody asked for never becomes the next call's: that gets a new connection."""

    async def script(link) -> None:
        await link.request()
        await link.ok(b"%d" % link.number)
        await asked.wait()
        await link.ok(b"poison")
        await link.gone()
        poisoned.set()

    asked, poisoned = asyncio.Event(), asyncio.Event()
    served = await serve(script)
    upstream = direct(served.url)
    first = upstream.exchange()
    await first.send(request_of())
    assert await body_of(first) == b"1"
    assert upstream.numbers.free == 1
    asked.set()
    await poisoned.wait()
    second = upstream.exchange()
    await second.send(request_of())
    assert await body_of(second) == b"2"


@pytest.mark.parametrize("junk", [b"junk", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"])
async def test_bytes_behind_a_reply_close_the_connection(
    serve, direct, request_of, junk: bytes
) -> None:
    """The reply itself is good, but its connection is not used again."""

    async def script(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + junk)
        await link.gone()

    served = await serve(script)
    upstream = direct(served.url)
    for _ in range(2):
        exchange = upstream.exchange()
        await exchange.send(request_of())
        assert await body_of(exchange) == b"ok"
    assert served.connections == 2


async def test_pieces_are_the_chunks_as_they_came(serve, direct, request_of) -> None:
    """Chunks sent with pauses between them come out one by one, at once, and unchanged."""
    chunks = [b"data: 1\n\n", b"data: \xe4\xbd", b"\xa0\n\n", b"\x1f\x8b\x00", b"data: [DONE]\n\n"]
    taken = asyncio.Semaphore(0)

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        for chunk in chunks[:-1]:
            await taken.acquire()
            await link.chunk(chunk)
        await taken.acquire()
        await link.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunks[-1]), chunks[-1]))

    served = await serve(script)
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    for chunk in chunks:
        assert not exchange.ended
        taken.release()
        assert await exchange.read() == [chunk]
    assert exchange.ended
    assert await exchange.read() == []


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (b"GET", b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_a_reply_without_body_has_ended_with_its_head(
    serve, direct, request_of, method: bytes, reply: bytes
) -> None:
    """After send() there is nothing to wait for, and two calls in a row work."""

    async def script(link) -> None:
        while True:
            await link.request()
            await link.send(reply)

    served = await serve(script)
    upstream = direct(served.url)
    for _ in range(2):
        exchange = upstream.exchange()
        await exchange.send(request_of(None, method=method))
        assert exchange.ended
        assert await exchange.read() == []


async def test_a_reply_may_end_with_its_connection(serve, direct, request_of) -> None:
    """Without length and chunks, the orderly end of the connection ends the reply."""

    async def script(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    served = await serve(script)
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    assert await body_of(exchange) == b"all of it"
    assert exchange.ended


async def test_a_reset_is_not_the_end_of_a_reply(serve, direct, request_of) -> None:
    """A reply that would end with its connection is broken when that is reset."""

    async def script(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        await handed_out.wait()
        link.reset()

    handed_out = asyncio.Event()
    served = await serve(script)
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    assert await exchange.read() == [b"part"]
    handed_out.set()
    with pytest.raises(UpstreamBroke):
        await body_of(exchange)


def connections_of(upstream, monkeypatch) -> list[Connection]:
    """The connections that *upstream* makes from now on."""
    made: list[Connection] = []
    connect = upstream.pool.connect

    async def noted() -> Connection:
        made.append(await connect())
        return made[-1]

    monkeypatch.setattr(upstream.pool, "connect", noted)
    return made


async def test_a_slow_reader_pauses_its_own_upstream_only(
    serve, direct, request_of, until, monkeypatch
) -> None:
    """Unread pieces stop the sender, memory stays bounded, others flow; reading resumes it."""
    total = 32 * MEGABYTE
    sent = 0
    blocked = asyncio.Event()

    async def script(link) -> None:
        nonlocal sent
        await link.request()
        if link.number > 1:
            await link.ok(b"quick")
            return
        link.writer.transport.set_write_buffer_limits(high=0)
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            link.writer.write(b"x" * MEGABYTE)
            sent += MEGABYTE
            try:
                await asyncio.wait_for(link.writer.drain(), 0.3)
            except TimeoutError:
                blocked.set()
                await link.writer.drain()

    served = await serve(script)
    upstream = direct(served.url)
    made = connections_of(upstream, monkeypatch)
    slow = upstream.exchange()
    await slow.send(request_of())
    await until(lambda: made[0].is_paused)
    await blocked.wait()
    assert sent < total
    # The silence is ours: however long it lasts, the reply is whole at the end.
    made[0].check(asyncio.get_running_loop().time() + 3600)
    quick = upstream.exchange()
    await quick.send(request_of())
    assert await body_of(quick) == b"quick"
    received = largest = 0
    while pieces := await slow.read():
        size = sum(map(len, pieces))
        received += size
        largest = max(largest, size)
    assert received == total
    assert largest <= MEGABYTE


async def test_a_reply_that_never_begins_times_out(serve, direct, request_of) -> None:
    """Silence after the request ends in an error that names the setting; interim replies and
    half a head do not count as a beginning.
    """

    async def script(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        await link.gone()

    served = await serve(script)
    exchange = direct(served.url, Timeouts(connect=5, first_byte=0.2, idle=5)).exchange()
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_FIRST_BYTE_TIMEOUT"):
        await exchange.send(request_of())
    await served.all_closed.wait()


async def test_silence_within_a_reply_times_out_after_its_pieces(serve, direct, request_of) -> None:
    """A stream that stops is given up after the idle limit, its pieces first."""

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        await link.chunk(b"one")
        await link.gone()

    served = await serve(script)
    exchange = direct(served.url, Timeouts(connect=5, first_byte=5, idle=0.2)).exchange()
    await exchange.send(request_of())
    await served.all_closed.wait()
    assert await exchange.read() == [b"one"]
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_IDLE_TIMEOUT"):
        await exchange.read()


async def test_any_byte_resets_the_idle_limit() -> None:
    """A slow but living stream is never given up, however long it takes in all."""
    loop, idle, inbox = asyncio.get_running_loop(), 0.05, Inbox()
    timeouts = Timeouts(connect=5, first_byte=5, idle=idle)
    connection = Connection(_Owner(), address=Address.of("http://h"), timeouts=timeouts)
    connection.connection_made(_Transport())
    connection.ask(inbox, b"GET / HTTP/1.1\r\n\r\n", b"", is_head_request=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b"1\r\n.\r\n", b"1\r\n", b".", b"\r\n"):
        await asyncio.sleep(2 * idle)
        now = loop.time()
        connection.data_received(piece)
        connection.check(now)
        assert inbox.is_open
    connection.check(loop.time() + 2 * idle)
    assert not inbox.is_open


async def test_a_connection_lost_before_its_first_use_is_reported(serve, direct, until) -> None:
    """An upstream that accepts and hangs up at once leaves no call waiting."""

    async def script(link) -> None:
        link.close()

    served = await serve(script)
    upstream = direct(served.url)
    connection = await upstream.pool.connect()
    await until(lambda: upstream.numbers.connections == 0)
    inbox = Inbox()
    connection.ask(inbox, b"POST / HTTP/1.1\r\n\r\n", b"", is_head_request=False)
    with pytest.raises(UpstreamBroke, match="closed the new connection"):
        inbox.has_head()


class _Owner:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.free = 0

    def connection_is_free(self, *_: Connection) -> None:
        self.free += 1

    def connection_is_lost(self, *_: Connection) -> None: ...


class _Transport(asyncio.Transport):
    """Knows whether it is read from, and takes every byte."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = True

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


async def test_a_paused_connection_is_read_again_when_its_reply_ends() -> None:
    """TLS may deliver the end after the pause; a free connection must still notice its end."""
    owner, transport, inbox = _Owner(), _Transport(), Inbox()
    connection = Connection(owner, address=Address.of("http://h"), timeouts=Timeouts(1, 1, 1))
    connection.connection_made(transport)
    connection.ask(inbox, b"GET / HTTP/1.1\r\n\r\n", b"", is_head_request=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 300002\r\n\r\n" + b"x" * 300_000)
    assert not transport.is_read
    assert owner.free == 0
    connection.data_received(b"yz")
    assert transport.is_read
    assert owner.free == 1
    assert inbox.is_complete
