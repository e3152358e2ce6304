"""Headers that keep answers of our own routes where they belong; what a route says itself stays.

It stands in front of the framework, so that its errors carry them as well. Bytes of the upstream
never come through here.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    # No browser guesses at a type and runs as a page what is text.
    (b"x-content-type-options", b"nosniff"),
    # Neither a browser nor a cache between keeps what only the holder of a key may see.
    (b"cache-control", b"no-store"),
    # The address of an answer names sessions and users.
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # No other page shows ours in a frame; the older of the two headers is for older browsers.
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What each answer carries unless its route says otherwise (OWASP, HTTP Headers Cheat Sheet)."""


class SecurityHeaders:
    """An ASGI application that adds *headers* to the answers of another."""

    def __init__(self, app: ASGIApp, headers: Sequence[tuple[bytes, bytes]] = HEADERS) -> None:
        """Stand in front of *app*."""
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                missing = [header for header in self._headers if header[0] not in names]
                message = {**message, "headers": [*given, *missing]}
            await send(message)

        await self._app(scope, receive, completed)
