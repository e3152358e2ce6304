"""The other names of `user` and `session`: every list is narrowed down by either of them."""

from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.api import ALICE, Api, Services, new_application
from tests.integration.stored import log_call, say, start

from officeai_proxy import administration
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.database import Database

LISTS = {
    "/history": "history",
    "/stats?group_by=user": "data",
    "/audit": "data",
    "/conversations": "data",
    "/conversations/export-all": "conversations",
    "/conversations/search?q=hello": "data",
}
"""What has a filter by user, and where in the answer its items are."""


@cache
def _application() -> FastAPI:
    app = new_application()
    for router in administration.ROUTERS:
        app.include_router(router)
    return app


@pytest.fixture
async def api(database: Database) -> Api:
    """The read side and the audit log, with a conversation, a call and a reading of two users."""
    services = Services(database=database, settings=load_settings(_env_file=None))
    api = Api(services, _application())
    for number, user in enumerate(("alice", "bob")):
        await say(database, await start(database, f"of-{user}", user=user), "hello")
        async with database.write() as connection:
            session = f"of-{user}"
            await log_call(connection, number, user_identifier=user, session_id=session)
        async with api.client() as client:
            await client.get(f"/conversations/of-{user}")
    return api


def asked(path: str, **more: str) -> httpx.URL:
    return httpx.URL(path).copy_merge_params(more)


async def items(client: httpx.AsyncClient, path: str, **more: str) -> list[dict[str, Any]]:
    answer = await client.get(asked(path, **more))
    assert answer.status_code == 200, answer.text
    return list(answer.json()[LISTS[path]])


@pytest.mark.parametrize("path", LISTS)
async def test_both_names_that_differ_are_422(client: httpx.AsyncClient, path: str) -> None:
    """And a key is asked for before."""
    address = asked(path, user="alice", user_identifier="bob")

    refused = await client.get(address)
    stranger = await client.get(address, headers={"Authorization": "Bearer no"})

    assert refused.status_code == 422
    assert refused.json()["error"]["param"] in ("user", "user_identifier")
    assert stranger.status_code == 401


@pytest.mark.parametrize("name", ["user", "user_identifier"])
@pytest.mark.parametrize("path", LISTS)
async def test_a_bound_key_stays_bound(api: Api, path: str, name: str) -> None:
    """Another user is refused, by whichever name."""
    async with api.client(ALICE) as alice:
        answer = await alice.get(asked(path, **{name: "bob"}))

    assert answer.status_code == 403


@pytest.mark.parametrize("path", LISTS)
async def test_either_name_narrows_a_list_down(client: httpx.AsyncClient, path: str) -> None:
    """To the user's, and to nothing for a user who was never there."""
    everything = await items(client, path)
    alices = [await items(client, path, **{name: "alice"}) for name in ("user", "user_identifier")]
    nobodys = [await items(client, path, **{name: "x"}) for name in ("user", "user_identifier")]
    both = await items(client, path, user="alice", user_identifier="alice")

    assert len(everything) >= 2
    if path == "/audit":
        # To read the log leaves a row in it, which is about nobody who is there.
        alices = [[row for row in rows if row["action"] == "conversation.read"] for rows in alices]
        both = [row for row in both if row["action"] == "conversation.read"]
    assert len(alices[0]) == 1
    assert alices[0] == alices[1] == both
    assert nobodys == [[], []]


async def test_a_session_has_two_names_in_the_call_log(client: httpx.AsyncClient) -> None:
    """Which is where there is a filter by session."""
    for name in ("session", "session_id"):
        [call] = await items(client, "/history", **{name: "of-bob"})
        [group] = await items(client, "/stats?group_by=user", **{name: "of-bob"})
        assert (call["session"], group["key"]) == ("of-bob", "bob")
