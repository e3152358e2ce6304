"""A route says what its key must be able to do, and nobody else gets in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from officeai_proxy.api import faults
from officeai_proxy.auth.dependencies import require
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.keys import digest
from officeai_proxy.model import ApiKey, Caller, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

READ_ONLY = ApiKey(
    id="key_1",
    name="reader",
    digest=digest("sk-reader"),
    hint="…",
    workspace="team",
    scopes=frozenset({Scope.READ}),
    created_at=NOW,
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with one route that reads and one that writes."""
    app = FastAPI()
    faults.install(app)
    keyring = Keyring([], lambda: NOW)
    keyring.replace_managed([READ_ONLY])
    app.state.services = SimpleNamespace(keyring=keyring)

    @app.get("/read")
    async def read(caller: Annotated[Caller, Depends(require(Scope.READ))]) -> str:
        return caller.workspace

    @app.get("/write")
    async def write(caller: Annotated[Caller, Depends(require(Scope.WRITE))]) -> str:
        return caller.workspace

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer sk-other", "Basic sk-reader"])
async def test_without_a_good_key_nobody_gets_in(client: httpx.AsyncClient, header: str | None):
    """No key, a wrong one and another scheme are a 401."""
    headers = {} if header is None else {"Authorization": header}

    assert (await client.get("/read", headers=headers)).status_code == 401


async def test_two_keys_are_refused(client: httpx.AsyncClient):
    """Two Authorization headers are a 400, also when one of them is good."""
    headers = [("Authorization", "Bearer sk-reader"), ("Authorization", "Bearer sk-other")]
    response = await client.get("/read", headers=headers)

    assert (response.status_code, response.json()["error"]["param"]) == (400, "Authorization")


async def test_a_missing_scope_is_a_403(client: httpx.AsyncClient):
    """A good key without the scope learns which one it would need."""
    response = await client.get("/write", headers={"Authorization": "Bearer sk-reader"})

    assert response.status_code == 403
    assert "`write`" in response.json()["error"]["message"]


async def test_the_route_gets_the_caller(client: httpx.AsyncClient):
    """With key and scope the route knows whom it serves."""
    response = await client.get("/read", headers={"authorization": "bearer sk-reader"})

    assert (response.status_code, response.json()) == (200, "team")
