"""Exchanges from the caller's side: sending, giving up, trying again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from officeai_proxy.errors import UpstreamBroke
from officeai_proxy.proxy.upstream import UpstreamAborted, UpstreamRequest, connection


async def body_of(exchange) -> bytes:
    pieces = []
    while more := await exchange.read():
        pieces += more
    return b"".join(pieces)


async def test_a_request_that_cannot_be_written_makes_no_connection(serve, direct) -> None:
    """A header with a line break is refused before anything is sent."""

    async def script(link) -> None:
        await link.request()

    served = await serve(script)
    request = UpstreamRequest(b"POST", b"/v1", [(b"x", b"a\r\nb: c")], b"")
    with pytest.raises(ValueError, match="header"):
        await direct(served.url).exchange().send(request)
    assert served.connections == 0


async def test_the_request_arrives_as_it_was_given(serve, direct, request_of) -> None:
    """Target, headers and body reach the upstream unchanged, with its own host and length."""
    received = []

    async def script(link) -> None:
        received.append(await link.request())
        await link.ok()

    served = await serve(script)
    body = b"\x00\xff" * 200_000
    exchange = direct(served.url + "/base").exchange()
    await exchange.send(request_of(body, target=b"/base/v1/x?a=%2F&b"))
    assert (
        received[0].head
        == (
            b"POST /base/v1/x?a=%%2F&b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer sk-secret\r\ncontent-length: 400000\r\n\r\n"
        )
        % served.url.removeprefix("http://").encode()
    )
    assert received[0].body == body
    assert exchange.headers == [(b"content-length", b"2")]


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_stale_connection_is_replaced_once(
    serve, direct, request_of, is_reset: bool
) -> None:
    """A kept connection that dies before a byte of reply: the call goes out again on a new one."""

    async def script(link) -> None:
        await link.request()
        await link.ok(b"%d" % link.number)
        if link.number == 1:
            await link.request()
            if is_reset:
                link.reset()
        else:
            await link.gone()

    served = await serve(script)
    upstream = direct(served.url)
    for expected in (b"1", b"2"):
        exchange = upstream.exchange()
        await exchange.send(request_of())
        assert await body_of(exchange) == expected
    assert served.connections == 2


async def test_a_second_death_is_not_tried_again(serve, direct, request_of) -> None:
    """When the new connection dies too, the call has failed: two attempts, no more."""

    async def script(link) -> None:
        await link.request()
        if link.number == 1:
            await link.ok()
            await link.request()

    served = await serve(script)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    await body_of(exchange)
    with pytest.raises(UpstreamBroke, match="before its reply"):
        await upstream.exchange().send(request_of())
    assert served.connections == 2


async def test_nothing_is_tried_again_after_the_first_byte(serve, direct, request_of) -> None:
    """One byte of a reply shows that the request arrived: it is never sent twice."""

    async def script(link) -> None:
        await link.request()
        await link.ok()
        await link.request()
        await link.send(b"H")

    served = await serve(script)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    await body_of(exchange)
    with pytest.raises(UpstreamBroke):
        await upstream.exchange().send(request_of())
    assert served.connections == 1


async def test_a_streamed_body_goes_out_on_a_fresh_connection(serve, direct, request_of) -> None:
    """A body that is used up cannot be repeated, so it is never risked on a kept connection."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    async def script(link) -> None:
        await link.request()
        await link.ok()

    served = await serve(script)
    upstream = direct(served.url)
    for body in (b"{}", pieces()):
        exchange = upstream.exchange()
        await exchange.send(request_of(body))
        await body_of(exchange)
    assert served.connections == 2


async def test_a_request_that_the_upstream_had_for_long_is_not_sent_again(
    serve, direct, request_of, monkeypatch
) -> None:
    """Only a connection that dies at once was dead before; later the work may have been done."""
    monkeypatch.setattr(connection, "STALE_SECONDS", 0.05)

    async def script(link) -> None:
        await link.request()
        await link.ok()
        await link.request()
        await asyncio.sleep(0.2)

    served = await serve(script)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    await body_of(exchange)
    with pytest.raises(UpstreamBroke):
        await upstream.exchange().send(request_of())
    assert served.connections == 1


async def test_an_exchange_aborted_before_it_began_sends_nothing(serve, direct, request_of) -> None:
    """send() after abort() raises, and the upstream sees no request."""
    requests = []

    async def script(link) -> None:
        while True:
            requests.append(await link.request())
            await link.ok()

    served = await serve(script)
    upstream = direct(served.url)
    first = upstream.exchange()
    await first.send(request_of())
    await body_of(first)
    exchange = upstream.exchange()
    exchange.abort()
    with pytest.raises(UpstreamAborted):
        await exchange.send(request_of())
    assert len(requests) == 1


async def test_abort_ends_a_wait_for_the_connection(direct, request_of) -> None:
    """An exchange that is still connecting can be given up at once."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        while await reader.read():
            pass
        writer.close()

    accepted = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        upstream = direct(f"https://127.0.0.1:{port}")
        exchange = upstream.exchange()
        sending = asyncio.ensure_future(exchange.send(request_of()))
        await accepted.wait()
        exchange.abort()
        with pytest.raises(UpstreamAborted):
            await sending
        closing = asyncio.ensure_future(upstream.exchange().send(request_of()))
        await asyncio.sleep(0)
        await upstream.close()
        with pytest.raises(UpstreamAborted):
            await closing


@pytest.mark.parametrize("has_head", [False, True])
async def test_abort_ends_a_wait_for_the_reply(serve, direct, request_of, has_head: bool) -> None:
    """A waiting send() or read() raises, the socket is closed, and later reads raise too."""

    async def script(link) -> None:
        await link.request()
        if has_head:
            await link.chunked_head()
        asked.set()
        await link.gone()

    asked = asyncio.Event()
    served = await serve(script)
    exchange = direct(served.url).exchange()

    async def whole() -> None:
        await exchange.send(request_of())
        await exchange.read()

    task = asyncio.ensure_future(whole())
    await asked.wait()
    await asyncio.sleep(0.02)
    exchange.abort()
    with pytest.raises(UpstreamAborted):
        await task
    with pytest.raises(UpstreamAborted):
        await exchange.read()
    await served.all_closed.wait()


async def test_abort_after_the_reply_came_in_whole_keeps_the_connection(
    serve, direct, request_of
) -> None:
    """Unread pieces are dropped, but the connection is good, and another call may have it."""

    async def script(link) -> None:
        while True:
            request = await link.request()
            if b"/slow" in request.head:
                await link.chunked_head()
                await link.chunk(b"slow")
                await aborted.wait()
                await link.send(b"0\r\n\r\n")
            else:
                await link.ok()

    aborted = asyncio.Event()
    served = await serve(script)
    upstream = direct(served.url)
    first = upstream.exchange()
    await first.send(request_of())
    second = upstream.exchange()
    await second.send(request_of(target=b"/slow"))
    first.abort()
    aborted.set()
    assert await body_of(second) == b"slow"
    with pytest.raises(UpstreamAborted):
        await first.read()
    assert served.connections == 1


async def test_abort_after_the_end_changes_nothing(serve, direct, request_of) -> None:
    """A finished exchange cannot be aborted, and its connection stays."""

    async def script(link) -> None:
        while True:
            await link.request()
            await link.ok()

    served = await serve(script)
    upstream = direct(served.url)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    assert await exchange.read() == [b"ok"]
    exchange.abort()
    assert await exchange.read() == []
    assert upstream.numbers.free == 1


async def test_a_cancelled_caller_leaks_nothing(serve, direct, request_of) -> None:
    """Cancelled in send() or read() and then aborted: the connection is gone."""

    async def script(link) -> None:
        if b"/head" in (await link.request()).head:
            await link.chunked_head()
        await link.gone()

    served = await serve(script)
    upstream = direct(served.url)
    for target in (b"/silent", b"/head"):
        exchange = upstream.exchange()

        async def whole(exchange=exchange, target=target) -> None:
            await exchange.send(request_of(target=target))
            await exchange.read()

        task = asyncio.ensure_future(whole())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        exchange.abort()
    await served.all_closed.wait()
    await upstream.close()
    assert upstream.numbers.connections == 0
