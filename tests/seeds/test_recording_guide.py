"""001: the guide to recording, its requests and its programs in Python, JavaScript and shell."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from tests.proxies import RunningProxy
from tests.sdk.installed import need, node_packages
from tests.seeds.examples import example, run, run_shell, written

from officeai_proxy.storage import tables

SESSION = "optional-custom-session-id"


def requests_of(name: str, proxy: RunningProxy) -> Iterator[httpx.Request]:
    """The requests of a file, each with just the headers and the body that stand there."""
    for block in re.split(r"^### .*\n", example(name, proxy), flags=re.MULTILINE)[1:]:
        head, _, body = block.strip().partition("\n\n")
        first, *headers = head.replace("{session_id}", SESSION).splitlines()
        method, path = first.split(" ")
        pairs = [(line.split(": ")[0], line.split(": ")[1]) for line in headers]
        yield httpx.Request(method, proxy.root + path, headers=pairs, content=body.encode())


def conversation(proxy: RunningProxy, question: str) -> list[tuple[str, str]]:
    """What is kept of the one conversation of the guide's user that began with *question*."""
    listed = proxy.get("/conversations/user/user123", limit="50", offset="0").json()["data"]
    [session] = [item["session_id"] for item in listed if item["title"] == question]
    return proxy.path_of(session)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client that adds nothing to a request."""
    with httpx.Client(timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("name", ["001/routes.http", "001/recorded-call.http"])
def test_every_request_needs_a_key(client: httpx.Client, proxy: RunningProxy, name: str) -> None:
    """Without its line `Authorization` each of them is refused."""
    for request in requests_of(name, proxy):
        del request.headers["authorization"]
        answer = client.send(request)
        assert answer.status_code == 401, request.url
        assert answer.json()["error"]["code"] == "invalid_api_key"


def test_the_seven_requests(client: httpx.Client, proxy: RunningProxy) -> None:
    """Begin, list, read, add, read messages, rename and delete work as they are written."""
    with proxy.client() as own:
        own.delete(f"/conversations/{SESSION}", params={"permanent": "true"})
    answers = [client.send(request) for request in requests_of("001/routes.http", proxy)]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 201, 200, 200, 204]
    created, listed, read, added, messages, renamed = [one.json() for one in answers[:-1]]
    assert (created["session_id"], created["title"]) == (SESSION, "我的会话")
    assert SESSION in [item["session_id"] for item in listed["data"]]
    assert (read["user_identifier"], read["messages"]) == ("user123", [])
    assert (added["role"], added["content"]) == ("user", "你好，请帮我解释一下Python装饰器")
    assert (added["model_name"], added["token_count"]) == ("gpt-3.5-turbo", 15)
    assert messages["data"] == [added]
    assert renamed["title"] == "新的会话标题"
    assert proxy.get(f"/conversations/{SESSION}").status_code == 404


def test_the_headers_record_a_call(client: httpx.Client, proxy: RunningProxy) -> None:
    """The session comes into being by the call, with both messages, their models and times."""
    [request] = requests_of("001/recorded-call.http", proxy)

    answer = client.send(request)

    assert answer.status_code == 200, answer.text
    kept = proxy.get("/conversations/unique-session-id").json()
    assert kept["user_identifier"] == "user123"
    question = "你好，请介绍一下Python"
    told = [(one["role"], one["content"], one["model_name"]) for one in kept["messages"]]
    assert told == [
        ("user", question, "officeai"),
        ("assistant", f"echo: {question}", "gpt-test"),
    ]
    assert all(one["timestamp"].endswith("Z") for one in kept["messages"])


def test_the_python_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """It reads its own call right after it, and finds its user's conversation."""
    output = run([sys.executable, str(written("001/chat.py", proxy, tmp_path))], tmp_path)

    question = "你好，请介绍一下Python编程语言"
    assert conversation(proxy, question) == [("user", question), ("assistant", f"echo: {question}")]
    history, listed = output.split("会话历史: ")[1].split("用户所有会话: ")
    assert f"echo: {question}" in history
    assert question in listed


def test_the_javascript_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """The same from Node with axios."""
    modules = str(node_packages() / "node_modules")

    program = str(written("001/chat.js", proxy, tmp_path))
    output = run(["node", program], tmp_path, NODE_PATH=modules)

    question = "请解释什么是机器学习"
    assert conversation(proxy, question) == [("user", question), ("assistant", f"echo: {question}")]
    assert "错误" not in output
    assert f"echo: {question}" in output.split("会话历史:")[1]


def test_the_curl_program(proxy: RunningProxy, tmp_path: Path) -> None:
    """The same from a shell; the message that it adds by hand follows the recorded ones."""
    need("uuidgen")

    output = run_shell("001/chat.sh", proxy, tmp_path)

    question = "什么是深度学习？"
    assert conversation(proxy, question) == [
        ("user", question),
        ("assistant", f"echo: {question}"),
        ("user", "请给我更多关于深度学习的信息"),
    ]
    assert output.count(f"echo: {question}") >= 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_openai_sdk_with_the_two_headers(proxy: RunningProxy, *, stream: bool) -> None:
    """A program with OpenAI's own client needs the address and the headers, and no more."""
    session = f"sdk-{stream}"
    with openai.OpenAI(
        base_url=proxy.base_url,
        api_key=proxy.key,
        default_headers={"X-Session-ID": session, "X-User-ID": "user123"},
    ) as client:
        given = client.chat.completions.create(
            model="officeai", messages=[{"role": "user", "content": "hi"}], stream=stream
        )
        for _ in given if stream else ():
            pass

    assert proxy.path_of(session) == [("user", "hi"), ("assistant", "echo: hi")]


def test_the_tables_have_the_columns_of_the_guide() -> None:
    """Whoever reads the database finds both tables and every column under its name."""
    guide = {
        tables.conversations: "id session_id title user_identifier created_at updated_at",
        tables.conversation_messages: (
            "id conversation_id role content model_name token_count timestamp"
        ),
    }

    assert [table.name for table in guide] == ["conversations", "conversation_messages"]
    for table, columns in guide.items():
        assert set(columns.split()) <= set(table.columns.keys())


def test_the_api_page_is_where_the_guide_says(client: httpx.Client, proxy: RunningProxy) -> None:
    """`/docs` is a page, and what it shows has every route of the guide."""
    page = client.get(f"{proxy.root}/docs")
    described = client.get(f"{proxy.root}/openapi.json").json()["paths"]

    assert page.headers["content-type"].startswith("text/html")
    for request in requests_of("001/routes.http", proxy):
        path = request.url.path.replace(SESSION, "{session_id}").replace("user123", "{user}")
        assert request.method.lower() in described[path], json.dumps(sorted(described))
