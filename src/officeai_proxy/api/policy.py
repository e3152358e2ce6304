"""Who may call what: the routes of an application in, the policy of each out; enforces nothing.

A route needs the scope of the `auth.dependencies.Requirement` that guards it, so that what is
declared and what is enforced cannot differ. A route without one must stand in `OPEN`, or the
application does not start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, compile_path

from officeai_proxy.api.description import complete
from officeai_proxy.auth.dependencies import Requirement
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Scope

OPEN = (
    # It leads to the page, and says nothing.
    "/",
    "/docs",
    "/docs/{version}/{file}",
    "/docs/init.js",
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    # The page has a door of its own: every room behind it asks for a session and a scope.
    "/ui",
    "/ui/{rest}",
)
"""All that anybody may read without a key: no data of any workspace is behind it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route asks of its caller: a key with all of `scopes`, or nothing when it is open."""

    path: str
    methods: tuple[str, ...]
    scopes: frozenset[Scope]

    @property
    def is_open(self) -> bool:
        """Whether anybody may call it without a key."""
        return not self.scopes


def policies(routes: Sequence[BaseRoute]) -> list[Policy]:
    """The policy of every route, in the order in which they are tried.

    Raises:
        ConfigurationError: a route has none, or is open and asks for a key; the message names it.
    """
    return [_policy(route) for route in iter_route_contexts(routes)]


def install(app: FastAPI) -> None:
    """Let the API page of *app* say what each route needs.

    Raises:
        ConfigurationError: a route of *app* has no policy.
    """
    needed = {
        (policy.path, method.lower()): policy
        for policy in policies(app.routes)
        for method in policy.methods
    }

    def tell(description: dict[str, Any]) -> None:
        for path, item in description["paths"].items():
            for method, operation in item.items():
                _tell(operation, needed[path, method])

    complete(app, tell)


def _policy(route: RouteContext) -> Policy:
    path = route.path or ""
    methods = tuple(sorted(route.methods or ()))
    # A mounted application or a route of Starlette's has no dependencies at all.
    dependant = cast("Dependant | None", getattr(route, "dependant", None))
    scopes = frozenset(_scopes(dependant)) if dependant is not None else frozenset()
    if bool(scopes) == _is_open(path):
        fault = "asks for a key, although it stands there" if scopes else "says of nothing"
        raise ConfigurationError(
            f"The route {' '.join((*methods, path))} {fault}: let it depend on "
            "auth.dependencies.require(scope), or list it in api.policy.OPEN."
        )
    return Policy(path, methods, scopes)


def _is_open(path: str) -> bool:
    return any(compile_path(pattern)[0].match(path) for pattern in OPEN)


def _scopes(dependant: Dependant) -> Iterator[Scope]:
    if isinstance(dependant.call, Requirement):
        yield dependant.call.scope
    for inner in dependant.dependencies:
        yield from _scopes(inner)


def _tell(operation: dict[str, Any], policy: Policy) -> None:
    """Say in *operation* which scope its key needs (OpenAPI 3.1, Security Requirement Object)."""
    if policy.is_open:
        operation["security"] = []
        return
    names = sorted(scope.value for scope in policy.scopes)
    operation["security"] = [{"ApiKey": names}]
    told = f"Needs a key with the scope {', '.join(f'`{name}`' for name in names)}."
    operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()
