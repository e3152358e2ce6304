"""The commands of the first export instructions, as people have them, with a key set once."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.proxies import RunningProxy, clean_environment

LINES = r"""
Invoke-RestMethod http://localhost:8000/history | ConvertTo-Json -Depth 10 | Out-File -FilePath .\history.json -Encoding UTF8
$data = (Invoke-RestMethod http://localhost:8000/history).history
$flat = $data | ForEach-Object {
  [PSCustomObject]@{
    time = $_.time
    api = $_.api
    service_name = $_.service_name
    service_type = $_.service_type
    method = $_.method
    status_code = $_.result.status_code
    params_json = ($_ | ConvertTo-Json -Depth 10)
    result_json = ($_.result | ConvertTo-Json -Depth 10)
  }
}
$flat | Export-Csv -Path .\history.csv -NoTypeInformation -Encoding UTF8
"""  # noqa: E501 - as it was published

KEY_ONCE = (
    "$PSDefaultParameterValues['Invoke-RestMethod:Headers'] = "
    '@{ Authorization = "Bearer $env:PROXY_KEY" }\n'
)


@pytest.fixture
def called(shared: RunningProxy) -> RunningProxy:
    """A proxy with one call in its log."""
    with shared.client("s-old-scripts", "ann") as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    return shared


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def test_curl_with_the_key_in_its_own_file(called: RunningProxy, tmp_path: Path) -> None:
    """`curl …/history -o history.json`, word for word, with a line in `.curlrc`."""
    curl = needs("curl")
    (tmp_path / ".curlrc").write_text(f'header = "Authorization: Bearer {called.key}"\n')
    words = [curl, "-sS", f"{called.root}/history", "-o", "history.json"]

    subprocess.run(
        words, cwd=tmp_path, env=clean_environment(CURL_HOME=str(tmp_path)), check=True, timeout=30
    )

    (line,) = json.loads((tmp_path / "history.json").read_text("utf-8"))["history"][:1]
    assert (line["session"], line["result"]) == ("s-old-scripts", {"status_code": 200})


def test_powershell_with_the_key_as_a_default(called: RunningProxy, tmp_path: Path) -> None:
    """The published lines, unchanged but for the port, write the JSON file and the table."""
    pwsh = needs("pwsh")
    script = KEY_ONCE + LINES.replace("http://localhost:8000", called.root)

    subprocess.run(
        [pwsh, "-NoProfile", "-Command", script],
        cwd=tmp_path,
        env=clean_environment(PROXY_KEY=called.key, HOME=str(tmp_path)),
        check=True,
        timeout=60,
    )

    text = (tmp_path / "history.json").read_text("utf-8-sig")
    assert json.loads(text)["history"][0]["session"] == "s-old-scripts"
    with (tmp_path / "history.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["status_code"], row["service_type"], row["method"]) == ("200", "chat", "POST")
    assert json.loads(row["result_json"]) == {"status_code": 200}
