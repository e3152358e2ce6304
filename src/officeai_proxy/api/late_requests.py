"""Requests that still run when the grace period is over are told so, as calls are.

The server cancels what still runs then. It would answer a bare 500 and write a trace for each.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from officeai_proxy.api.faults import response_of
from officeai_proxy.errors import ShuttingDown


class LateRequests:
    """An ASGI application that ends those of another which are cut off."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of *app*."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            # An answer that has begun breaks off: the server closes what is left without an end.
            if not has_begun:
                await response_of(ShuttingDown())(scope, receive, send)
