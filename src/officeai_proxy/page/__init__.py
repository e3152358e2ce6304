"""The web page at `/ui`: conversations, search, exports, numbers; HTML out, never a call made.

It is put together when somebody first asks for it: many programs serve calls and nothing else, and
the page takes 5 MB and a part of a second of their start.
"""

import asyncio
import importlib
from typing import cast

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Page:
    """The page's application, made at the first request."""

    def __init__(self, app: FastAPI) -> None:
        """Be the page of *app*, whose state has the services."""
        self._app = app
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI specification)."""
        if self._made is None:
            # In a thread, so that calls go on meanwhile.
            self._made = await asyncio.to_thread(self._make)
        await self._made(scope, receive, send)

    def _make(self) -> ASGIApp:
        module = importlib.import_module("officeai_proxy.page.application")
        return cast("ASGIApp", module.application(self._app))


def install(app: FastAPI) -> None:
    """Add the page to *app*."""
    page = Page(app)
    for path in ("/ui", "/ui/{rest:path}"):
        app.router.routes.append(Route(path, page, include_in_schema=False))
