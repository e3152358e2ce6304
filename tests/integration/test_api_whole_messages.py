"""Messages that are added whole: with fields beside role and content, such as tool calls."""

import json
from typing import Any

import httpx
import orjson
import pytest

CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
PATH = "/conversations/s1/messages"


@pytest.fixture
async def session(client: httpx.AsyncClient) -> None:
    """A conversation to add to."""
    named = {"session_id": "s1", "user_identifier": "alice"}
    assert (await client.post("/conversations/", json=named)).status_code == 201


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    "raw",
    ["text", [CALL], {}, {**CALL, "role": "user"}, {**CALL, "content": "other words"}],
    ids=["text", "list", "empty", "role", "words"],
)
async def test_two_messages_in_one_are_refused(client: httpx.AsyncClient, raw: Any) -> None:
    """`raw` that is no object, or says something else than role and content, is 422."""
    answer = await client.post(PATH, json={"role": "assistant", "content": "", "raw": raw})

    assert answer.status_code == 422
    assert "`raw`" in answer.json()["error"]["message"]
    assert (await client.get(PATH)).json()["total"] == 0


@pytest.mark.usefixtures("session")
async def test_a_whole_message_comes_back_whole(client: httpx.AsyncClient) -> None:
    """What is posted as `raw` is `raw` in every later answer; its text is the content."""
    named = {"role": "user", "content": "Buy bread.", "name": "ann"}
    posted = [
        {"role": "assistant", "content": "", "raw": CALL},
        {"role": "user", "content": "Buy bread.", "raw": named, "token_count": 3},
    ]

    added = await client.post(PATH, json=posted)

    assert added.status_code == 201, added.text
    read = (await client.get(PATH)).json()["data"]
    assert [one["raw"] for one in read] == [CALL, named]
    assert [one["content"] for one in read] == ["", "Buy bread."]
    assert read[1]["token_count"] == 3


@pytest.mark.usefixtures("session")
async def test_a_whole_message_equals_the_one_that_a_client_resends(
    client: httpx.AsyncClient,
) -> None:
    """Posted whole or in its two fields, a plain message is stored the same."""
    plain = {"role": "user", "content": "hello"}

    first = await client.post(PATH, json=plain)
    second = await client.post(PATH, json={**plain, "raw": plain})

    assert first.json()["raw"] == second.json()["raw"] == plain


@pytest.mark.usefixtures("session")
async def test_half_a_character_hinders_nobody(client: httpx.AsyncClient) -> None:
    """In names of fields, in metadata, in arguments: all lists, searches and files still come."""
    function = {"name": "f", "arguments": '{"text": "hi \\ud83d"}'}
    call = {"id": "c", "type": "function", "function": function}
    words = {"role": "assistant", "content": "found you"}
    raw = {**words, "\ud83dname": 1, "tool_calls": [call]}
    odd = json.dumps({**words, "raw": raw, "metadata": {"a": [{"x\udc00": "\ud800"}]}})
    headers = {"content-type": "application/json"}

    added = await client.post(PATH, content=odd, headers=headers)
    named = '{"session_id":"s2","user_identifier":"alice","metadata":{"\\ud800":1}}'
    begun = await client.post("/conversations/", content=named, headers=headers)

    assert (added.status_code, begun.status_code) == (201, 201)
    pages = ("", "/s1", "/s1/messages", "/search?q=found", "/user/alice", "/s2")
    for page in pages:
        answer = await client.get(f"/conversations{page}")
        assert answer.status_code == 200, page
        orjson.loads(answer.content)
    assert (await client.get("/conversations/s2")).json()["metadata"] == {"\ufffd": 1}
    (message,) = (await client.get(PATH)).json()["data"]
    assert message["metadata"] == {"a": [{"x\ufffd": "\ufffd"}]}
    assert message["raw"]["tool_calls"][0]["function"] == function
    for kind in ("json", "jsonl", "openai", "csv", "md", "txt", "html", "xlsx", "zip"):
        answer = await client.get(f"/conversations/export-all?format={kind}")
        assert answer.status_code == 200
        if kind in ("json", "jsonl", "openai"):
            texts = [answer.text] if kind == "json" else answer.text.splitlines()
            assert [orjson.loads(text) for text in texts]
