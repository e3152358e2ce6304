"""What the read side refuses, whatever the route: keys, bodies, limits, addresses, outages."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.api import KEY, NOW, STRANGER, Api, Services

from officeai_proxy.api.outages import OutageLog
from officeai_proxy.api.policy import policies
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.errors import DatabaseIncomplete
from officeai_proxy.history.fixed_words import FIXED_WORDS
from officeai_proxy.storage.database import Database

ROUTES = [
    ("POST", "/conversations/"),
    ("POST", "/conversations"),
    ("GET", "/conversations"),
    ("DELETE", "/conversations?user_identifier=a&confirm=a"),
    ("GET", "/conversations/user/a"),
    ("GET", "/conversations/s1"),
    ("PUT", "/conversations/s1"),
    ("PATCH", "/conversations/s1"),
    ("DELETE", "/conversations/s1"),
    ("POST", "/conversations/s1/restore"),
    ("GET", "/conversations/s1/messages"),
    ("POST", "/conversations/s1/messages"),
    ("GET", "/history"),
]

TAKING_BODIES = [
    ("POST", "/conversations/"),
    ("PUT", "/conversations/s1"),
    ("PATCH", "/conversations/s1"),
    ("POST", "/conversations/s1/messages"),
]

JSON = {"content-type": "application/json"}

LISTS = ["/conversations", "/conversations/user/a", "/conversations/s1/messages", "/history"]


class UnreadBody(httpx.AsyncByteStream):
    """A body that knows whether anybody asked for it."""

    def __init__(self) -> None:
        self.was_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.was_read = True
        yield b"{}"


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize("key", [None, STRANGER])
async def test_no_route_is_open(api: Api, key: str | None):
    """Without a key that opens something, every route is a 401 that repeats nothing of it."""
    async with api.client(key) as client:
        for method, path in ROUTES:
            response = await client.request(method, path)

            error = error_of(response, 401)
            assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
            assert response.headers["www-authenticate"] == "Bearer"
            assert STRANGER not in response.text


async def test_a_stranger_is_refused_before_the_body_is_read(api: Api):
    """The key is checked first: a stranger learns nothing about bodies, and sends none."""
    async with api.client(STRANGER) as client:
        for method, path in TAKING_BODIES:
            body = UnreadBody()
            response = await client.request(method, path, content=body)

            error_of(response, 401)
            assert not body.was_read


async def test_two_keys_are_refused(api: Api):
    """Of two Authorization headers none is chosen."""
    headers = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {STRANGER}")]
    async with api.client(None) as client:
        response = await client.get("/conversations", headers=headers)

    assert error_of(response, 400)["param"] == "Authorization"


async def test_keys_that_could_never_be_read_are_a_503(api: Api):
    """While nobody can know whether a key is good, it is not called bad."""
    api.services.keyring = Keyring([KEY], lambda: NOW)

    async with api.client(STRANGER) as stranger, api.client() as known:
        response = await stranger.get("/conversations")
        assert (await known.get("/conversations")).status_code == 200

    assert error_of(response, 503)["code"] == "auth_unavailable"
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "",
    ],
)
async def test_other_types_are_a_415(client: httpx.AsyncClient, media: str):
    """A body that does not say it is JSON is not read as JSON."""
    headers = {"content-type": media} if media else {}
    for method, path in TAKING_BODIES:
        response = await client.request(method, path, content=b'{"title": "x"}', headers=headers)

        assert error_of(response, 415)["code"] == "unsupported_media_type"


async def test_a_compressed_body_is_a_415(client: httpx.AsyncClient):
    """A compressed body is refused as such, and not unpacked."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await client.post("/conversations/", content=b"\x1f\x8b", headers=headers)

    assert "Content-Encoding" in error_of(response, 415)["message"]


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]
)
async def test_json_by_other_names_is_read(client: httpx.AsyncClient, media: str):
    """Parameters, capitals and the +json types are JSON (RFC 6838, section 4.2.8)."""
    response = await client.post(
        "/conversations/", content=b'{"user_identifier": "u"}', headers={"content-type": media}
    )

    assert response.status_code == 201


@pytest.mark.parametrize("declared", [True, False])
async def test_too_large_a_body_is_a_413(client: httpx.AsyncClient, declared: bool):
    """A body over the limit is refused, whether it says its length or not."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"a" * 100_000

    for method, path in TAKING_BODIES:
        content: Any = b'"' + b"a" * 1_000_000 + b'"' if declared else pieces()
        response = await client.request(method, path, content=content, headers=JSON)

        assert error_of(response, 413)["code"] == "request_too_large"


async def test_malformed_json_is_a_400(client: httpx.AsyncClient):
    """What says it is JSON and is not is a 400."""
    for method, path in TAKING_BODIES:
        response = await client.request(method, path, content=b'{"title": ', headers=JSON)

        assert error_of(response, 400)["code"] == "invalid_json"


async def test_no_body_is_a_422(client: httpx.AsyncClient):
    """A missing body is missing, and not malformed."""
    for method, path in TAKING_BODIES:
        response = await client.request(method, path)

        assert "Field required" in error_of(response, 422)["message"]


async def test_bad_limits_are_refused(client: httpx.AsyncClient):
    """A limit outside 1 to 1000 is a 422 and never silently another one."""
    numbers = ["-1", "0", "1001", "1e9", "1000000000", str(2**63), "9" * 30, "1.0", "+5"]
    for limit in [*numbers, "abc", "١٠", ""]:
        for path in [*LISTS, "/conversations/s1"]:
            response = await client.get(path, params={"limit": limit})

            assert error_of(response, 422)["param"] == "limit", (path, limit)


async def test_bad_offsets_are_refused(client: httpx.AsyncClient):
    """An offset that no list has is a 422; the call log has none at all."""
    for offset in ["-1", str(2**63), "abc", "1.5", "1_000"]:
        for path in LISTS[:3]:
            response = await client.get(path, params={"offset": offset})

            assert error_of(response, 422)["param"] == "offset", (path, offset)


async def test_an_offset_behind_the_end_is_an_empty_page(client: httpx.AsyncClient):
    """The largest offset there is leaves nothing, and breaks nothing."""
    await client.post("/conversations/", json={"user_identifier": "a", "session_id": "s1"})
    for path in LISTS[:3]:
        page = (await client.get(path, params={"offset": 2**63 - 1})).json()

        assert (page["data"], page["has_more"], page["next_cursor"]) == ([], False, None), path


async def test_forged_cursors_are_refused(client: httpx.AsyncClient):
    """A cursor that no list gave is a 422, whatever it holds."""
    await client.post("/conversations/", json={"user_identifier": "a", "session_id": "s1"})
    forged = ["abc", "%", "a" * 2000, "e30", "bnVsbA", "W10", "\0", "会话", "W251bGwsMSwyXQ==", ""]
    for cursor in forged:
        for path in LISTS:
            response = await client.get(path, params={"cursor": cursor})

            assert error_of(response, 422)["param"] == "cursor", (path, cursor)


async def test_bad_moments_are_refused(client: httpx.AsyncClient):
    """A moment that cannot be is a 422 that names the parameter."""
    filters = {
        "/conversations": ["created_after", "created_before", "updated_after", "updated_before"],
        "/history": ["after", "before"],
    }
    for value in ["0000", "9999", "0000-01-01", "2026-13-01", "today", "1e9", ""]:
        for path, names in filters.items():
            for name in names:
                response = await client.get(path, params={name: value})

                assert error_of(response, 422)["param"] == name, value


BAD_VALUES = [
    ("/conversations/s1/messages?order=unknown", "order"),
    ("/conversations/s1/messages?branch=none", "branch"),
    ("/conversations?deleted=yes", "deleted"),
    ("/conversations?sort=size", "sort"),
    ("/conversations?model=a%00b", "model"),
    ("/conversations?user_identifier=a%2Fb", "user_identifier"),
    ("/conversations?user_identifier=", "user_identifier"),
    ("/conversations?cursor=abc&offset=1", "cursor"),
    ("/history?outcome=fine", "outcome"),
    ("/history?status=99", "status"),
    ("/history?status=abc", "status"),
    ("/history?format=xml", "format"),
    ("/history?session=a%00", "session"),
    ("/history?api=a%00", "api"),
    ("/history?exchange_id=7", "exchange_id"),
    ("/conversations/user/a%00b", "user"),
    ("/conversations/%20", "session_id"),
    ("/conversations/a%00b", "session_id"),
    ("/conversations/a%0Ab", "session_id"),
    ("/conversations/" + "a" * 256, "session_id"),
]


async def test_bad_values_are_named(client: httpx.AsyncClient):
    """Whatever value cannot be, the answer is a 422 that names the parameter."""
    for path, param in BAD_VALUES:
        assert error_of(await client.get(path), 422)["param"] == param, path


@pytest.mark.parametrize(
    "path",
    [
        "/conversations//",
        "/conversations//messages",
        "/conversations/a%2Fb",
        "/conversations/s1/",
        "/conversations/s1/messages/",
        "/Conversations",
        "/history/",
        "/conversations;x",
    ],
)
async def test_other_addresses_are_a_404_without_a_redirect(client: httpx.AsyncClient, path: str):
    """An address that is nearly right is a 404: no redirect ever carries the key elsewhere."""
    assert error_of(await client.get(path), 404)["code"] == "unknown_url"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/conversations", "GET, POST, DELETE"),
        ("OPTIONS", "/conversations/s1", "GET, PUT, PATCH, DELETE"),
        ("HEAD", "/conversations/s1/messages", "GET, POST"),
        ("BREW", "/history", "GET"),
        ("GET", "/conversations/s1/restore", "POST"),
        ("OPTIONS", "/conversations/import", "POST"),
        ("GET", "/conversations/import", "POST"),
        ("DELETE", "/conversations/search", "GET"),
        ("PATCH", "/conversations/export-all", "GET"),
    ],
)
async def test_wrong_methods_name_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allow: str
):
    """A wrong method is a 405 whose Allow lists all that the address takes."""
    response = await client.request(method, path)

    assert (response.status_code, response.headers["allow"]) == (405, allow)


def test_the_fixed_words_are_those_of_the_routes(api: Api):
    """Whoever adds a word in the place of a session's id says that it is one."""
    steps = [route.path.split("/") for route in policies(api.app.routes)]
    words = {path[2] for path in steps if len(path) == 3 and path[1] == "conversations"}

    assert words - {"", "{session_id}"} == FIXED_WORDS


async def test_a_parameter_is_given_once(client: httpx.AsyncClient):
    """Not two, of which one would be taken without a word; on every route that has some."""
    for query in ("limit=0&limit=5", "user=a&user=b", "user_identifier=a&user_identifier=a"):
        for path in ("/conversations", "/history", "/conversations/search"):
            answer = await client.get(f"{path}?{query}&q=word")
            assert error_of(answer, 422)["param"] == query.partition("=")[0]


async def test_a_slip_of_the_method_deletes_no_session(client: httpx.AsyncClient):
    """A session with such a name is not at that address; it is read and deleted by its name."""
    for word in sorted(FIXED_WORDS):
        new = {"session_id": word, "user_identifier": "u"}
        assert (await client.post("/conversations/", json=new)).status_code == 201
        assert error_of(await client.delete(f"/conversations/{word}"), 405)
        said = {"role": "user", "content": "hi"}
        added = await client.post(f"/conversations/{word}/messages", json=said)
        assert added.status_code == 201
        (found,) = (await client.get(f"/conversations/{word}/messages")).json()["data"]
        assert found["content"] == "hi"


async def test_why_the_database_refuses_a_read_is_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture
):
    """A table that is gone is told as that, to the log by its name, and there once a minute."""
    api.app.state.outages = OutageLog()
    async with api.services.database.alter() as connection:
        await connection.execute(text("ALTER TABLE audit_log RENAME TO elsewhere"))
    async with api.client() as client:
        answers = [await client.get("/conversations") for _ in range(2)]

    for answer in answers:
        error = error_of(answer, 503)
        assert (error["code"], error["message"]) == (
            "database_unavailable",
            DatabaseIncomplete().message,
        )
    (line,) = [record.getMessage() for record in caplog.records if "503" in record.getMessage()]
    assert "audit_log" in line


async def test_a_database_that_is_away_is_a_503(api: Api, tmp_path: Any):
    """While the database cannot be reached, reads and changes are a 503 with Retry-After."""
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    away = Database(f"sqlite:///{in_the_way}/no.db")
    api.services = Services(database=away, settings=api.services.settings)
    api.app.state.services = api.services

    async with api.client() as client:
        for method, path in ROUTES:
            bodies: dict[str, Any] = {"PUT": {"title": "x"}, "PATCH": {"title": "x"}}
            body = bodies.get(method, {"user_identifier": "u"})
            if path.endswith("messages"):
                body = {"role": "user", "content": "hi"}
            given = {} if method in ("GET", "DELETE") else {"json": body}
            response = await client.request(method, path, **given)
            assert error_of(response, 503)["code"] == "database_unavailable", path
            assert int(response.headers["retry-after"]) > 0
    await away.close()
