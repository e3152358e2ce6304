"""The message routes on both databases: refusals first, then what they promise."""

from typing import Any

import httpx
import pytest
from tests.api import Api

from officeai_proxy.history.schemas import MessageList, MessageOut
from officeai_proxy.wire import jsontext

JSON = {"content-type": "application/json"}


@pytest.fixture
async def session(client: httpx.AsyncClient) -> str:
    """The address of an empty conversation."""
    body = {"user_identifier": "user123", "session_id": "s1"}
    assert (await client.post("/conversations/", json=body)).status_code == 201
    return "/conversations/s1"


def message(content: Any = "hi", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


async def listed(client: httpx.AsyncClient, address: str) -> list[Any]:
    response = await client.get(address)
    assert response.status_code == 200, response.text
    return [item["content"] for item in response.json()["data"]]


BAD: dict[str, tuple[Any, str | None]] = {
    "no role": ({"content": "hi"}, "role"),
    "unknown role": (message(role="robot"), "role"),
    "no content": ({"role": "user"}, "content"),
    "null content": (message(None), "content"),
    "number": (message(7), "content"),
    "object": (message({"type": "text"}), "content"),
    "no parts": (message([]), "content"),
    "parts that are no objects": (message(["hi"]), "content"),
    "negative tokens": (message(token_count=-1), "token_count"),
    "too many tokens": (message(token_count=2**63), "token_count"),
    "tokens as text": (message(token_count="15"), "token_count"),
    "tokens true": (message(token_count=True), "token_count"),
    "tokens in fractions": (message(token_count=1.5), "token_count"),
    "timestamp garbage": (message(timestamp="yesterday"), "timestamp"),
    "timestamp a number": (message(timestamp=1769860800), "timestamp"),
    "model with NUL": (message(model_name="a\0"), "model_name"),
    "metadata a text": (message(metadata="a"), "metadata"),
    "unknown field": (message(tool_calls=[]), "tool_calls"),
    "empty list": ([], None),
    "too many": ([message()] * 1001, None),
    "one bad of two": ([message(), message(role="robot")], "[1].role"),
    "a text": ("hi", None),
    "null": (None, None),
}


@pytest.mark.parametrize(("body", "param"), BAD.values(), ids=BAD)
async def test_bad_message_is_refused(
    client: httpx.AsyncClient, session: str, body: Any, param: str | None
):
    """What cannot be a message is a 422 that names the place, and nothing of it is stored."""
    response = await client.post(f"{session}/messages", json=body)

    assert response.status_code == 422, response.text
    assert response.json()["error"]["param"] == param
    assert await listed(client, f"{session}/messages") == []


@pytest.mark.parametrize("text", ["{", '{"role": NaN}', "[" * 100_000, "\ufeff{}", "{'a': 1}"])
async def test_what_is_no_json_is_a_400(client: httpx.AsyncClient, session: str, text: str):
    """A body that cannot be parsed is refused as such."""
    response = await client.post(f"{session}/messages", content=text.encode(), headers=JSON)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"


async def test_one_message_is_answered_by_it(client: httpx.AsyncClient, session: str):
    """An object is answered by the stored message, with all that was given."""
    body = message(
        "你好，请帮我解释一下Python装饰器",
        model_name="gpt-3.5-turbo",
        token_count=15,
        metadata={"source": "test"},
        timestamp="2026-01-01T08:00:00.000001+08:00",
    )
    response = await client.post(f"{session}/messages", json=body)

    assert response.status_code == 201
    stored = response.json()
    MessageOut.model_validate(stored)
    assert stored["content"] == body["content"]
    assert stored["raw"] == {"role": "user", "content": body["content"]}
    assert (stored["role"], stored["model_name"]) == ("user", "gpt-3.5-turbo")
    assert (stored["token_count"], stored["metadata"]) == (15, {"source": "test"})
    assert stored["timestamp"] == "2026-01-01T00:00:00.000001Z"
    assert stored["parent_id"] is None


async def test_a_list_is_answered_by_a_list(client: httpx.AsyncClient, session: str):
    """Several messages are stored in order, each below the one before."""
    await client.post(f"{session}/messages", json=message("zero"))
    body = [message("one"), message("two", role="assistant"), message("three")]
    response = await client.post(f"{session}/messages", json=body)

    stored = response.json()
    assert response.status_code == 201
    assert [item["content"] for item in stored] == ["one", "two", "three"]
    assert [item["parent_id"] for item in stored[1:]] == [item["id"] for item in stored[:-1]]
    assert await listed(client, f"{session}/messages") == ["zero", "one", "two", "three"]


async def test_a_list_of_one_is_answered_by_a_list(client: httpx.AsyncClient, session: str):
    """The answer has the form of the question."""
    response = await client.post(f"{session}/messages", json=[message()])

    assert [item["content"] for item in response.json()] == ["hi"]


async def test_a_thousand_messages_at_once(client: httpx.AsyncClient, session: str):
    """The largest list is taken, and read back in the largest page."""
    body = [message(str(number)) for number in range(1000)]
    assert (await client.post(f"{session}/messages", json=body)).status_code == 201

    texts = await listed(client, f"{session}/messages?limit=1000")
    assert texts == [str(number) for number in range(1000)]


async def test_what_databases_cannot_hold_comes_back(client: httpx.AsyncClient, session: str):
    """NUL and half a character are replaced in the text; strict readers take `raw`."""
    content = '{"role": "user", "content": "a\\u0000b\\ud800c"}'
    posted = await client.post(f"{session}/messages", content=content, headers=JSON)

    assert posted.status_code == 201, posted.text
    read = jsontext.loads((await client.get(f"{session}/messages")).content)
    [stored] = read["data"]  # type: ignore[call-overload,index]  # JSON that this test made
    assert stored["content"] == "a\u2400b\ufffdc"
    assert stored["raw"] == {"role": "user", "content": "a\0b\ufffdc"}


async def test_parts_are_text_and_raw(client: httpx.AsyncClient, session: str):
    """Content parts come back as their text, and whole in `raw`; a picture alone has no text."""
    parts = [
        {"type": "text", "text": "What is "},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "this?"},
    ]
    both = await client.post(f"{session}/messages", json=[message(parts), message(parts[1:2])])

    assert [item["content"] for item in both.json()] == ["What is this?", ""]
    assert [item["raw"]["content"] for item in both.json()] == [parts, parts[1:2]]


@pytest.mark.parametrize("content", ["", " ", "a" * 300_000, "👍🏽" * 1000, "\r\n\t"])
async def test_any_text_is_kept(client: httpx.AsyncClient, session: str, content: str):
    """Empty, long and strange texts come back to the character."""
    await client.post(f"{session}/messages", json=message(content))

    assert await listed(client, f"{session}/messages") == [content]


async def test_a_moment_without_a_zone_is_utc(client: httpx.AsyncClient, session: str):
    """Without a zone it is UTC, without a moment it is now."""
    given = await client.post(f"{session}/messages", json=message(timestamp="2026-01-01T08:00:00"))
    absent = await client.post(f"{session}/messages", json=message())

    assert given.json()["timestamp"] == "2026-01-01T08:00:00Z"
    assert absent.json()["timestamp"].startswith("2026-01-31T12:00:")


async def test_the_first_thing_said_is_the_title(client: httpx.AsyncClient, session: str):
    """A conversation without a title gets one from its first user message, and keeps it."""
    await client.post(f"{session}/messages", json=message("You are kind.", role="system"))
    assert (await client.get(session)).json()["title"] is None

    await client.post(f"{session}/messages", json=message("  What is\n\na decorator?" + "x" * 99))
    await client.post(f"{session}/messages", json=message("And a generator?"))

    title = (await client.get(session)).json()["title"]
    assert title.startswith("What is a decorator?xx")
    assert (len(title), title[-1]) == (60, "…")


async def test_a_given_title_stays(client: httpx.AsyncClient, session: str):
    """A title given by a person is not replaced by what is said."""
    await client.put(session, json={"title": "Mine"})
    await client.post(f"{session}/messages", json=message())

    assert (await client.get(session)).json()["title"] == "Mine"


async def test_a_message_is_activity(client: httpx.AsyncClient, session: str):
    """A new message moves the conversation to the front, and is counted."""
    before = (await client.get(session)).json()
    await client.post(f"{session}/messages", json=message())
    after = (await client.get(session)).json()

    assert after["updated_at"] > before["updated_at"]
    assert (before["message_count"], after["message_count"]) == (0, 1)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("branch", ["path", "all"])
async def test_pages_cover_the_messages_once(
    client: httpx.AsyncClient, session: str, order: str, branch: str
):
    """Following the cursor gives every message once, in the order asked for."""
    await client.post(f"{session}/messages", json=[message(str(number)) for number in range(8)])

    seen, cursor = [], ""
    while True:
        query = f"?limit=3&order={order}&branch={branch}{cursor}"
        page = (await client.get(f"{session}/messages{query}")).json()
        MessageList.model_validate(page)
        seen += [item["content"] for item in page["data"]]
        assert page["total"] == 8
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == sorted("01234567", reverse=order == "desc")
    assert await listed(client, f"{session}/messages?offset=6") == ["6", "7"]


async def test_a_conversation_tells_where_to_go_on(client: httpx.AsyncClient, session: str):
    """A conversation with more messages than asked for says so, and the cursor goes on."""
    await client.post(f"{session}/messages", json=[message(str(number)) for number in range(5)])

    whole = (await client.get(session)).json()
    part = (await client.get(f"{session}?limit=2")).json()
    rest = await listed(client, f"{session}/messages?cursor={part['next_cursor']}")
    here = (await client.get(f"{session}?cursor={part['next_cursor']}")).json()

    assert ([item["content"] for item in whole["messages"]], whole["has_more"]) == (
        ["0", "1", "2", "3", "4"],
        False,
    )
    assert ([item["content"] for item in part["messages"]], part["has_more"]) == (["0", "1"], True)
    assert rest == ["2", "3", "4"]
    assert ([item["content"] for item in here["messages"]], here["has_more"]) == (rest, False)


async def test_a_cursor_of_another_list_is_refused(api: Api, client: httpx.AsyncClient):
    """A cursor opens nothing but the list it came from."""
    for name in ("s1", "s2"):
        body = {"user_identifier": "u", "session_id": name}
        await client.post("/conversations/", json=body)
        await client.post(f"/conversations/{name}/messages", json=[message(), message()])
    first = (await client.get("/conversations/s1/messages?limit=1")).json()["next_cursor"]

    for address in ("/conversations/s2/messages", "/conversations", "/history"):
        response = await client.get(f"{address}?cursor={first}")
        assert response.status_code == 422, address
        assert response.json()["error"]["param"] == "cursor"
