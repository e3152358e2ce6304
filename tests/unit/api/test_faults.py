"""Every error of every route is OpenAI's error object."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from officeai_proxy.api import faults
from officeai_proxy.errors import (
    DatabaseUnavailable,
    InvalidKey,
    NotFound,
)

SECRET = "sk-very-secret"


class Part(BaseModel):
    """A part of the test body."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, le=10)


class Body(BaseModel):
    """The test body."""

    parts: list[Part]


def an_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)
    router = APIRouter()

    @router.get("/things/{name}")
    async def read(name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 5) -> dict[str, Any]:
        failures: dict[str, Exception] = {
            "missing": NotFound("There is no such thing."),
            "half": NotFound("There is no \ud800."),
            "away": DatabaseUnavailable(),
            "key": InvalidKey(),
            "bug": RuntimeError(SECRET),
            "teapot": HTTPException(418, "I am a teapot."),
            "broken": HTTPException(500, "It is broken."),
        }
        if name in failures:
            raise failures[name]
        return {"limit": limit}

    @router.delete("/things/{name}")
    async def remove(name: str) -> None:
        return None

    @router.put("/things/{name}")
    async def replace(name: str, body: Body) -> None:
        return None

    app.include_router(router)
    faults.install(app)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the test app, which sees errors as a server would show them."""
    transport = httpx.ASGITransport(an_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


async def test_unknown_address_says_where_to_look(client: httpx.AsyncClient):
    """A wrong address is a 404 `unknown_url` that repeats it and points to the list."""
    response = await client.get("/thigns/1?key=" + SECRET)

    assert response.status_code == 404
    assert error_of(response) == {
        "message": "Invalid URL (GET /thigns/1). All addresses are listed at /docs.",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }


@pytest.mark.parametrize("path", ["/chat/completions", "/openai/models", "/api/v1/embeddings"])
async def test_a_client_without_v1_is_told_so(client: httpx.AsyncClient, path: str):
    """Whoever forgot the end of the base URL, as most do once, reads what it should be."""
    message = error_of(await client.post(path))["message"]

    assert "ends in /v1" in message
    assert path in message


async def test_a_long_address_is_not_repeated_whole(client: httpx.AsyncClient):
    """An address of megabytes does not come back as such."""
    response = await client.get("/" + "a" * 50_000)

    assert len(response.content) < 500


@pytest.mark.parametrize("method", ["POST", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_wrong_method_names_all_that_work(client: httpx.AsyncClient, method: str):
    """A wrong method is a 405 whose Allow lists every route of the address, not the first only."""
    response = await client.request(method, "/things/1")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, PUT, DELETE"
    if method != "HEAD":
        assert error_of(response)["code"] == "method_not_supported"


async def test_wrong_key_says_which_scheme(client: httpx.AsyncClient):
    """A 401 carries WWW-Authenticate (RFC 9110, section 11.6.1)."""
    response = await client.get("/things/key")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error_of(response)["code"] == "invalid_api_key"


async def test_unavailable_says_when_to_come_back(client: httpx.AsyncClient):
    """A 503 carries Retry-After, which SDKs obey."""
    response = await client.get("/things/away")

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert error_of(response)["type"] == "server_error"


async def test_a_bug_tells_nothing(client: httpx.AsyncClient):
    """An error nobody expected is a 500 without any detail."""
    response = await client.get("/things/bug")

    assert response.status_code == 500
    assert error_of(response)["code"] == "internal_error"
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text


async def test_a_bug_reaches_the_servers_log():
    """The error itself goes on to the server, which logs it with its traceback."""
    transport = httpx.ASGITransport(an_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError, match=SECRET):
            await client.get("/things/bug")


@pytest.mark.parametrize(
    ("name", "kind"), [("teapot", "invalid_request_error"), ("broken", "server_error")]
)
async def test_other_errors_of_the_framework_have_the_shape(
    client: httpx.AsyncClient, name: str, kind: str
):
    """Whatever else the framework raises is an error object with its own status."""
    response = await client.get(f"/things/{name}")

    assert error_of(response)["type"] == kind
    assert response.status_code in (418, 500)


@pytest.mark.parametrize("limit", ["0", "1001", "abc", SECRET])
async def test_bad_parameter_is_named_and_not_repeated(client: httpx.AsyncClient, limit: str):
    """A value that cannot be is a 422 that names the parameter and never says the value."""
    response = await client.get(f"/things/1?limit={limit}")

    assert response.status_code == 422
    error = error_of(response)
    assert (error["param"], error["code"]) == ("limit", "invalid_value")
    assert error["message"].startswith("limit: Input should be")
    assert SECRET not in response.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "parts"),
        ({"parts": 1}, "parts"),
        ({"parts": [{"count": 1}, {"count": SECRET}]}, "parts[1].count"),
        ({"parts": [{"count": 1, "colour": SECRET}]}, "parts[0].colour"),
        ([], None),
        (SECRET, None),
    ],
)
async def test_bad_field_is_named_by_its_place(
    client: httpx.AsyncClient, body: Any, param: str | None
):
    """The place of a fault in a body is written as OpenAI writes it."""
    response = await client.put("/things/1", json=body)

    assert response.status_code == 422
    assert error_of(response)["param"] == param
    assert SECRET not in response.text


async def test_many_faults_are_not_all_told(client: httpx.AsyncClient):
    """A body with a thousand faults gets a short answer."""
    response = await client.put("/things/1", json={"parts": [{"count": 0}] * 1000})

    assert "and 995 more" in error_of(response)["message"]
    assert len(response.content) < 1000


async def test_malformed_json_is_a_400(client: httpx.AsyncClient):
    """A body that is no JSON is a 400 `invalid_json` and is not repeated."""
    content = b'{"parts": ' + SECRET.encode()
    response = await client.put(
        "/things/1", content=content, headers={"content-type": "application/json"}
    )

    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_json"
    assert SECRET not in response.text


async def test_half_a_character_in_a_message_can_be_told(client: httpx.AsyncClient):
    """A message with half a surrogate pair, which has no UTF-8, is still an answer."""
    response = await client.get("/things/half")

    assert response.status_code == 404
    assert error_of(response)["message"] == "There is no \ufffd."


async def test_a_route_that_works_is_left_alone(client: httpx.AsyncClient):
    """No error, no error object."""
    assert (await client.get("/things/1?limit=7")).json() == {"limit": 7}
