"""The routes of keys: exact answers, walls, and nobody makes a key beyond their own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.api import KEY, NOW, READER
from tests.api import Services as ApiServices

from officeai_proxy import administration
from officeai_proxy.api import faults
from officeai_proxy.auth.keys import digest
from officeai_proxy.auth.refresher import KeyRefresher
from officeai_proxy.model import ApiKey, Limits, Scope
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database

SMALL = "sk-test-small-admin"
BOUND = "sk-test-bound-admin"
FOREIGN = "sk-test-foreign-admin"
UNKNOWN = "/keys/key_unknown"

WRONG: list[dict[str, object]] = [
    {},
    {"name": ""},
    {"name": "x", "id": "key_mine"},
    {"name": "x", "digest": "00"},
    {"name": "x", "created_at": "2026-01-31T12:00:00Z"},
    {"name": "x", "replaces": "key_1"},
    {"name": "x", "scopes": ["root"]},
    {"name": "x", "scopes": []},
    {"name": "x", "expires": "soon"},
    {"name": "x", "expires": "0"},
    {"name": "x", "expires": 90},
    {"name": "x", "rpm": 0},
    {"name": "x", "rpm": "10"},
    {"name": "x", "rpm": 1.5},
    {"name": "x", "tpm": -1},
    {"name": "x", "concurrency": True},
    {"name": "x", "user": "a/b"},
]


def stored(key: str, *, workspace: str = "default", **more: Any) -> ApiKey:
    return ApiKey(
        id=key.removeprefix("sk-test-"),
        name=key,
        digest=digest(key),
        hint="…",
        workspace=workspace,
        scopes=more.pop("scopes", frozenset(Scope)),
        created_at=NOW,
        **more,
    )


KEYS = [
    stored(
        SMALL,
        scopes=frozenset({Scope.CHAT, Scope.ADMIN}),
        expires_at=NOW + timedelta(days=10),
        limits=Limits(rpm=60, tpm=1000),
    ),
    stored(BOUND, user="alice"),
    stored(FOREIGN, workspace="other"),
    stored(READER, scopes=frozenset({Scope.READ})),
]


@dataclass
class Services(ApiServices):
    """The services of the routes, with keys that are in the database."""

    async def active_keys(self) -> list[ApiKey]:
        async with self.database.read() as connection:
            return await ApiKeyRepository(connection).active(NOW)

    async def refresh_keys(self) -> None:
        await KeyRefresher(self, self.keyring).refresh()


@pytest.fixture
async def app(database: Database) -> FastAPI:
    async with database.write() as connection:
        for key in KEYS:
            await ApiKeyRepository(connection).add(key)
    app = FastAPI()
    app.state.services = Services(
        database=database, settings=load_settings(max_body_mb=0.5, _env_file=None)
    )
    await app.state.services.refresh_keys()
    faults.install(app)
    for router in administration.ROUTERS:
        app.include_router(router)
    return app


def client_of(app: FastAPI, key: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a configured key: the workspace `default`, everything."""
    async with client_of(app, KEY) as opened:
        yield opened


async def test_only_admins_may(app: FastAPI):
    """Every route of keys is closed to a key without the scope, before anything is looked up."""
    async with client_of(app, READER) as reader:
        for method, path in (
            ("POST", "/keys"),
            ("GET", "/keys"),
            ("POST", f"{UNKNOWN}/rotate"),
            ("DELETE", UNKNOWN),
        ):
            answer = await reader.request(
                method, path, json={"name": "x"} if path == "/keys" else None
            )
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workspace", "other"),
        ("scopes", ["chat", "read"]),
        ("scopes", "chat,write"),
        ("expires", "11d"),
        ("rpm", 61),
        ("tpm", 1001),
    ],
)
async def test_no_key_beyond_its_maker(app: FastAPI, field: str, value: object):
    """More than the own key can do is a 403 that names the field, and makes no key."""
    async with client_of(app, SMALL) as small:
        answer = await small.post("/keys", json={"name": "x", field: value})
        listed = await small.get("/keys")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (403, "not_allowed", field)
    assert listed.json()["total"] == 3


async def test_what_is_left_out_is_as_the_maker_has_it(app: FastAPI):
    """A key made without any wish is the same as the one that made it, in all that limits it."""
    async with client_of(app, SMALL) as small:
        made = (await small.post("/keys", json={"name": "x"})).json()
        more = await small.post("/keys", json={"name": "x", "rpm": 6, "concurrency": 2})

    assert made["scopes"] == ["admin", "chat"]
    assert (made["rpm"], made["tpm"], made["concurrency"]) == (60, 1000, None)
    assert made["expires_at"] == (NOW + timedelta(days=10)).isoformat().replace("+00:00", "Z")
    assert (more.json()["rpm"], more.json()["concurrency"]) == (6, 2)


async def test_a_bound_admin_makes_and_sees_keys_of_its_user_only(app: FastAPI):
    """The user of the key is a wall for keys as well: others are 403 to make, 404 to touch."""
    async with client_of(app, BOUND) as bound:
        refused = await bound.post("/keys", json={"name": "x", "user": "bob"})
        made = await bound.post("/keys", json={"name": "x", "scopes": ["chat"]})
        listed = await bound.get("/keys")
        foreign = await bound.delete("/keys/small-admin")

    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "user")
    assert made.json()["user_identifier"] == "alice"
    assert {key["user_identifier"] for key in listed.json()["data"]} == {"alice"}
    assert foreign.status_code == 404


async def test_fields_that_are_wrong_or_unknown_are_a_422(admin: httpx.AsyncClient):
    """Nothing is guessed and nothing can be slipped in: each such body is refused."""
    for body in WRONG:
        answer = await admin.post("/keys", json=body)
        assert answer.status_code == 422, (body, answer.text)


async def test_foreign_and_unknown_ids_are_the_same_404(app: FastAPI, admin: httpx.AsyncClient):
    """Nothing tells a key of another workspace from one that does not exist; neither changes."""
    for method, path in (("DELETE", "/keys/{}"), ("POST", "/keys/{}/rotate")):
        foreign = await admin.request(method, path.format("foreign-admin"))
        unknown = await admin.request(method, path.format("key_unknown"))
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    async with client_of(app, FOREIGN) as owner:
        assert [key["id"] for key in (await owner.get("/keys")).json()["data"]] == ["foreign-admin"]


async def test_a_new_key_is_told_whole_and_shown_once(app: FastAPI, admin: httpx.AsyncClient):
    """The answer has exactly these fields, the key opens at once, and no list ever shows it."""
    answer = await admin.post(
        "/keys",
        json={
            "name": "笔记本",
            "workspace": "default",
            "scopes": ["chat", "admin"],
            "user": "alice",
            "expires": "90d",
            "rpm": 60,
            "tpm": 100000,
            "concurrency": 4,
        },
    )
    made = answer.json()

    assert answer.status_code == 201
    created = datetime.fromisoformat(made["created_at"])
    assert made == {
        "id": made["id"],
        "name": "笔记本",
        "hint": f"{made['key'][:8]}…{made['key'][-4:]}",
        "workspace": "default",
        "scopes": ["admin", "chat"],
        "user_identifier": "alice",
        "state": "active",
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "expires_at": (created + timedelta(days=90)).isoformat().replace("+00:00", "Z"),
        "revoked_at": None,
        "rpm": 60,
        "tpm": 100000,
        "concurrency": 4,
        "replaces": None,
        "key": made["key"],
    }
    async with client_of(app, made["key"]) as new:
        listed = await new.get("/keys")
    entry = next(key for key in listed.json()["data"] if key["id"] == made["id"])
    assert entry == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in listed.text
    assert digest(made["key"]).hex() not in listed.text


async def test_the_list_comes_in_pages(admin: httpx.AsyncClient):
    """Pages follow one another without a gap or a repetition, and say how many there are."""
    for number in range(3):
        await admin.post("/keys", json={"name": f"k{number}"})
    seen, cursor = [], None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/keys", params=params)).json()
        assert (page["object"], page["total"], page["limit"]) == ("list", 6, 2)
        seen += [key["name"] for key in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break

    assert len(seen) == len(set(seen)) == 6
    assert seen[-3:] == ["k0", "k1", "k2"]


async def test_the_overlap_that_the_description_tells_is_taken(
    app: FastAPI, admin: httpx.AsyncClient
):
    """Clients that were made of the description send its default, `24h`."""
    told = app.openapi()["components"]["schemas"]["Rotation"]["properties"]["overlap"]
    old = (await admin.post("/keys", json={"name": "x"})).json()
    answer = await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": told["default"]})

    assert (answer.status_code, told["default"]) == (201, "24h")


async def test_rotation_keeps_the_rights_and_ends_the_old_key(
    app: FastAPI, admin: httpx.AsyncClient
):
    """The new key is as the old one but for its id, and counts on its limits; the old one ends
    when the overlap does.
    """
    old = (await admin.post("/keys", json={"name": "x", "scopes": ["chat"], "rpm": 5})).json()
    answer = await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": "2h"})
    new = answer.json()
    again = (await admin.post(f"/keys/{new['id']}/rotate")).json()
    listed = (await admin.get("/keys")).json()["data"]
    ended = next(key for key in listed if key["id"] == old["id"])

    assert answer.status_code == 201
    assert new["key"] != old["key"]
    same = ("name", "workspace", "scopes", "user_identifier", "rpm", "tpm", "concurrency")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert (new["replaces"], again["replaces"]) == (old["id"], old["id"])
    lasts = datetime.fromisoformat(ended["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert (ended["state"], lasts) == ("active", timedelta(hours=2))


@pytest.mark.parametrize("expires", [None, "90d"])
async def test_a_second_rotation_does_not_inherit_the_overlap(
    admin: httpx.AsyncClient, expires: str | None
):
    """A key that is rotated again while it runs out gives one that lasts as long as it once did."""
    old = (await admin.post("/keys", json={"name": "x", "expires": expires})).json()
    first = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": "2h"})).json()
    await admin.post(f"/keys/{first['id']}/rotate", json={"overlap": "1h"})

    again = await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": "1h"})

    assert again.status_code == 201
    assert again.json()["expires_at"] == first["expires_at"] == old["expires_at"]
    assert again.json()["replaces"] == old["id"]


async def test_a_key_that_runs_out_makes_none_that_lasts(app: FastAPI, admin: httpx.AsyncClient):
    """Whoever has a key that was replaced cannot rotate it into one that outlives it: 403."""
    old = (await admin.post("/keys", json={"name": "x"})).json()
    await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": "2h"})
    async with client_of(app, old["key"]) as former:
        answer = await former.post(f"/keys/{old['id']}/rotate")

    assert answer.status_code == 403
    assert len((await admin.get("/keys")).json()["data"]) == 5


async def test_rotation_without_overlap_ends_the_old_key_at_once(
    app: FastAPI, admin: httpx.AsyncClient
):
    """With `0` the old key opens nothing any more, and cannot be rotated again: 409."""
    old = (await admin.post("/keys", json={"name": "x"})).json()
    new = (await admin.post(f"/keys/{old['id']}/rotate", json={"overlap": "0"})).json()
    again = await admin.post(f"/keys/{old['id']}/rotate")

    async with client_of(app, old["key"]) as former, client_of(app, new["key"]) as now:
        assert (await former.get("/keys")).status_code == 401
        assert (await now.get("/keys")).status_code == 200
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize("body", [{"overlap": "8d"}, {"overlap": 5}, {"scopes": ["admin"]}])
async def test_a_rotation_changes_nothing_but_the_key(admin: httpx.AsyncClient, body: object):
    """A rotation cannot give more rights, and its overlap is a week at most."""
    assert (await admin.post("/keys/small-admin/rotate", json=body)).status_code == 422


async def test_nobody_rotates_a_stronger_key(app: FastAPI, admin: httpx.AsyncClient):
    """Whoever got the new key would have its rights: so it is a 403, and the old key stays."""
    strong = (await admin.post("/keys", json={"name": "strong"})).json()
    async with client_of(app, SMALL) as small:
        answer = await small.post(f"/keys/{strong['id']}/rotate", json={"overlap": "0"})

    assert answer.status_code == 403
    async with client_of(app, strong["key"]) as still:
        assert (await still.get("/keys")).status_code == 200


async def test_a_revoked_key_opens_nothing_and_stays_listed(app: FastAPI, admin: httpx.AsyncClient):
    """204 without a body, also the second time; the list says when it was."""
    made = (await admin.post("/keys", json={"name": "x"})).json()
    first = await admin.delete(f"/keys/{made['id']}")
    second = await admin.delete(f"/keys/{made['id']}")
    listed = (await admin.get("/keys")).json()["data"]

    assert (first.status_code, first.content, second.status_code) == (204, b"", 204)
    entry = next(key for key in listed if key["id"] == made["id"])
    assert entry["state"] == "revoked"
    assert datetime.fromisoformat(entry["revoked_at"]).tzinfo == UTC
    async with client_of(app, made["key"]) as former:
        assert (await former.get("/keys")).status_code == 401
