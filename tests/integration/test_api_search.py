"""The search route: refusals first, then pages, snippets and walls."""

from typing import Any

import httpx
import pytest
from tests.api import ALICE, OTHER_TEAM, WRITER, Api

SEARCH = "/conversations/search"


async def tell(client: httpx.AsyncClient, session: str, *said: str, user: str = "alice") -> None:
    made = await client.post(
        "/conversations/", json={"session_id": session, "user_identifier": user}
    )
    assert made.status_code == 201, made.text
    messages = [{"role": "user", "content": content} for content in said]
    added = await client.post(f"/conversations/{session}/messages", json=messages)
    assert added.status_code == 201, added.text


async def search(client: httpx.AsyncClient, q: str, **more: str) -> list[dict[str, Any]]:
    answer = await client.get(SEARCH, params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": "👍"}, "q"),
        ({"q": "%"}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"q": "a" * 1001}, "q"),
        ({"q": " ".join(map(str, range(65)))}, "q"),
        ({"q": "a", "limit": "0"}, "limit"),
        ({"q": "a", "limit": "1001"}, "limit"),
        ({"q": "a", "role": "boss"}, "role"),
        ({"q": "a", "from": "yesterday"}, "from"),
        ({"q": "a", "to": "2026-13-01"}, "to"),
        ({"q": "a", "cursor": "nonsense"}, "cursor"),
        ({"q": "a", "user_identifier": "a/b"}, "user_identifier"),
    ],
)
async def test_what_cannot_be_asked(
    client: httpx.AsyncClient, params: dict[str, str], param: str
) -> None:
    """A value that cannot be used is 422 and is named."""
    answer = await client.get(SEARCH, params=params)

    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["param"] == param


async def test_a_very_long_query(client: httpx.AsyncClient) -> None:
    """As many words as a request can have are refused at once."""
    answer = await client.get(SEARCH, params={"q": "word " * 10_000})

    assert answer.status_code == 422


async def test_who_may_search(api: Api) -> None:
    """It takes a key with `read`; a key that is bound to a user may not name another."""
    async with api.client(WRITER) as writer, api.client(None) as nobody, api.client(ALICE) as alice:
        assert (await writer.get(SEARCH, params={"q": "a"})).status_code == 403
        assert (await nobody.get(SEARCH, params={"q": "a"})).status_code == 401
        other = await alice.get(SEARCH, params={"q": "a", "user_identifier": "bob"})
        assert other.status_code == 403


async def test_nothing_found(api: Api, client: httpx.AsyncClient) -> None:
    """An empty page is a page; and reading waits for what was just recorded."""
    answer = await client.get(SEARCH, params={"q": "absent"})

    assert answer.json() == {
        "object": "list",
        "data": [],
        "limit": 20,
        "has_more": False,
        "next_cursor": None,
    }
    assert api.services.freshness.waits == 1


async def test_a_session_may_be_called_search(client: httpx.AsyncClient) -> None:
    """The route has its address for itself; a session of that name has its messages' address."""
    await tell(client, "search", "hello")

    assert (await client.get("/conversations/search/messages")).json()["total"] == 1
    assert len(await search(client, "hello")) == 1


async def test_a_hit_says_where_it_is(client: httpx.AsyncClient) -> None:
    """A hit has its conversation, its message, a snippet, and where in that the finds are."""
    await tell(
        client, "s1", "前言。" * 100 + "请用Python写数据库代码，Ｐｙｔｈｏｎ 3。" + "后记。" * 100
    )

    (hit,) = await search(client, "python 数据库")

    assert hit["conversation"]["session_id"] == "s1"
    assert hit["message"]["content"].startswith("前言")
    assert [hit["snippet"][start:end] for start, end in hit["highlights"]] == [
        "Python",
        "数据库",
        "Ｐｙｔｈｏｎ",
    ]
    assert hit["snippet"][0] == hit["snippet"][-1] == "…"
    assert len(hit["snippet"]) < 200


async def test_pages(client: httpx.AsyncClient) -> None:
    """Pages follow one another without a gap, also when something is said in between."""
    await tell(client, "s1", *(f"word {n}" for n in range(7)))
    told: list[str] = []
    cursor: str | None = None
    while True:
        params = {"q": "word", "limit": "3", **({"cursor": cursor} if cursor else {})}
        page = (await client.get(SEARCH, params=params)).json()
        told += [hit["message"]["content"] for hit in page["data"]]
        await client.post(
            "/conversations/s1/messages", json={"role": "user", "content": "word of late"}
        )
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break

    assert told == [f"word {n}" for n in reversed(range(7))]


async def test_filters(client: httpx.AsyncClient) -> None:
    """User, role and time narrow the search down."""
    await tell(client, "a", "word", user="alice")
    await tell(client, "b", "word", user="bob")
    await client.post(
        "/conversations/b/messages",
        json={"role": "assistant", "content": "word", "timestamp": "2020-01-01T00:00:00Z"},
    )

    assert len(await search(client, "word")) == 3
    assert len(await search(client, "word", user_identifier="bob")) == 2
    assert len(await search(client, "word", role="assistant")) == 1
    assert len(await search(client, "word", to="2021-01-01")) == 1
    assert len(await search(client, "word", **{"from": "2021-01-01"})) == 2


async def test_walls(api: Api, client: httpx.AsyncClient) -> None:
    """Another workspace finds nothing; a bound key finds its own user's."""
    await tell(client, "a", "word", user="alice")
    await tell(client, "b", "word", user="bob")
    async with api.client(OTHER_TEAM) as other, api.client(ALICE) as alice:
        assert await search(other, "word") == []
        (hit,) = await search(alice, "word")

    assert hit["conversation"]["user_identifier"] == "alice"


async def test_bin_and_erasure(client: httpx.AsyncClient) -> None:
    """What is in the bin is not found, is found when it is back, and never again once erased."""
    await tell(client, "s1", "word")
    await client.delete("/conversations/s1")
    assert await search(client, "word") == []
    await client.post("/conversations/s1/restore")
    assert len(await search(client, "word")) == 1
    await client.delete("/conversations/s1", params={"permanent": "true"})
    assert await search(client, "word") == []
