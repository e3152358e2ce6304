"""Request bodies that come piece by piece."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from officeai_proxy.errors import UpstreamBroke, UpstreamTimedOut
from officeai_proxy.proxy.upstream import Timeouts, UpstreamAborted

MEGABYTE = 1024 * 1024


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def one_reply(link) -> None:
    request = await link.request()
    await link.ok(request.body)


async def replies(link) -> None:
    while True:
        await one_reply(link)


@pytest.mark.parametrize("pieces", [(b"abc", b"de"), (b"abc", b"defgh")])
async def test_a_body_of_another_length_than_promised_is_refused(
    serve, direct, request_of, pieces
) -> None:
    """Too short or too long: it raises, and the connection with half a request is closed."""
    served = await serve(one_reply)
    upstream = direct(served.url)
    with pytest.raises(ValueError, match="7 bytes"):
        await upstream.exchange().send(request_of(pieces_of(*pieces), content_length=7))
    await served.all_closed.wait()
    assert upstream.numbers.free == 0


async def test_an_error_of_the_callers_body_is_the_callers(serve, direct, request_of) -> None:
    """What the body's iterator raises comes out of send() as it is, and nothing is left open."""

    async def leaving() -> AsyncIterator[bytes]:
        yield b"part"
        raise LookupError("the client left")

    served = await serve(one_reply)
    upstream = direct(served.url)
    with pytest.raises(LookupError, match="the client left"):
        await upstream.exchange().send(request_of(leaving()))
    await served.all_closed.wait()


async def test_a_body_without_length_goes_out_in_chunks(serve, direct, request_of) -> None:
    """Each piece is a chunk; an empty one does not end the body."""
    served = await serve(replies)
    upstream = direct(served.url)
    for _ in range(2):
        exchange = upstream.exchange()
        await exchange.send(request_of(pieces_of(b"abc", b"", b"defg")))
        assert await exchange.read() == [b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"]
    assert served.connections == 2


async def test_a_body_with_its_length_goes_out_as_it_is(serve, direct, request_of) -> None:
    """With a length the pieces follow each other unframed, and the connection is kept."""
    served = await serve(one_reply)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of(pieces_of(b"abc", b"", b"defg"), content_length=7))
    assert await exchange.read() == [b"abcdefg"]
    assert exchange.ended


async def test_a_slow_upstream_slows_the_body_down(serve, direct, request_of) -> None:
    """No more of the body is taken from the caller than the upstream takes."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64:
            taken += 1
            yield b"x" * MEGABYTE

    async def script(link) -> None:
        await link.head()
        await measured.wait()
        await link.reader.readexactly(64 * MEGABYTE)
        await link.ok()

    measured = asyncio.Event()
    served = await serve(script)
    exchange = direct(served.url).exchange()
    sending = asyncio.ensure_future(
        exchange.send(request_of(endless(), content_length=64 * MEGABYTE))
    )
    seen = -1
    while seen != taken:
        seen = taken
        await asyncio.sleep(0.2)
    assert taken < 32
    measured.set()
    await sending
    assert taken == 64


async def test_an_upstream_that_takes_nothing_times_out(serve, direct, request_of) -> None:
    """A body that cannot be delivered is given up like a reply that does not begin."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * MEGABYTE

    async def script(link) -> None:
        await link.head()
        await done.wait()

    done = asyncio.Event()
    served = await serve(script)
    upstream = direct(served.url, Timeouts(connect=5, first_byte=0.3, idle=5))
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_FIRST_BYTE_TIMEOUT"):
        await upstream.exchange().send(request_of(endless()))
    done.set()


async def test_a_slow_caller_is_no_fault_of_the_upstream(serve, direct, request_of) -> None:
    """While the caller is slow with its body, no limit on the upstream runs."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.5)
        yield b"b"

    served = await serve(one_reply)
    upstream = direct(served.url, Timeouts(connect=5, first_byte=0.2, idle=0.2))
    exchange = upstream.exchange()
    await exchange.send(request_of(slow(), content_length=2))
    assert await exchange.read() == [b"ab"]


async def test_an_early_reply_stops_the_body_and_the_connection(serve, direct, request_of) -> None:
    """A reply that comes first is handed out at once; the rest of the body is not asked for."""
    stopped = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def script(link) -> None:
        await link.head()
        await link.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        await link.gone()

    served = await serve(script)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of(hanging()))
    assert stopped.is_set()
    assert exchange.status == 413
    assert await exchange.read() == [b"large"]
    assert exchange.ended
    # The upstream would take the next request for the rest of this body.
    assert upstream.numbers.free == 0
    await served.all_closed.wait()


async def test_the_idle_limit_runs_after_an_early_head(serve, direct, request_of) -> None:
    """An early reply that then falls silent is given up like any other."""

    async def hanging() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def script(link) -> None:
        await link.head()
        await link.chunked_head()
        await link.gone()

    served = await serve(script)
    upstream = direct(served.url, Timeouts(connect=5, first_byte=5, idle=0.2))
    exchange = upstream.exchange()
    await exchange.send(request_of(hanging()))
    with pytest.raises(UpstreamTimedOut, match="OFFICEAI_IDLE_TIMEOUT"):
        await exchange.read()


async def test_a_connection_lost_during_the_body_raises(serve, direct, request_of) -> None:
    """An upstream that hangs up on a body is reported, even while the caller is slow."""

    async def hanging() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def script(link) -> None:
        await link.head()

    served = await serve(script)
    with pytest.raises(UpstreamBroke):
        await direct(served.url).exchange().send(request_of(hanging()))


async def test_an_abort_stops_the_body(serve, direct, request_of) -> None:
    """abort() during an upload ends send() and closes the connection."""
    began = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield b"first"
        began.set()
        await asyncio.Event().wait()

    served = await serve(one_reply)
    exchange = direct(served.url).exchange()
    sending = asyncio.ensure_future(exchange.send(request_of(hanging())))
    await began.wait()
    exchange.abort()
    with pytest.raises(UpstreamAborted):
        await sending
    await served.all_closed.wait()
