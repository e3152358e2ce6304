"""The OpenAI SDKs against the proxy: they chat, stream, call tools and raise the right classes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.proxies import RunningProxy, clean_environment
from tests.sdk.installed import node_packages, python_packages
from tests.upstream import (
    Answer,
    ReceivedRequest,
    ScriptedUpstream,
    chunk_event,
    completion,
    echo,
    said,
)

SDK = Path(__file__).parent.parent / "sdk"

ERRORS = {
    "wrong key": ("AuthenticationError", 401, "invalid_api_key"),
    "bad session": ("BadRequestError", 400, None),
    "unknown model": ("NotFoundError", 404, "model_not_found"),
    "too many": ("RateLimitError", 429, "rate_limit_exceeded"),
    "server": ("InternalServerError", 500, None),
    "upstream's key": ("InternalServerError", 502, "upstream_key_refused"),
    "error inside": ("APIError", None, "overloaded"),
}

CODES = {"404": "model_not_found", "429": "rate_limit_exceeded", "500": None, "401": "x"}


def tool_call() -> bytes:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Bonn"}'},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return completion("", choices=[choice])


async def script(request: ReceivedRequest, answer: Answer) -> None:
    """An upstream that does what the last message says."""
    if request.method == "GET":
        model = {"id": "gpt-test", "object": "model", "created": 1, "owned_by": "test"}
        await answer.whole(json.dumps({"object": "list", "data": [model]}).encode())
        return
    text = said(request)
    if text.startswith("fail "):
        code = text.removeprefix("fail ")
        error = {"message": "no", "type": "t", "param": None, "code": CODES[code]}
        await answer.whole(json.dumps({"error": error}).encode(), status=int(code))
    elif text == "call the tool":
        await answer.whole(tool_call())
    elif text in ("break off", "error inside"):
        await answer.begin_events()
        await answer.chunk(chunk_event({"content": "half"}))
        if text == "break off":
            answer.reset()
            return
        error = {"message": "overloaded", "type": "server_error", "code": "overloaded"}
        await answer.chunk(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        await answer.end_chunks()
    else:
        await echo(request, answer)


def run(command: list[str], environment: dict[str, str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert isinstance(seen, dict)
    return seen


def assert_as_expected(seen: dict[str, Any]) -> None:
    assert seen["models"] == ["gpt-test"]
    assert seen["chat"] == {"text": "echo: hello", "tokens": 8}
    assert seen["stream"] == {"text": "echo: stream", "chunks": 7, "tokens": 8}
    assert seen["tools"] == {"name": "weather", "text": "echo: sunny"}
    for name, expected in ERRORS.items():
        error = seen["errors"][name]
        assert (error["class"], error["status"], error["code"]) == expected, name
    assert seen["errors"]["breaks off"] is not None


def assert_recorded(proxy: RunningProxy, session: str) -> None:
    """The conversation has what the program said and heard, the failures included."""
    path = proxy.path_of(session, user_identifier="sdk")
    assert path[:4] == [
        ("user", "hello"),
        ("assistant", "echo: hello"),
        ("user", "stream"),
        ("assistant", "echo: stream"),
    ]
    assert path[4:8] == [
        ("user", "call the tool"),
        ("assistant", ""),
        ("tool", "sunny"),
        ("assistant", "echo: sunny"),
    ]
    rest = proxy.get(f"/conversations/{session}/messages", limit="1000").json()["data"][8:]
    answers = [message for message in rest if message["role"] == "assistant"]
    cut = {m["metadata"].get("outcome") for m in answers if m["content"] == "half"}
    assert cut == {"upstream_error"}


@pytest.mark.parametrize("major", ["2", "3"])
def test_the_python_sdk(
    proxy: RunningProxy, upstream: ScriptedUpstream, tmp_path: Path, major: str
) -> None:
    """Both current major lines work by environment variables alone, OPENAI_CUSTOM_HEADERS too."""
    upstream.script = script
    packages = python_packages(f"openai{major}", f"openai>={major},<{int(major) + 1}")
    environment = clean_environment(
        PYTHONPATH=str(packages),
        OPENAI_BASE_URL=proxy.base_url,
        OPENAI_API_KEY=proxy.key,
        OPENAI_CUSTOM_HEADERS=f"X-Session-ID: python-{major}\nX-User-ID: sdk",
    )

    seen = run([sys.executable, str(SDK / "python_sdk.py")], environment, tmp_path)

    assert seen["version"].startswith(f"{major}.")
    assert_as_expected(seen)
    assert seen["concurrently"] == [f"echo: n{n}" for n in range(20)]
    assert seen["foreign"] == "行程"
    assert_recorded(proxy, f"python-{major}")


def test_the_node_sdk(proxy: RunningProxy, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """The SDK for Node sees the same as the one for Python."""
    upstream.script = script
    packages = node_packages()
    program = packages / "node_sdk.mjs"
    program.write_bytes((SDK / "node_sdk.mjs").read_bytes())
    environment = clean_environment(
        OPENAI_BASE_URL=proxy.base_url, OPENAI_API_KEY=proxy.key, TEST_SESSION="node"
    )

    seen = run(["node", str(program)], environment, tmp_path)

    assert_as_expected(seen)
    assert_recorded(proxy, "node")
