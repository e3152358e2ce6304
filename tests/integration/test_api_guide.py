"""The guide that the first users of this service were given, example by example, in its order."""

from typing import Any

import httpx
from tests.api import KEY, Api

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

SESSION = "optional-custom-session-id"

CREATE = {"user_identifier": "user123", "title": "我的会话", "session_id": SESSION}

ADD = {
    "role": "user",
    "content": "你好，请帮我解释一下Python装饰器",
    "model_name": "gpt-3.5-turbo",
    "token_count": 15,
}


async def call(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """One example as it is written: the key and the JSON type on every request."""
    given = {} if body is None else {"json": body}
    response = await client.request(method, path, headers=HEADERS, **given)
    assert response.is_success, (method, path, response.text)
    return response.json() if response.content else None


async def test_the_seven_examples_of_the_guide(api: Api):
    """Create, list, read, add, list messages, rename, delete: each as the guide writes it."""
    async with api.serving() as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        created = await call(client, "POST", "/conversations/", CREATE)
        assert (created["session_id"], created["title"]) == (SESSION, "我的会话")

        listed = await call(client, "GET", "/conversations/user/user123?limit=50&offset=0")
        assert [item["session_id"] for item in listed["data"]] == [SESSION]

        added = await call(client, "POST", f"/conversations/{SESSION}/messages", ADD)
        assert {name: added[name] for name in ADD} == ADD

        whole = await call(client, "GET", f"/conversations/{SESSION}")
        assert [message["content"] for message in whole["messages"]] == [ADD["content"]]

        messages = await call(client, "GET", f"/conversations/{SESSION}/messages?limit=100")
        assert [message["role"] for message in messages["data"]] == ["user"]

        renamed = await call(client, "PUT", f"/conversations/{SESSION}", {"title": "新的会话标题"})
        assert renamed["title"] == "新的会话标题"

        assert await call(client, "DELETE", f"/conversations/{SESSION}") is None
        gone = await client.get(f"/conversations/{SESSION}", headers=HEADERS)
        assert gone.status_code == 404


async def test_the_shell_example_adds_without_a_token_count(api: Api):
    """The guide's shell example leaves out token_count, which is unknown then."""
    body = {
        "role": "user",
        "content": "请给我更多关于深度学习的信息",
        "model_name": "gpt-3.5-turbo",
    }
    async with api.serving() as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        await call(client, "POST", "/conversations/", {**CREATE, "session_id": "a-uuid"})
        added = await call(client, "POST", "/conversations/a-uuid/messages", body)

    assert added["token_count"] is None
