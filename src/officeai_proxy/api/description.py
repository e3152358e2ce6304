"""What `/openapi.json` says beside its routes: groups, names, what is filled in; serves nothing.

Programs that write clients make functions of the names, and pages that show the description put
the groups in this order.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id

OLD_NAMES = "Old names"
"""The group of addresses of earlier versions, whose handlers serve other routes, too."""

GROUPS = [
    {"name": "Proxy", "description": "Calls of a client, which go on to the upstream."},
    {"name": "Conversations", "description": "What was said: list, search, read, change, delete."},
    {"name": "Export", "description": "Conversations as a file."},
    {"name": "Import", "description": "Conversations out of a file."},
    {"name": "Users", "description": "Who has conversations here; erase one of them for good."},
    {"name": "Calls", "description": "The call log and its numbers; none of what was said."},
    {"name": "Keys", "description": "Who may call what, for keys with the scope `admin`."},
    {"name": "Audit", "description": "Who read, exported, changed or deleted what, and when."},
    {
        "name": OLD_NAMES,
        "description": "Addresses of earlier versions, for programs that call them.",
    },
    {"name": "Health", "description": "For people, probes and Prometheus."},
]


def complete(app: FastAPI, fill_in: Callable[[dict[str, Any]], None]) -> None:
    """Have *fill_in* change the description of *app*, once, when it is first asked for."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        description = describe()
        if not is_made:
            fill_in(description)
        return description

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def operation_id(route: APIRoute) -> str:
    """The name of an operation: that of its handler, with the address where it has several."""
    return generate_unique_id(route) if OLD_NAMES in route.tags else route.name
