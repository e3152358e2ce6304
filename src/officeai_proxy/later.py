"""An ASGI application that is made at its first request; knows nothing of what it is.

Many programs serve calls and nothing else: what only people and scripts ask for now and then costs
them neither memory nor a part of their start.
"""

import asyncio
import gc
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Later:
    """Makes an application once, when somebody asks it for something."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        """Let *make* make it; that runs in a thread, so that calls go on meanwhile."""
        self._make = make
        self._made: ASGIApp | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI specification); the first ones wait until it is made."""
        made = self._made or await self._once()
        await made(scope, receive, send)

    async def _once(self) -> ASGIApp:
        async with self._turn:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
                # It stays for good: no collection need look through all of it again.
                gc.freeze()
            return self._made
