"""The web page at `/ui`: conversations, search, exports, numbers; HTML out, never a call made.

It is put together when somebody first asks for it: many programs serve calls and nothing else, and
the page takes 5 MB and a part of a second of their start.
"""

import importlib
from typing import TYPE_CHECKING, cast

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

    page = Later(made)
    for path in ("/ui", "/ui/{rest:path}"):
        app.router.routes.append(Route(path, page, include_in_schema=False))
