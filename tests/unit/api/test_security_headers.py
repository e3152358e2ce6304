"""Every answer carries the headers, and what a route says itself stays."""

import httpx
from starlette.types import Message, Receive, Scope, Send

from officeai_proxy.api.security_headers import HEADERS, SecurityHeaders


async def answered(*headers: tuple[bytes, bytes]) -> httpx.Response:
    """An answer of a route that says *headers* itself."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200}
        if headers:
            start["headers"] = headers
        await send(start)
        await send({"type": "http.response.body", "body": b"body"})

    transport = httpx.ASGITransport(SecurityHeaders(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/")


async def test_what_a_route_says_itself_stays() -> None:
    """A file that may be kept for ever is kept, whatever case its header is written in."""
    response = await answered((b"Cache-Control", b"public"), (b"x-other", b"1"))

    assert response.headers.get_list("cache-control") == ["public"]
    assert response.headers["x-other"] == "1"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_an_answer_without_headers_gets_them_all() -> None:
    """Each once, and the body as it is."""
    response = await answered()

    assert response.headers.multi_items() == [
        (name.decode(), value.decode()) for name, value in HEADERS
    ]
    assert response.content == b"body"


async def test_other_events_pass() -> None:
    """The application's start and end are none of its business."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    await SecurityHeaders(app)({"type": "lifespan"}, receive, send)

    assert seen == ["lifespan"]
