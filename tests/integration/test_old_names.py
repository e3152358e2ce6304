"""The addresses of earlier versions: what was written against them works, on both databases."""

import io
import json
import zipfile
from functools import cache

import httpx
import pytest
from fastapi import FastAPI
from tests.api import ALICE, OTHER_TEAM, READER, WRITER, Api, new_application

from officeai_proxy import history, old_names
from officeai_proxy.api.policy import policies
from officeai_proxy.model import Scope

SESSION = "4b8892e1-6297-4d10-9085-b569beec34b8"


@cache
def application() -> FastAPI:
    """The application with its old names."""
    app = new_application()
    app.include_router(old_names.router)
    return app


@pytest.fixture
async def old(api: Api) -> Api:
    """The application with its old names, and a conversation of two messages."""
    api = Api(api.services, application())
    async with api.client() as client:
        named = {"session_id": SESSION, "user_identifier": "alice", "title": "旅行"}
        assert (await client.post("/conversations/", json=named)).status_code == 201
        said = [{"role": "user", "content": "去哪儿？"}, {"role": "assistant", "content": "Rome"}]
        added = await client.post(f"/conversations/{SESSION}/messages", json=said)
        assert added.status_code == 201
    return api


async def get(api: Api, path: str, *, key: str | None = None) -> httpx.Response:
    """The answer of *path* to a key for everything, or to *key*."""
    async with api.client(key) if key else api.client() as client:
        return await client.get(path)


async def refused(api: Api, method: str, path: str, key: str | None) -> tuple[int, str]:
    """Status and code of an error."""
    async with api.client(key) as client:
        answer = await client.request(method, path)
    return answer.status_code, answer.json()["error"]["code"]


SAME = {
    f"/session/history?session_id={SESSION}": f"/conversations/{SESSION}",
    "/session/history/all": "/conversations",
    "/session/history/all?user_identifier=bob": "/conversations?user_identifier=bob",
    f"/api/conversations/{SESSION}": f"/conversations/{SESSION}",
    f"/api/v1/chat/history?session_id={SESSION}&limit=1": (
        f"/conversations/{SESSION}/messages?limit=1"
    ),
    f"/api/conversations/{SESSION}/export?format=csv": (
        f"/conversations/{SESSION}/export?format=csv"
    ),
    f"/api/conversations/{SESSION}/export": f"/conversations/{SESSION}/export",
    "/api/conversations/export-all?format=csv": "/conversations/export-all?format=csv",
    "/api/conversations/export-all": "/conversations/export-all",
    "/session/history/export?format=jsonl": "/conversations/export-all?format=jsonl",
}


class TestRefusals:
    """What an old name does not open either."""

    async def test_no_key_opens_nothing(self, old: Api) -> None:
        """Every old name needs a key, whatever else the request says."""
        for name in old_names.OLD_NAMES:
            path = name.old.replace("{session_id}", SESSION)
            found = await refused(old, name.method, path, None)
            assert found == (401, "invalid_api_key"), path

    async def test_each_needs_the_scope_of_its_route(self, old: Api) -> None:
        """An old name asks for the scopes of the route that serves it."""
        needed = {
            (policy.path, method): policy.scopes
            for policy in policies(old.app.routes)
            for method in policy.methods
        }
        for name in old_names.OLD_NAMES:
            assert needed[name.old, name.method] == needed[name.path, name.method], name.old
        path = f"/api/v1/chat/history?session_id={SESSION}"
        assert await refused(old, "DELETE", path, READER) == (403, "not_allowed")
        assert await refused(old, "GET", path, WRITER) == (403, "not_allowed")

    async def test_a_session_must_be_named(self, old: Api) -> None:
        """Where the session stands in the query, nothing is done without it."""
        for method, path in [
            ("GET", "/session/history"),
            ("GET", "/api/v1/chat/history?workspace=default"),
            ("DELETE", "/api/v1/chat/history?workspace=default"),
            ("DELETE", "/api/v1/chat/history?session_id=%20"),
        ]:
            async with old.client() as client:
                answer = await client.request(method, path)
            assert answer.status_code == 422, path
            assert "session_id" in answer.json()["error"]["param"]
        assert (await get(old, f"/conversations/{SESSION}")).status_code == 200

    async def test_another_workspace_is_for_administrators(self, old: Api) -> None:
        """A key without `admin`, or bound to a user, stays in its own workspace."""
        path = f"/api/v1/chat/history?session_id={SESSION}&workspace="
        for method, key in [("GET", READER), ("DELETE", WRITER), ("GET", ALICE), ("DELETE", ALICE)]:
            found = await refused(old, method, f"{path}other", key)
            assert found == (403, "not_allowed"), (method, key)
        assert await refused(old, "GET", path, OTHER_TEAM) == (404, "not_found")
        assert (await get(old, f"/conversations/{SESSION}")).status_code == 200


class TestSameAnswers:
    """An old name and the route of today say the same."""

    async def test_both_names_answer_the_same(self, old: Api) -> None:
        """Status, type, file name and body are those of the route of today."""
        for before, today in SAME.items():
            first, second = await get(old, before), await get(old, today)
            assert first.status_code == second.status_code == 200, before
            assert first.content == second.content, before
            for header in ("content-type", "content-disposition"):
                assert first.headers.get(header) == second.headers.get(header), before

    async def test_archives_have_json_in_them(self, old: Api) -> None:
        """The old archive of all sessions packs JSON, or CSV when that is asked for."""
        answer = await get(old, "/session/history/export?format=zip")
        tables = await get(old, "/session/history/export?format=zip&inner=csv")

        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            [name] = [name for name in archive.namelist() if name != "manifest.json"]
            whole = json.loads(archive.read(name))
        assert name.endswith(".json")
        assert whole["conversations"][0]["messages"][0]["content"] == "去哪儿？"
        with zipfile.ZipFile(io.BytesIO(tables.content)) as archive:
            assert any(name.endswith(".csv") for name in archive.namelist())

    async def test_deleting_puts_into_the_bin(self, old: Api) -> None:
        """Both old ways to delete a conversation answer 204, and it can be brought back."""
        for path in (
            f"/api/conversations/{SESSION}",
            f"/api/v1/chat/history?session_id={SESSION}&workspace=default",
        ):
            async with old.client() as client:
                gone = await client.delete(path)
                assert (gone.status_code, gone.headers.get("content-type")) == (204, None)
                assert (await client.get(f"/conversations/{SESSION}")).status_code == 404
                assert (await client.delete(path)).status_code == 404
                restored = await client.post(f"/conversations/{SESSION}/restore")
                assert restored.status_code == 200

    async def test_the_own_workspace_may_be_named(self, old: Api) -> None:
        """The key's own workspace, or a blank one, is where it is anyway."""
        path = f"/api/v1/chat/history?session_id={SESSION}&limit=200"
        for own in ("", "&workspace=default", "&workspace="):
            answer = await get(old, path + own, key=READER)
            assert [one["content"] for one in answer.json()["data"]] == ["去哪儿？", "Rome"], own

    async def test_administrators_reach_every_workspace(self, old: Api) -> None:
        """A key with `admin` that is bound to nobody reads and deletes where `workspace` says."""
        path = f"/api/v1/chat/history?session_id={SESSION}&workspace=default"
        async with old.client(OTHER_TEAM) as client:
            assert (await client.get(path)).json()["total"] == 2
            assert (await client.delete(path)).status_code == 204
        assert (await get(old, f"/conversations/{SESSION}")).status_code == 404


class TestDescription:
    """The page at /docs."""

    def test_all_stand_under_their_tag(self, old: Api) -> None:
        """Each is there, under a tag of its own, and says what it is called today."""
        paths = old.app.openapi()["paths"]
        for name in old_names.OLD_NAMES:
            operation = paths[name.old][name.method.lower()]
            assert operation["tags"] == ["Old names"]
            assert f"`{name.method} {name.path}`" in operation["description"]
            assert {"401", "403", "422", "503"} <= set(operation["responses"])

    def test_each_leads_to_a_route_of_today(self) -> None:
        """No old name leads to another old name, and each asks for a scope."""
        today = {policy.path for router in history.ROUTERS for policy in policies(router.routes)}

        for name in old_names.OLD_NAMES:
            assert name.path in today
        for policy in policies(old_names.router.routes):
            assert policy.scopes <= set(Scope)
            assert policy.scopes


@pytest.mark.parametrize(
    "path", [f"/api/conversations/{SESSION}?", f"/api/v1/chat/history?session_id={SESSION}&"]
)
async def test_old_names_delete_for_good_with_all_that_is_binned(old: Api, path: str) -> None:
    """An earlier life of the session in the bin goes too, and cannot be brought back."""
    async with old.client() as client:
        assert (await client.delete(path)).status_code == 204
        named = {"session_id": SESSION, "user_identifier": "alice"}
        assert (await client.post("/conversations/", json=named)).status_code == 201

        assert (await client.delete(f"{path}permanent=true")).status_code == 204

        assert (await client.post(f"/conversations/{SESSION}/restore")).status_code == 404
        assert (await client.get("/conversations?deleted=with")).json()["data"] == []
