"""The web page at `/ui`: conversations, search, exports, numbers; HTML out, never a call made.

It is put together when somebody first asks for it: many programs serve calls and nothing else, and
the page takes 5 MB and a part of a second of their start.
"""

import importlib
from typing import TYPE_CHECKING, cast

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from officeai_proxy.later import Later

if TYPE_CHECKING:
    # Whoever asks `page.visits` for a link has not loaded the framework.
    from fastapi import FastAPI


def install(app: "FastAPI") -> None:
    """Add the page to *app*, whose state has the services."""

    def made() -> ASGIApp:
        module = importlib.import_module("officeai_proxy.page.application")
        return cast("ASGIApp", module.application(app))

    app.router.routes.append(Route("/", _lead_to_page, include_in_schema=False))
    page = Later(made)
    for path in ("/ui", "/ui/{rest:path}"):
        app.router.routes.append(Route(path, page, include_in_schema=False))


async def _lead_to_page(_: Request) -> RedirectResponse:
    """Whoever types no more than the host's name wants to see the page."""
    return RedirectResponse("/ui")
