"""Addresses of earlier versions in, the routes of today out; has no answer of its own.

Each old address is served by the handler of today's: only where a value stands in the request may
differ, for some of the old ones name the session in the query. Whatever a handler asks for beside
that, it gets.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from fastapi.routing import APIRoute
from pydantic import AfterValidator, WithJsonSchema

from officeai_proxy import history
from officeai_proxy.api.dependencies import Reader, Writer
from officeai_proxy.api.description import OLD_NAMES as OLD_NAMES_GROUP
from officeai_proxy.api.values import NAME_SCHEMA, SessionPath, TextQuery, label_or_none
from officeai_proxy.errors import NotAllowed
from officeai_proxy.history import examples
from officeai_proxy.model import Caller, Scope

Handler: TypeAlias = Callable[..., Awaitable[Any]]

_SessionQuery = Annotated[
    str,
    AfterValidator(label_or_none("session_id")),
    WithJsonSchema(NAME_SCHEMA),
    Query(
        description="The session's id, as `X-Session-ID` named it.",
        openapi_examples={"demo": {"value": "demo-session"}},
    ),
]
_ImportedPath = Annotated[SessionPath, Path(openapi_examples=examples.IMPORTED_SESSION)]
_WorkspaceQuery = Annotated[
    TextQuery,
    Query(description="The key's own, which it is without this; an administrator's key: any."),
]


async def _reader_there(caller: Reader, workspace: _WorkspaceQuery = None) -> Caller:
    return _there(caller, workspace)


async def _writer_there(caller: Writer, workspace: _WorkspaceQuery = None) -> Caller:
    return _there(caller, workspace)


def _there(caller: Caller, workspace: str | None) -> Caller:
    """The caller inside the walls of *workspace*.

    A key that is bound to a user stays at home: the same name elsewhere may be somebody else.
    """
    name = (workspace or "").strip()
    if name in ("", caller.workspace):
        return caller
    if Scope.ADMIN not in caller.scopes or caller.user is not None:
        raise NotAllowed(
            "This key belongs to another workspace, and only an administrator's key that is "
            "bound to no user may name one; leave `workspace` out.",
            param="workspace",
        )
    return replace(caller, workspace=name)


@dataclass(frozen=True, slots=True)
class OldName:
    """An old address, the route of today that serves it, and which of its parameters differ."""

    method: str
    old: str
    path: str
    types: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)


_IN_QUERY = {"session_id": _SessionQuery}
_ONE = "/conversations/{session_id}"
_MESSAGES = "/conversations/{session_id}/messages"
_READ_THERE = {**_IN_QUERY, "caller": Annotated[Caller, Depends(_reader_there)]}
_WRITE_THERE = {**_IN_QUERY, "caller": Annotated[Caller, Depends(_writer_there)]}

OLD_NAMES = (
    OldName("GET", "/session/history", _ONE, _IN_QUERY),
    OldName("GET", "/session/history/all", "/conversations"),
    # What asked for archives there expected JSON in them.
    OldName(
        "GET", "/session/history/export", "/conversations/export-all", defaults={"inner": "json"}
    ),
    OldName("GET", "/api/conversations/export-all", "/conversations/export-all"),
    OldName("GET", "/api/conversations/{session_id}/export", f"{_ONE}/export"),
    OldName("GET", "/api/conversations/{session_id}", _ONE),
    OldName("DELETE", "/api/conversations/{session_id}", _ONE, {"session_id": _ImportedPath}),
    OldName("GET", "/api/v1/chat/history", _MESSAGES, _READ_THERE),
    OldName("DELETE", "/api/v1/chat/history", _ONE, _WRITE_THERE),
)
"""All of them; a fixed word comes before a session in its place."""


def _reshaped(handler: Handler, name: OldName) -> Handler:
    """*handler* with other types and defaults of some parameters, as FastAPI reads them."""

    async def called(**given: Any) -> Any:
        return await handler(**given)

    shape = inspect.signature(handler)
    changed = [
        one.replace(
            annotation=name.types.get(one.name, one.annotation),
            default=name.defaults.get(one.name, one.default),
        )
        for one in shape.parameters.values()
    ]
    called.__signature__ = shape.replace(parameters=changed)  # type: ignore[attr-defined]  # PEP 362
    called.__name__ = handler.__name__
    return called


def _route_of_today(name: OldName) -> APIRoute:
    return next(
        route
        for router in history.ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        and route.path == name.path
        and name.method in (route.methods or ())
    )


def _router() -> APIRouter:
    router = APIRouter(tags=[OLD_NAMES_GROUP])
    for name in OLD_NAMES:
        today = _route_of_today(name)
        router.add_api_route(
            name.old,
            _reshaped(today.endpoint, name),
            methods=[name.method],
            status_code=today.status_code,
            summary=today.summary,
            description=f"The old name of `{name.method} {name.path}`.",
            responses=today.responses,
            response_class=today.response_class,
            route_class_override=type(today),
        )
    return router


router = _router()
"""What an app includes to serve the old names."""
