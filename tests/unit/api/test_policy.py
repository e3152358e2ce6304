"""Every route says who may call it, or the application does not start."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response
from starlette.routing import Mount

from officeai_proxy.api import policy
from officeai_proxy.api.policy import Policy, policies
from officeai_proxy.app import create_app
from officeai_proxy.auth.dependencies import require
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Caller, Scope
from officeai_proxy.settings import load_settings

READ = frozenset({Scope.READ})


def an_app() -> FastAPI:
    """An application without any route of its own but its description."""
    return FastAPI(docs_url=None, redoc_url=None)


async def nothing() -> None:
    """Do nothing."""


async def reading(_: Annotated[Caller, Depends(require(Scope.READ))]) -> None:
    """Read something."""


def not_allowed_through(app: FastAPI) -> str:
    with pytest.raises(ConfigurationError) as raised:
        policy.install(app)
    return raised.value.message


@pytest.mark.parametrize("path", ["/new", "/health/secret", "/docs/1/2/3", "/docsx", "/ui/1/2"])
def test_a_route_without_a_policy_is_refused_by_name(path: str) -> None:
    """Whoever forgets it learns which route it is and what to write."""
    app = an_app()
    app.add_api_route(path, nothing, methods=["PATCH"])

    message = not_allowed_through(app)

    assert f"PATCH {path}" in message
    assert "require(scope)" in message


def test_included_routes_are_seen() -> None:
    """A router inside a router hides nothing."""
    inner, outer, app = APIRouter(), APIRouter(), an_app()
    inner.add_api_route("/below", nothing)
    outer.include_router(inner, prefix="/middle")
    app.include_router(outer, prefix="/top")

    assert "/top/middle/below" in not_allowed_through(app)


def test_plain_routes_and_mounted_applications_are_seen() -> None:
    """What is no route of FastAPI's has no dependencies, and so no policy."""

    async def plain(_: object) -> Response:
        return Response()

    app = an_app()
    app.add_route("/plain", plain)
    assert "/plain" in not_allowed_through(app)

    app = an_app()
    app.router.routes.append(Mount("/below", app=an_app()))
    assert "/below" in not_allowed_through(app)


def test_an_open_route_cannot_ask_for_a_key() -> None:
    """What the list of open routes says would be a lie."""
    app = an_app()
    app.add_api_route("/health", reading)

    assert "/health" in not_allowed_through(app)


def test_scopes_are_those_that_are_enforced() -> None:
    """The policy is read off the dependencies, also off those of dependencies and routers."""

    async def through(_: Annotated[None, Depends(reading)]) -> None:
        """Depend on it at second hand."""

    router, app = APIRouter(), an_app()
    router.add_api_route("/direct", reading, methods=["GET"])
    router.add_api_route("/through", through, methods=["DELETE"])
    app.include_router(router, dependencies=[Depends(require(Scope.ADMIN))])

    found = {one.path: one for one in policies(app.routes)}

    both = frozenset({Scope.READ, Scope.ADMIN})
    assert found["/direct"] == Policy("/direct", ("GET",), both)
    assert found["/through"] == Policy("/through", ("DELETE",), both)
    assert found["/openapi.json"].is_open


def test_the_description_names_the_scope() -> None:
    """Whoever reads `/docs` learns which key a route takes."""
    app = an_app()
    app.add_api_route("/reading", reading)
    app.add_api_route("/health", nothing)
    policy.install(app)

    for _ in range(2):
        paths = app.openapi()["paths"]
        operation = paths["/reading"]["get"]
        assert operation["security"] == [{"ApiKey": ["read"]}]
        assert operation["description"].count("scope `read`") == 1
        assert paths["/health"]["get"]["security"] == []


def test_the_real_application_has_a_policy_for_every_route() -> None:
    """It would not start otherwise; and what changes something needs more than `read`."""
    found = policies(create_app(load_settings(_env_file=None)).routes.routes)

    assert len(found) > 25
    changing = [one for one in found if {"POST", "PUT", "PATCH", "DELETE"} & set(one.methods)]
    assert changing
    assert [one for one in changing if one.is_open or one.scopes <= READ] == []
