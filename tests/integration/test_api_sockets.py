"""What only a real socket shows: addresses as bytes, bodies that break off, one connection kept."""

import asyncio
import json

import pytest
from tests.api import KEY, Api

HEAD = f"Host: test\r\nAuthorization: Bearer {KEY}\r\n"


async def exchange(url: str, request: str, *, close: bool = False) -> bytes:
    """Send raw text and return all that comes back until the server closes."""
    port = int(url.rpartition(":")[2])
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.encode())
        await writer.drain()
        if close:
            writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/conversations/a%2Fb", 404, "unknown_url"),
        ("/conversations/%00", 422, "invalid_value"),
        ("/conversations/%C3%A9", 404, "not_found"),
        ("/conversations/..", 404, "not_found"),
        ("/conversations/%2E%2E", 404, "not_found"),
        ("/conversations/;x", 404, "not_found"),
        ("/conversations//", 404, "unknown_url"),
        ("/./conversations", 404, "unknown_url"),
        ("/conversations/%", 404, "not_found"),
        ("/conversations/%0d%0aX-Evil:%201", 422, "invalid_value"),
    ],
)
async def test_strange_addresses(api: Api, target: str, status: int, code: str):
    """A strange address is unknown or refused, and is never redirected or run."""
    async with api.serving() as url:
        answer = await exchange(url, f"GET {target} HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["code"] == code
    assert b"x-evil" not in head.lower()
    assert b"location" not in head.lower()


async def test_a_declared_length_over_the_limit_is_refused_at_once(api: Api):
    """A body that says it is too large is refused before it is sent."""
    request = (
        f"POST /conversations/ HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\n"
        "Content-Length: 999999999\r\nConnection: close\r\n\r\n{"
    )
    async with api.serving() as url:
        answer = await exchange(url, request)

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_breaks_off_creates_nothing(api: Api):
    """A caller that leaves in the middle of a body leaves nothing behind, and others go on."""
    request = (
        f"POST /conversations/ HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\n"
        'Content-Length: 100\r\n\r\n{"user_identifier": "u"'
    )
    async with api.serving() as url:
        await exchange(url, request, close=True)
        answer = await exchange(
            url, f"GET /conversations HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
        )

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["total"] == 0


async def test_a_refusal_keeps_the_connection(api: Api):
    """After a refused request the next one on the same connection is answered."""
    body = b'{"title": 1}'
    first = (
        f"PUT /conversations/s1 HTTP/1.1\r\n{HEAD}Content-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body.decode()}"
    )
    second = f"GET /conversations HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
    async with api.serving() as url:
        answer = await exchange(url, first + second)

    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 415 " in answer
    assert b"HTTP/1.1 200 " in answer
