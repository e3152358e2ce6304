"""The conversation routes on both databases: refusals first, then what they promise."""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from tests.api import ALICE, OTHER_TEAM, READER, WRITER, Api
from tests.integration.test_audit import rows

from officeai_proxy.history.schemas import (
    ConversationList,
    ConversationOut,
    ConversationWithMessages,
)
from officeai_proxy.storage.audit.log import AuditFilter, detail_of
from officeai_proxy.storage.schema.migrations import check

CONVERSATION = {
    "id",
    "session_id",
    "title",
    "user_identifier",
    "workspace",
    "metadata",
    "message_count",
    "created_at",
    "updated_at",
    "deleted_at",
}


async def create(client: httpx.AsyncClient, session: str = "s1", **more: Any) -> dict[str, Any]:
    body = {"user_identifier": "user123", "session_id": session, **more}
    response = await client.post("/conversations/", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


async def sessions(client: httpx.AsyncClient, query: str = "") -> list[str]:
    response = await client.get(f"/conversations{query}")
    assert response.status_code == 200, response.text
    return [item["session_id"] for item in response.json()["data"]]


BAD_BODIES: dict[str, tuple[Any, str | None]] = {
    "no user": ({"session_id": "s1"}, "user_identifier"),
    "null user": ({"user_identifier": None}, "user_identifier"),
    "empty user": ({"user_identifier": ""}, "user_identifier"),
    "user with a slash": ({"user_identifier": "a/b"}, "user_identifier"),
    "user is a number": ({"user_identifier": 7}, "user_identifier"),
    "session with NUL": ({"user_identifier": "u", "session_id": "a\0b"}, "session_id"),
    "session too long": ({"user_identifier": "u", "session_id": "a" * 256}, "session_id"),
    "session with a slash": ({"user_identifier": "u", "session_id": "a/b"}, "session_id"),
    "title too long": ({"user_identifier": "u", "title": "a" * 1001}, "title"),
    "title with NUL": ({"user_identifier": "u", "title": "a\0"}, "title"),
    "metadata a list": ({"user_identifier": "u", "metadata": []}, "metadata"),
    "metadata too large": ({"user_identifier": "u", "metadata": {"a": "b" * 65536}}, "metadata"),
    "unknown field": ({"user_identifier": "u", "titel": "a"}, "titel"),
    "a list": ([], None),
    "a text": ("text", None),
    "null": (None, None),
}


@pytest.mark.parametrize(("body", "param"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_bad_body_is_refused(client: httpx.AsyncClient, body: Any, param: str | None):
    """What cannot be a conversation is a 422 that names the field, and nothing is created."""
    error = error_of(await client.post("/conversations/", json=body), 422)

    assert error["param"] == param
    assert await sessions(client) == []


async def test_half_a_character_in_a_name_is_refused(client: httpx.AsyncClient):
    """A lone surrogate, which no database holds, is refused in names and titles."""
    for field in ("session_id", "title", "user_identifier"):
        content = json.dumps({"user_identifier": "u", field: "a\ud800"})
        response = await client.post(
            "/conversations/", content=content, headers={"content-type": "application/json"}
        )
        assert error_of(response, 422)["param"] == field


async def test_the_same_twice_is_a_conflict(client: httpx.AsyncClient):
    """A session that exists is not created again; another user's is another conversation."""
    await create(client)

    body = {"user_identifier": "user123", "session_id": "s1"}
    assert error_of(await client.post("/conversations/", json=body), 409)["code"] == "conflict"
    await create(client, user_identifier="bob")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("DELETE", "?permanent=true"),
        ("POST", "/restore"),
        ("GET", "/messages"),
        ("POST", "/messages"),
    ],
)
async def test_unknown_and_foreign_sessions_look_alike(api: Api, method: str, path: str):
    """A session of another workspace is exactly as unknown as one that never was."""
    bodies = {"PUT": {"title": "x"}, "PATCH": {"title": "x"}}
    body = {"role": "user", "content": "hi"} if path == "/messages" else bodies.get(method)
    given = {} if body is None or method == "GET" else {"json": body}
    async with api.client() as ours, api.client(OTHER_TEAM) as theirs:
        await create(ours, "ours")
        foreign = await theirs.request(method, f"/conversations/ours{path}", **given)
        unknown = await theirs.request(method, f"/conversations/none{path}", **given)
        kept = await ours.get("/conversations/ours")

    assert error_of(foreign, 404)["code"] == "not_found"
    assert foreign.text.replace("ours", "none") == unknown.text
    assert kept.json()["title"] is None


async def test_two_users_with_one_session_id_are_told_apart(client: httpx.AsyncClient):
    """An ambiguous session is a 409 that names the users; user_identifier chooses."""
    await create(client, user_identifier="alice")
    await create(client, user_identifier="bob")

    error = error_of(await client.get("/conversations/s1"), 409)
    chosen = await client.get("/conversations/s1?user_identifier=bob")

    assert error["code"] == "ambiguous_session"
    assert "alice" in error["message"]
    assert "bob" in error["message"]
    assert chosen.json()["user_identifier"] == "bob"


async def test_two_workspaces_keep_the_same_session_id_apart(api: Api):
    """The same session and user in two workspaces are two conversations that never meet."""
    async with api.client() as ours, api.client(OTHER_TEAM) as theirs:
        await create(ours, title="ours")
        await create(theirs, title="theirs")
        await theirs.delete("/conversations/s1?permanent=true")

        assert (await ours.get("/conversations/s1")).json()["title"] == "ours"
        assert await sessions(theirs, "?deleted=with") == []


async def test_a_history_is_not_cleared_for_good(client: httpx.AsyncClient):
    """Who asks for that is told where it is done, and not that it was."""
    await create(client)

    query = "?user_identifier=user123&confirm=user123&permanent=true"
    response = await client.delete(f"/conversations{query}")

    fault = error_of(response, 422)
    assert fault["param"] == "permanent"
    assert "DELETE /users/{user}" in fault["message"]
    assert await sessions(client) == ["s1"]


@pytest.mark.parametrize("query", ["", "?user_identifier=a", "?confirm=a"])
async def test_clearing_without_both_names_is_refused(client: httpx.AsyncClient, query: str):
    """Clearing a history needs the user twice."""
    await create(client)

    error_of(await client.delete(f"/conversations{query}"), 422)
    assert await sessions(client) == ["s1"]


async def test_clearing_needs_the_same_user_twice(client: httpx.AsyncClient):
    """A confirmation that is not the user deletes nothing."""
    await create(client)

    response = await client.delete("/conversations?user_identifier=user123&confirm=User123")

    assert error_of(response, 422)["param"] == "confirm"
    assert await sessions(client) == ["s1"]


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": "  "}, {"title": None}, {"x": 1}])
async def test_a_change_of_nothing_is_refused(client: httpx.AsyncClient, body: dict[str, Any]):
    """A change has to say what changes, and a title cannot be blank."""
    await create(client, title="old")

    error_of(await client.put("/conversations/s1", json=body), 422)
    assert (await client.get("/conversations/s1")).json()["title"] == "old"


class TestBoundKeys:
    """A key that is bound to one user sees and writes only that user."""

    async def test_other_users_are_refused_by_name(self, api: Api):
        """Wherever a request names another user it is a 403."""
        async with api.client(ALICE) as alice:
            body = {"user_identifier": "bob"}
            refused = [
                await alice.post("/conversations/", json=body),
                await alice.get("/conversations/user/bob"),
                await alice.get("/conversations?user_identifier=bob"),
                await alice.get("/conversations/s1?user_identifier=bob"),
                await alice.get("/conversations/s1/messages?user_identifier=bob"),
                await alice.put("/conversations/s1?user_identifier=bob", json={"title": "x"}),
                await alice.delete("/conversations/s1?user_identifier=bob"),
                await alice.post("/conversations/s1/restore?user_identifier=bob"),
                await alice.delete("/conversations?user_identifier=bob&confirm=bob"),
                await alice.get("/history?user=bob"),
            ]

        assert [error_of(response, 403)["code"] for response in refused] == ["not_allowed"] * 10

    async def test_other_users_conversations_do_not_exist(self, api: Api):
        """What belongs to others is unknown, uncounted, and no reason for ambiguity."""
        async with api.client() as everybody, api.client(ALICE) as alice:
            await create(everybody, "shared", user_identifier="bob")
            await create(everybody, "bobs", user_identifier="bob")
            own = await alice.post("/conversations/", json={"session_id": "shared"})

            error_of(await alice.get("/conversations/bobs"), 404)
            assert own.json()["user_identifier"] == "alice"
            assert await sessions(alice) == ["shared"]
            assert (await alice.get("/conversations")).json()["total"] == 1
            assert (await alice.get("/conversations/shared")).json()["user_identifier"] == "alice"


async def test_scopes_decide(api: Api):
    """Reading needs `read` and changing needs `write`; the refusal names the scope."""
    async with api.client(READER) as reader, api.client(WRITER) as writer:
        await create(writer)
        body = {"user_identifier": "u"}

        assert "`write`" in error_of(await reader.post("/conversations", json=body), 403)["message"]
        assert "`write`" in error_of(await reader.delete("/conversations/s1"), 403)["message"]
        assert "`read`" in error_of(await writer.get("/conversations"), 403)["message"]
        assert "`read`" in error_of(await writer.get("/history"), 403)["message"]
        assert (await reader.get("/conversations/s1")).status_code == 200


@pytest.mark.parametrize("path", ["/conversations/", "/conversations"])
async def test_create_answers_the_conversation(client: httpx.AsyncClient, path: str):
    """With and without the slash, a conversation is created and told whole."""
    body = {
        "user_identifier": " user123 ",
        "title": " 我的会话 ",
        "session_id": "optional-custom-session-id",
        "metadata": {"a": [1, None, "\x00", 2**70]},
    }
    response = await client.post(path, json=body)

    assert response.status_code == 201
    made = response.json()
    assert set(made) == CONVERSATION
    assert made["session_id"] == "optional-custom-session-id"
    assert (made["title"], made["user_identifier"]) == ("我的会话", "user123")
    assert (made["workspace"], made["message_count"]) == ("default", 0)
    assert made["metadata"] == body["metadata"]
    assert made["created_at"].startswith("2026-01-31T12:00:01.123456")
    assert made["created_at"].endswith("Z")
    assert (made["deleted_at"], made["title"]) == (None, "我的会话")


@pytest.mark.parametrize("given", [{}, {"session_id": None}, {"session_id": " "}])
async def test_without_a_session_id_one_is_made(client: httpx.AsyncClient, given: dict[str, Any]):
    """A blank or absent session id becomes a UUID."""
    response = await client.post("/conversations/", json={"user_identifier": "u", **given})

    assert UUID(response.json()["session_id"])


async def test_null_is_as_good_as_absent(client: httpx.AsyncClient):
    """Programs write out fields that they do not set."""
    made = await create(client, session_id=None, title=None, metadata=None)

    assert (made["title"], made["metadata"]) == (None, {})


async def test_a_blank_title_is_none(client: httpx.AsyncClient):
    """A conversation whose title is blank has none, so that the first message can give it."""
    assert (await create(client, title="  "))["title"] is None


NAMES = [
    "caf\u00e9",
    "cafe\u0301",
    "会话-1",
    "👩‍👩‍👧",
    "\u202eabc",
    "'; DROP TABLE conversations; --",
    '<b>&amp;"quoted"',
    "100%",
    "a?b#c&d=e",
    "..",
    "a;x",
    "A",
    "a",
    "a.",
    "%2F",
]


async def test_every_name_is_found_as_it_was_given(client: httpx.AsyncClient):
    """Names are kept to the character, and those that only look alike stay apart."""
    for name in NAMES:
        await create(client, name)

    for name in NAMES:
        found = await client.get(f"/conversations/{quote(name, safe='')}".replace("/..", "/%2E%2E"))
        assert found.json()["session_id"] == name, name
    assert sorted(await sessions(client)) == sorted(NAMES)


async def test_pages_cover_the_list_once(client: httpx.AsyncClient):
    """Following the cursor gives every conversation once, newest activity first, to the end."""
    for number in range(7):
        await create(client, f"s{number}")

    seen, cursor = [], ""
    while True:
        page = (await client.get(f"/conversations/user/user123?limit=3{cursor}")).json()
        ConversationList.model_validate(page)
        seen += [item["session_id"] for item in page["data"]]
        assert (page["object"], page["total"], page["limit"]) == ("list", 7, 3)
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == [f"s{number}" for number in reversed(range(7))]
    by_offset = (await client.get("/conversations/user/user123?limit=50&offset=5")).json()
    assert [item["session_id"] for item in by_offset["data"]] == ["s1", "s0"]
    assert by_offset["offset"] == 5


@pytest.mark.parametrize("letter", ["长", "😀"])
async def test_the_longest_names_do_not_end_a_list(client: httpx.AsyncClient, letter: str):
    """A page that ends with the longest title, or the longest name, has one behind it."""
    for number in range(2):
        more = {"title": letter * 999 + str(number), "user_identifier": letter * 254 + str(number)}
        await create(client, f"s{number}", **more)

    for address in ("/conversations?sort=title", "/users?"):
        first = (await client.get(f"{address}&limit=1")).json()
        rest = await client.get(f"{address}&limit=1&cursor={first['next_cursor']}")
        assert rest.status_code == 200, rest.text
        assert rest.json()["data"][0]["user_identifier"] == letter * 254 + "1"


async def test_a_user_never_seen_has_an_empty_list(client: httpx.AsyncClient):
    """The list of an unknown user is empty, and not an error."""
    page = (await client.get("/conversations/user/nobody")).json()

    assert (page["data"], page["total"], page["has_more"]) == ([], 0, False)


async def test_filters_narrow_the_list(client: httpx.AsyncClient):
    """User, model, moments and the bin narrow the list; sort turns it around."""
    await create(client, "a", title="1")
    await create(client, "b", title="2", user_identifier="bob")
    message = {"role": "assistant", "content": "hi", "model_name": "gpt-4o"}
    await client.post("/conversations/b/messages", json=message)
    last = await create(client, "c", title="3")
    await client.delete("/conversations/a")

    assert await sessions(client, "?user_identifier=bob") == ["b"]
    assert await sessions(client, "?model=gpt-4o") == ["b"]
    assert await sessions(client, f"?created_after={last['created_at']}") == ["c"]
    assert await sessions(client, f"?updated_before={last['created_at']}") == ["b"]
    assert await sessions(client, "?deleted=only") == ["a"]
    assert sorted(await sessions(client, "?deleted=with")) == ["a", "b", "c"]
    assert await sessions(client, "?sort=title") == ["b", "c"]
    assert await sessions(client, "?sort=-title") == ["c", "b"]


async def test_change_leaves_the_rest(client: httpx.AsyncClient):
    """PUT and PATCH change what they name, and activity moves."""
    made = await create(client, title="old", metadata={"a": 1})

    titled = (await client.put("/conversations/s1", json={"title": "新的会话标题"})).json()
    tagged = (await client.patch("/conversations/s1", json={"metadata": {"b": 2}})).json()

    ConversationOut.model_validate(titled)
    assert (titled["title"], titled["metadata"]) == ("新的会话标题", {"a": 1})
    assert (tagged["title"], tagged["metadata"]) == ("新的会话标题", {"b": 2})
    assert tagged["updated_at"] > titled["updated_at"] > made["updated_at"]


async def test_the_bin_and_back(client: httpx.AsyncClient):
    """A deleted conversation is gone from everywhere, and comes back whole."""
    await create(client, title="kept")
    await client.post("/conversations/s1/messages", json={"role": "user", "content": "hi"})

    deleted = await client.delete("/conversations/s1")
    assert (deleted.status_code, deleted.content) == (204, b"")
    error_of(await client.get("/conversations/s1"), 404)
    error_of(await client.delete("/conversations/s1"), 404)
    assert await sessions(client) == []

    restored = await client.post("/conversations/s1/restore")
    assert (restored.status_code, restored.json()["deleted_at"]) == (200, None)
    whole = (await client.get("/conversations/s1")).json()
    ConversationWithMessages.model_validate(whole)
    assert [message["content"] for message in whole["messages"]] == ["hi"]
    error_of(await client.post("/conversations/s1/restore"), 404)


async def test_restoring_beside_a_new_one_is_a_conflict(client: httpx.AsyncClient):
    """A name that was taken meanwhile is not taken away; to do what it says brings it back."""
    first = (await create(client))["id"]
    await client.delete("/conversations/s1")
    await create(client)

    refused = error_of(await client.post("/conversations/s1/restore"), 409)
    await client.delete("/conversations/s1")
    restored = await client.post(f"/conversations/s1/restore?id={first}")

    assert refused["code"] == "conflict"
    assert f"?id={first}" in refused["message"]
    assert (restored.status_code, restored.json()["id"]) == (200, first)


async def test_an_id_chooses_of_several_in_the_bin(client: httpx.AsyncClient):
    """Without it the one deleted last comes back; an id of another session or user chooses none."""
    first, second = [await _binned(client) for _ in range(2)]
    other = await _binned(client, "s2")

    for number in (other, first + 1000, 2**63 - 1):
        error_of(await client.post(f"/conversations/s1/restore?id={number}"), 404)
    for wrong in ("0", "x", "1.0", 2**63):
        error_of(await client.post(f"/conversations/s1/restore?id={wrong}"), 422)
    foreign = f"/conversations/s1/restore?id={first}&user_identifier=nobody"
    error_of(await client.post(foreign), 404)
    last = await client.post("/conversations/s1/restore")

    assert last.json()["id"] == second


async def _binned(client: httpx.AsyncClient, session: str = "s1") -> int:
    """The id of a new conversation that is in the bin."""
    number = int((await create(client, session))["id"])
    await client.delete(f"/conversations/{session}")
    return number


@pytest.mark.parametrize("in_bin", [False, True])
async def test_deleted_for_good_stays_deleted(client: httpx.AsyncClient, in_bin: bool):
    """Permanent deletion works on live conversations and on those in the bin."""
    await create(client)
    if in_bin:
        await client.delete("/conversations/s1")

    assert (await client.delete("/conversations/s1?permanent=true")).status_code == 204
    error_of(await client.delete("/conversations/s1?permanent=true"), 404)
    error_of(await client.post("/conversations/s1/restore"), 404)
    assert await sessions(client, "?deleted=with") == []


@pytest.mark.parametrize("in_bin", [False, True])
async def test_deleting_for_good_takes_all_lives(api: Api, client: httpx.AsyncClient, in_bin: bool):
    """What was binned and begun anew goes whole, rows and index; other users' and sessions stay."""
    for text in ("first", "second", "third"):
        await create(client)
        await client.post("/conversations/s1/messages", json={"role": "user", "content": text})
        if text != "third" or in_bin:
            await client.delete("/conversations/s1")
    for more in ({"session": "s2"}, {"user_identifier": "bob"}):
        await create(client, **more)
        session, user = more.get("session", "s1"), more.get("user_identifier", "user123")
        await client.delete(f"/conversations/{session}?user_identifier={user}")

    gone = await client.delete("/conversations/s1?permanent=true&user_identifier=user123")

    assert gone.status_code == 204
    assert "content-type" not in gone.headers
    back = await client.post("/conversations/s1/restore?user_identifier=user123")
    error_of(back, 404)
    listed = (await client.get("/conversations?deleted=with")).json()["data"]
    left = {(one["session_id"], one["user_identifier"]) for one in listed}
    assert left == {("s2", "user123"), ("s1", "bob")}
    assert await check(api.services.database) == []
    [row] = (await rows(api.services.database, AuditFilter(action="conversation.erase"))).items
    assert (row.target, row.user_identifier) == ("s1", "user123")
    assert detail_of(row) == {"conversations": 3}


async def test_deleting_for_good_stays_within_the_user_of_the_key(api: Api):
    """A key of one user deletes all lives of that user's session, and nobody else's."""
    async with api.client() as client, api.client(ALICE) as alice:
        for user in ("alice", "bob"):
            await create(client, user_identifier=user)
            await client.delete(f"/conversations/s1?user_identifier={user}")
        assert (await alice.delete("/conversations/s1?permanent=true")).status_code == 204

        listed = (await client.get("/conversations?deleted=with")).json()["data"]
    assert [one["user_identifier"] for one in listed] == ["bob"]


async def test_clearing_takes_one_user_only(client: httpx.AsyncClient):
    """A cleared history is in the bin; other users keep theirs."""
    await create(client, "a")
    await create(client, "b")
    await create(client, "c", user_identifier="bob")

    response = await client.delete("/conversations?user_identifier=user123&confirm=user123")

    assert response.json() == {"deleted": 2}
    assert await sessions(client) == ["c"]
    assert sorted(await sessions(client, "?deleted=only")) == ["a", "b"]


async def test_every_route_waits_for_what_was_recorded(api: Api, client: httpx.AsyncClient):
    """Reads and changes begin when everything recorded before them is stored."""
    await create(client)
    paths = ["/conversations", "/conversations/user/u", "/conversations/s1", "/history"]

    before = api.services.freshness.waits
    for path in [*paths, "/conversations/s1/messages"]:
        await client.get(path)
    await client.put("/conversations/s1", json={"title": "x"})
    await client.delete("/conversations/s1")

    assert api.services.freshness.waits == before + 7
