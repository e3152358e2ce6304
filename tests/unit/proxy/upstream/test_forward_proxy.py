"""Calls through a forward proxy: a CONNECT proxy and a SOCKS5 proxy, both written here."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import trustme

from officeai_proxy.errors import (
    ShuttingDown,
    UpstreamBroke,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from officeai_proxy.proxy.upstream import PooledUpstream, Timeouts, UpstreamAborted
from officeai_proxy.proxy.upstream.forward_proxy import ForwardProxy

PATIENT = Timeouts(connect=10, first_byte=10, idle=10)

MOST = 256 * 1024 * 1024
"""Bytes; far more than all buffers between two programs hold."""


class Proxy:
    """A forward proxy of either kind that leads every name to one local port."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.asked: list[bytes] = []
        self.tunnels = 0
        self.all_closed = asyncio.Event()

    async def connect(self, link) -> None:
        """Speak HTTP: CONNECT makes a tunnel, anything else is passed on."""
        head = await link.head()
        self.asked.append(head)
        if head.startswith(b"CONNECT denied"):
            await link.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        elif head.startswith(b"CONNECT silent"):
            await link.gone()
        elif head.startswith(b"CONNECT"):
            await link.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._tunnel(link, b"")
        else:
            await self._tunnel(link, head)

    async def socks5(self, link) -> None:
        """Speak SOCKS5 without authentication (RFC 1928)."""
        await link.reader.readexactly(3)
        await link.send(b"\x05\x00")
        _, _, _, kind = await link.reader.readexactly(4)
        assert kind == 3, "the proxy resolves the name, not we"
        name = await link.reader.readexactly((await link.reader.readexactly(1))[0])
        await link.reader.readexactly(2)
        self.asked.append(name)
        if name == b"silent.example":
            await link.gone()
        elif name == b"denied.example":
            await link.send(b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00")
        else:
            await link.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            await self._tunnel(link, b"")

    async def _tunnel(self, link, first: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(first)
        self.tunnels += 1
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(link.reader, writer))
                group.create_task(_copy(reader, link.writer))
        finally:
            writer.close()
            self.tunnels -= 1
            if not self.tunnels:
                self.all_closed.set()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture(
    params=["http-connect", "http-plain", "https-connect", "socks5-tls", "socks5-plain"]
)
async def through(request, serve, authority: trustme.CA) -> AsyncIterator[Callable[..., object]]:
    """A function that gives an upstream behind a proxy, which upstream follows a script."""
    scheme, _, way = request.param.partition("-")
    is_tls = way in ("connect", "tls")
    made: list[PooledUpstream] = []

    async def start(
        script, *, timeouts: Timeouts = PATIENT, host: str = "llm.example"
    ) -> tuple[PooledUpstream, Proxy]:
        context = None
        if is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(host).configure_cert(context)
        proxy = Proxy()
        served = await serve(script, tls=context)
        proxy.target = int(served.url.rpartition(":")[2])
        own = None
        if scheme == "https":
            own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(own)
        speak = proxy.socks5 if scheme == "socks5" else proxy.connect
        proxy.port = int((await serve(speak, tls=own)).url.rpartition(":")[2])
        proxy_url = f"{scheme}://127.0.0.1:{proxy.port}"
        base_url = f"{'https' if is_tls else 'http'}://{host}/v1"
        made.append(PooledUpstream(base_url, timeouts, proxy=ForwardProxy(proxy_url)))
        return made[-1], proxy

    yield start
    for upstream in made:
        await upstream.close()
        assert upstream.numbers.connections == 0


async def body_of(exchange) -> bytes:
    pieces = []
    while more := await exchange.read():
        pieces += more
    return b"".join(pieces)


async def test_calls_go_through_the_proxy_and_share_its_tunnel(through, request_of) -> None:
    """Two calls: the proxy is asked once, by name; request and reply pass unchanged."""
    received = []

    async def script(link) -> None:
        while True:
            received.append(await link.request())
            await link.send(
                b"HTTP/1.1 201 Created\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\n"
                b"Content-Length: 4\r\n\r\n\x1f\x8b\x00\x01"
            )

    upstream, proxy = await through(script)
    for _ in range(2):
        exchange = upstream.exchange()
        await exchange.send(request_of(b'{"a":1}', target=b'/v1/files/a%2Fb{c}?x=%20&y=<"1">'))
        assert exchange.status == 201
        assert (b"content-encoding", b"gzip") in exchange.headers
        assert await exchange.read() == [b"\x1f\x8b\x00\x01"]
        assert exchange.ended
        assert await exchange.read() == []
    assert len(proxy.asked) == 1
    assert b"llm.example" in proxy.asked[0]
    assert [seen.body for seen in received] == [b'{"a":1}'] * 2
    head = received[1].head.lower()
    assert b'/v1/files/a%2fb{c}?x=%20&y=<"1"> http/1.1\r\n' in head
    assert b"host: llm.example\r\n" in head
    assert head.count(b"\r\n") == 6, "our five lines and the end: httpx adds none of its own"


async def test_pieces_pass_as_they_come(through, request_of) -> None:
    """A streamed reply is handed out chunk by chunk, each before the next is sent."""
    taken = asyncio.Semaphore(0)

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        for number in range(3):
            await taken.acquire()
            await link.chunk(b"data: %d\n\n" % number)
        await taken.acquire()
        await link.send(b"0\r\n\r\n")

    upstream, _ = await through(script)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    for number in range(3):
        taken.release()
        assert await exchange.read() == [b"data: %d\n\n" % number]
    taken.release()
    assert await exchange.read() == []
    assert exchange.ended


async def test_streamed_bodies_pass_with_and_without_length(through, request_of) -> None:
    """A body of pieces goes out in chunks or under its length; an error in it is the caller's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"de"

    async def leaving() -> AsyncIterator[bytes]:
        yield b"abc"
        raise LookupError("the client left")

    async def script(link) -> None:
        while True:
            await link.ok((await link.request()).body)

    upstream, _ = await through(script)
    exchange = upstream.exchange()
    await exchange.send(request_of(pieces(), content_length=5))
    assert await body_of(exchange) == b"abcde"
    exchange = upstream.exchange()
    await exchange.send(request_of(pieces()))
    assert await body_of(exchange) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with pytest.raises(LookupError, match="the client left"):
        await upstream.exchange().send(request_of(leaving()))


async def test_abort_within_a_reply_closes_the_tunnel(through, request_of) -> None:
    """A waiting read() raises at once, and the upstream sees the connection close."""

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        await link.gone()
        gone.set()

    gone = asyncio.Event()
    upstream, proxy = await through(script)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    reading = asyncio.ensure_future(exchange.read())
    await asyncio.sleep(0.02)
    exchange.abort()
    exchange.abort()
    with pytest.raises(UpstreamAborted):
        await reading
    await gone.wait()
    await proxy.all_closed.wait()


@pytest.mark.parametrize("calls_before", [0, 1])
async def test_abort_before_the_reply_closes_the_tunnel(
    through, request_of, calls_before: int
) -> None:
    """send() raises at once, and the upstream sees it, also where a call came before."""

    async def script(link) -> None:
        for _ in range(calls_before):
            await link.request()
            await link.ok(b"one")
        await link.request()
        asked.set()
        await link.gone()
        gone.set()

    asked, gone = asyncio.Event(), asyncio.Event()
    upstream, _ = await through(script)
    for _ in range(calls_before):
        exchange = upstream.exchange()
        await exchange.send(request_of())
        assert await body_of(exchange) == b"one"
    exchange = upstream.exchange()
    sending = asyncio.ensure_future(exchange.send(request_of()))
    async with asyncio.timeout(60):
        await asked.wait()
        exchange.abort()
        with pytest.raises(UpstreamAborted):
            await sending
        await gone.wait()


async def give_up(upstream, request, *, number: int) -> None:
    """Make a call and leave it somewhere on its way."""
    exchange = upstream.exchange()

    async def whole() -> None:
        await exchange.send(request)
        await body_of(exchange)

    task = asyncio.ensure_future(whole())
    await asyncio.sleep(number % 10 * 0.003)
    if number % 2:
        task.cancel()
        await asyncio.sleep(0)
    exchange.abort()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert result is None or isinstance(result, UpstreamAborted | asyncio.CancelledError)


async def test_100_aborts_leave_a_working_client(through, request_of, until) -> None:
    """Calls given up or cancelled at random leave nothing running, and the next calls work."""

    async def script(link) -> None:
        while True:
            await link.request()
            await link.chunked_head()
            await link.chunk(b"one")
            await asyncio.sleep(0.005)
            await link.chunk(b"two")
            await link.send(b"0\r\n\r\n")

    upstream, _ = await through(script)
    for start in range(0, 100, 10):
        numbers = range(start, start + 10)
        await asyncio.gather(*(give_up(upstream, request_of(), number=n) for n in numbers))
    await until(lambda: upstream.numbers.connections == upstream.numbers.free)
    for _ in range(20):
        exchange = upstream.exchange()
        await exchange.send(request_of())
        assert await body_of(exchange) == b"onetwo"


async def read_after_a_pause(through, request, *, idle: float) -> tuple[int, int]:
    """How much comes of a reply whose reader rests for longer than *idle*, and how much was sent.

    It goes on until nobody takes more: how much the kernel takes is its own affair.
    """
    sent = 0
    blocked = asyncio.Event()

    async def script(link) -> None:
        nonlocal sent
        try:
            await link.request()
            await link.chunked_head()
            while not blocked.is_set() and sent < MOST:
                link.writer.write(b"10000\r\n%b\r\n" % bytes(0x10000))
                sent += 0x10000
                try:
                    await asyncio.wait_for(link.writer.drain(), idle + 0.1)
                except TimeoutError:
                    blocked.set()
            await link.send(b"0\r\n\r\n")
        finally:
            blocked.set()

    upstream, _ = await through(script, timeouts=Timeouts(connect=60, first_byte=60, idle=idle))
    exchange = upstream.exchange()
    await exchange.send(request)
    await blocked.wait()
    return len(await body_of(exchange)), sent


async def test_a_slow_reader_pauses_its_upstream(through, request_of) -> None:
    """Unread pieces stop the sender for longer than the idle limit, and the reply is whole."""
    try:
        came, sent = await read_after_a_pause(through, request_of(), idle=0.3)
    except UpstreamTimedOut:
        # All of it runs in this thread; where that has to wait for others, pieces come late.
        came, sent = await read_after_a_pause(through, request_of(), idle=5)
    assert came == sent < MOST


async def test_limits_apply_to_their_phases(through, request_of) -> None:
    """A reply that never begins and one that stops each name their own setting."""

    async def script(link) -> None:
        if b"/stops" in (await link.request()).head:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await link.send(head + b"3\r\none\r\n")
        await link.gone()

    # Only the limit that is to be reached is a short one.
    upstream, _ = await through(script, timeouts=Timeouts(connect=60, first_byte=0.2, idle=60))
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_FIRST_BYTE_TIMEOUT"):
        await upstream.exchange().send(request_of())
    upstream, _ = await through(script, timeouts=Timeouts(connect=60, first_byte=60, idle=0.2))
    exchange = upstream.exchange()
    await exchange.send(request_of(target=b"/stops"))
    assert await exchange.read() == [b"one"]
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_IDLE_TIMEOUT"):
        await exchange.read()


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"not http\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 300 + b"\r\n",
     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
)  # fmt: skip
async def test_a_broken_reply_is_the_upstreams_fault(through, request_of, reply: bytes) -> None:
    """Garbage and early ends raise UpstreamBroke that names the upstream."""

    async def script(link) -> None:
        await link.request()
        await link.send(reply)

    upstream, _ = await through(script)
    exchange = upstream.exchange()

    async def whole() -> None:
        await exchange.send(request_of())
        await body_of(exchange)

    with pytest.raises(UpstreamBroke, match=r"llm\.example"):
        await whole()


async def test_a_proxy_that_refuses_is_named(through, request_of) -> None:
    """The proxy's refusal says which proxy and which variables, and shows no key."""

    async def script(link) -> None:
        await link.request()

    upstream, proxy = await through(script, host="denied.example")
    if upstream.form.origin:
        pytest.skip("plain http needs no tunnel that could be refused")
    with pytest.raises(UpstreamUnreachable, match="HTTPS_PROXY") as caught:
        await upstream.exchange().send(request_of())
    assert f"127.0.0.1:{proxy.port}" in caught.value.message
    assert "sk-secret" not in caught.value.message


async def test_a_silent_proxy_times_out_while_connecting(through, request_of) -> None:
    """A proxy that makes no tunnel is given up after the connect limit, not the first-byte one."""

    async def script(link) -> None:
        await link.request()

    timeouts = Timeouts(connect=0.3, first_byte=30, idle=30)
    upstream, _ = await through(script, timeouts=timeouts, host="silent.example")
    if upstream.form.origin:
        pytest.skip("plain http needs no tunnel")
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_CONNECT_TIMEOUT"):
        await upstream.exchange().send(request_of())


async def test_close_ends_everything(through, request_of) -> None:
    """Waiting calls raise, no task stays, and later calls are refused."""

    async def script(link) -> None:
        await link.request()
        asked.set()
        await link.gone()

    asked = asyncio.Event()
    upstream, _ = await through(script)
    sending = asyncio.ensure_future(upstream.exchange().send(request_of()))
    await asked.wait()
    await upstream.close()
    with pytest.raises(UpstreamAborted):
        await sending
    assert upstream.numbers.connections == 0
    with pytest.raises(ShuttingDown):
        await upstream.exchange().send(request_of())


async def test_close_does_not_wait_for_a_body_that_never_ends(through, request_of) -> None:
    """A call that cannot end by itself, its caller's body hanging, is ended by close()."""
    began = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield b"first"
        began.set()
        await asyncio.Event().wait()

    async def script(link) -> None:
        await link.gone()

    upstream, _ = await through(script)
    sending = asyncio.ensure_future(upstream.exchange().send(request_of(hanging())))
    await began.wait()
    async with asyncio.timeout(60):
        await upstream.close()
    with pytest.raises(UpstreamAborted):
        await sending


async def test_an_exchange_aborted_before_it_began_sends_nothing(through, request_of) -> None:
    """send() after abort() raises, and no one is asked."""

    async def script(link) -> None:
        await link.request()

    upstream, proxy = await through(script)
    exchange = upstream.exchange()
    exchange.abort()
    with pytest.raises(UpstreamAborted):
        await exchange.send(request_of())
    assert proxy.asked == []


async def test_an_absent_proxy_is_named(request_of) -> None:
    """Nothing listening at the proxy's port: the message names the proxy."""
    upstream = PooledUpstream(
        "https://llm.example/v1", PATIENT, proxy=ForwardProxy("http://127.0.0.1:9")
    )
    with pytest.raises(UpstreamUnreachable, match=r"forward proxy 127\.0\.0\.1:9"):
        await upstream.exchange().send(request_of())
    await upstream.close()


async def test_a_tunnel_that_went_stale_is_made_anew(through, request_of) -> None:
    """The upstream closes a kept connection as the next call comes: nobody sees an error."""

    async def script(link) -> None:
        await link.request()
        await link.ok(b"one")
        await link.request()

    upstream, _ = await through(script)
    for _ in range(2):
        exchange = upstream.exchange()
        await exchange.send(request_of())
        assert await body_of(exchange) == b"one"
