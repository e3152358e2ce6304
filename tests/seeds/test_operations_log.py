"""002: the three commands with which exports were tried, on a conversation longer than a page."""

import csv
import json
from pathlib import Path

import pytest
from tests.proxies import RunningProxy
from tests.seeds.examples import begin, run_shell, set_key_once

SESSION = "4b8892e1-6297-4d10-9085-b569beec34b8"

SAID = tuple({"role": "user", "content": f"第 {n} 条"} for n in range(1001))


@pytest.fixture(scope="module")
def long(proxy: RunningProxy) -> RunningProxy:
    """A program with 1,001 messages in the conversation of the commands."""
    begin(proxy, SESSION, *SAID)
    return proxy


def table_of(file: Path) -> list[str]:
    """What was said in the conversation, as a table that Excel opens has it."""
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    with file.open(encoding="utf-8-sig", newline="") as text:
        return [row["content"] for row in csv.DictReader(text) if row["session_id"] == SESSION]


@pytest.mark.parametrize("name", ["export-all.sh", "export-table.sh", "export-json.sh"])
def test_without_a_key_nothing_is_exported(long: RunningProxy, name: str, tmp_path: Path) -> None:
    """What is saved then is an error, and nothing that was said."""
    run_shell(f"002/{name}", long, tmp_path)

    [saved] = [file for file in tmp_path.iterdir() if file.suffix in (".csv", ".json")]
    assert json.loads(saved.read_text("utf-8"))["error"]["code"] == "invalid_api_key"


def test_everything_as_a_table(long: RunningProxy, tmp_path: Path) -> None:
    """Every message of the long conversation is in it, once and in order."""
    set_key_once(long, tmp_path)

    run_shell("002/export-all.sh", long, tmp_path)

    assert table_of(tmp_path / "output.csv") == [one["content"] for one in SAID]


def test_one_conversation_as_a_table(long: RunningProxy, tmp_path: Path) -> None:
    """So it is when that conversation alone is exported."""
    set_key_once(long, tmp_path)

    run_shell("002/export-table.sh", long, tmp_path)

    assert table_of(tmp_path / "chat_history.csv") == [one["content"] for one in SAID]


def test_one_conversation_as_json(long: RunningProxy, tmp_path: Path) -> None:
    """The JSON is one value that ends with the word that it is whole."""
    set_key_once(long, tmp_path)

    run_shell("002/export-json.sh", long, tmp_path)

    saved = json.loads((tmp_path / "chat_history.json").read_text("utf-8"))
    [kept] = saved["conversations"]
    assert [one["content"] for one in kept["messages"]] == [one["content"] for one in SAID]
    assert list(saved)[-1] == "complete"
    assert saved["complete"] is True
