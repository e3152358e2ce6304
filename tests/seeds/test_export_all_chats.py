"""000: how to export what was said, and every call, with PowerShell, curl and a browser."""

import csv
import json
import zipfile
from pathlib import Path

import pytest
from tests.proxies import RunningProxy
from tests.seeds.examples import begin, run_shell, set_key_once
from tests.seeds.powershell import Runner, by_powershell_or_an_equivalent

SAID = ({"role": "user", "content": "去哪儿？"}, {"role": "assistant", "content": "Rome"})

COLUMNS = [
    *("time", "api", "service_name", "service_type", "method", "status_code"),
    *("params_json", "result_json"),
]

powershell = pytest.mark.parametrize(
    "runs",
    [by_powershell_or_an_equivalent],
    ids=[by_powershell_or_an_equivalent.__name__],
)


@pytest.fixture
def called(proxy: RunningProxy) -> str:
    """The id of a call that is the newest one in the log."""
    with proxy.client() as client:
        body = {"model": "officeai", "messages": [{"role": "user", "content": "hi"}]}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
    return answer.headers["x-exchange-id"]


def test_without_a_key_a_script_saves_a_refusal(proxy: RunningProxy, tmp_path: Path) -> None:
    """What is saved then is no call: it is an error that says what is missing."""
    run_shell("000/history-curl.sh", proxy, tmp_path)

    saved = json.loads((tmp_path / "history.json").read_text("utf-8"))
    assert list(saved) == ["error"]
    assert saved["error"]["code"] == "invalid_api_key"


def test_curl_saves_the_call_log(proxy: RunningProxy, called: str, tmp_path: Path) -> None:
    """The line for the curl of Windows works as it is once curl knows the key."""
    set_key_once(proxy, tmp_path)

    run_shell("000/history-curl.sh", proxy, tmp_path)

    saved = json.loads((tmp_path / "history.json").read_text("utf-8"))
    assert saved["history"][0]["exchange_id"] == called


@powershell
def test_powershell_saves_the_call_log(
    runs: Runner, proxy: RunningProxy, called: str, tmp_path: Path
) -> None:
    """The line for PowerShell saves the whole answer as JSON."""
    runs("000/history-json.ps1", proxy, tmp_path)

    saved = json.loads((tmp_path / "history.json").read_text("utf-8-sig"))
    assert saved["history"][0]["exchange_id"] == called


@powershell
def test_powershell_makes_a_table(
    runs: Runner, proxy: RunningProxy, called: str, tmp_path: Path
) -> None:
    """The script finds each of its eight columns in every call, and nothing is cut."""
    runs("000/history-table.ps1", proxy, tmp_path)

    with (tmp_path / "history.csv").open(encoding="utf-8-sig", newline="") as text:
        table = csv.DictReader(text)
        rows = list(table)
    assert table.fieldnames == COLUMNS
    newest = rows[0]
    assert (newest["api"], newest["method"]) == ("/v1/chat/completions", "POST")
    assert (newest["service_type"], newest["status_code"]) == ("chat", "200")
    assert newest["service_name"].startswith("127.0.0.1")
    assert json.loads(newest["params_json"])["exchange_id"] == called
    assert json.loads(newest["result_json"]) == {"status_code": 200}
    assert all(row["time"] and row["api"] for row in rows)


def test_the_routes_that_were_proposed(proxy: RunningProxy, tmp_path: Path) -> None:
    """One session, all sessions and an archive of all come under the proposed addresses."""
    set_key_once(proxy, tmp_path)
    begin(proxy, "session_abc", *SAID)

    run_shell("000/sessions.sh", proxy, tmp_path)

    one = json.loads((tmp_path / "one.json").read_text("utf-8"))
    assert [message["content"] for message in one["messages"]] == ["去哪儿？", "Rome"]
    listed = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert "session_abc" in [item["session_id"] for item in listed["data"]]
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        files = [archive.read(file["name"]).decode() for file in manifest["files"]]
    assert manifest["complete"] is True
    assert manifest["conversations"] == len(files) == listed["total"]
    assert [file for file in files if "session_abc" in file and "去哪儿？" in file]
