"""003: stored history: its two commands, the table that was sketched, a session that goes on."""

import json
import sqlite3
from pathlib import Path

import openai
import pytest
from tests.proxies import RunningProxy
from tests.seeds.examples import begin, example, run_shell, set_key_once

SESSION = "session_abc"

CALL = {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}

SAID: tuple[dict[str, object], ...] = (
    {"role": "system", "content": "You are a coder."},
    {"role": "user", "content": "读一下 main.py"},
    {
        "role": "assistant",
        "content": "",
        "raw": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    },
    {"role": "assistant", "content": "done"},
)


@pytest.fixture
def kept(proxy: RunningProxy) -> RunningProxy:
    """A program that keeps the conversation of the commands."""
    begin(proxy, SESSION, *SAID)
    return proxy


@pytest.mark.parametrize("name", ["read.sh", "delete.sh"])
def test_without_a_key_nothing_is_read_or_deleted(
    kept: RunningProxy, name: str, tmp_path: Path
) -> None:
    """Both commands are refused, and all messages are still there."""
    output = run_shell(f"003/{name}", kept, tmp_path)

    assert json.loads(output)["error"]["code"] == "invalid_api_key"
    assert len(kept.path_of(SESSION)) == len(SAID)


def test_reading_gives_the_messages_in_order(kept: RunningProxy, tmp_path: Path) -> None:
    """The first command answers with every message, the oldest first."""
    set_key_once(kept, tmp_path)

    answer = json.loads(run_shell("003/read.sh", kept, tmp_path))

    assert (answer["limit"], answer["total"]) == (200, len(SAID))
    told = [(one["role"], one["content"]) for one in answer["data"]]
    assert told[:2] == [("system", "You are a coder."), ("user", "读一下 main.py")]
    assert answer["data"][2]["raw"]["tool_calls"] == [CALL]


def test_deleting_can_be_undone(kept: RunningProxy, tmp_path: Path) -> None:
    """The second command takes the session out of sight, and it can be brought back whole."""
    set_key_once(kept, tmp_path)

    run_shell("003/delete.sh", kept, tmp_path)

    assert kept.get(f"/conversations/{SESSION}").status_code == 404
    with kept.client() as client:
        assert client.post(f"/conversations/{SESSION}/restore").status_code == 200
    assert len(kept.path_of(SESSION)) == len(SAID)


def test_the_sketched_table_can_be_filled(kept: RunningProxy) -> None:
    """Every column has its place in our answers: a program may keep the sketched table as well."""
    conversation = kept.get(f"/conversations/{SESSION}").json()
    database = sqlite3.connect(":memory:")
    database.executescript(example("003/messages.sql", kept))
    for message in conversation["messages"]:
        database.execute(
            "INSERT INTO chat_messages (session_id, workspace, role, content, metadata, timestamp)"
            " VALUES (:session_id, :workspace, :role, :content, :extra, :timestamp)",
            {**conversation, **message, "extra": json.dumps(message["raw"].get("tool_calls"))},
        )

    rows = database.execute(
        "SELECT role, content, metadata FROM chat_messages"
        " WHERE session_id = ? AND workspace = ? ORDER BY timestamp, id",
        (SESSION, "default"),
    ).fetchall()
    database.close()
    assert [row[0] for row in rows] == ["system", "user", "assistant", "assistant"]
    assert rows[1][1] == "读一下 main.py"
    assert json.loads(rows[2][2]) == [CALL]


def test_a_session_is_read_back_and_goes_on(proxy: RunningProxy) -> None:
    """A client that lost its memory reads the history, says it all again, and goes on there."""
    session = "restored"
    with openai.OpenAI(
        base_url=proxy.base_url,
        api_key=proxy.key,
        default_headers={"X-Session-ID": session, "X-User-ID": "workbench"},
    ) as client:
        first = client.chat.completions.create(
            model="officeai", messages=[{"role": "user", "content": "first"}], stream=True
        )
        assert [chunk.model for chunk in first]
        history = proxy.get("/api/v1/chat/history", session_id=session).json()["data"]
        told = [{"role": one["role"], "content": one["content"]} for one in history]
        client.chat.completions.create(
            model="officeai", messages=[*told, {"role": "user", "content": "second"}]
        )

    assert proxy.path_of(session) == [
        ("user", "first"),
        ("assistant", "echo: first"),
        ("user", "second"),
        ("assistant", "echo: second"),
    ]
