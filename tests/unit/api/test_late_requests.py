"""What is cut off at the end of the grace period never looks like a whole answer."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from officeai_proxy.api.late_requests import LateRequests

BEGUN: Message = {"type": "http.response.start", "status": 200}


async def answered_when_cut(*, kind: str, said: list[Message]) -> list[Message]:
    """All that a server hears of a request that is cancelled after *said*."""
    heard: list[Message] = []
    waits = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in said:
            await send(message)
        waits.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        heard.append(message)

    task = asyncio.ensure_future(LateRequests(app)({"type": kind}, receive, send))
    await waits.wait()
    task.cancel()
    await task
    return heard


async def test_an_answer_that_has_begun_breaks_off() -> None:
    """Nothing is said behind it, and no end: the server closes the connection."""
    assert await answered_when_cut(kind="http", said=[BEGUN]) == [BEGUN]


async def test_one_that_has_not_begun_is_an_error() -> None:
    """In the shape and with the status of all errors."""
    start, body = await answered_when_cut(kind="http", said=[])

    assert start["status"] == 503
    assert b'"code": "shutting_down"' in body["body"]


async def test_what_is_no_request_is_cancelled() -> None:
    """The application's own life is the server's."""
    with pytest.raises(asyncio.CancelledError):
        await answered_when_cut(kind="lifespan", said=[])
