"""The lines for PowerShell in, the file that they save out.

PowerShell runs them where it is installed. Elsewhere an equivalent does, which knows just what
these lines are made of: ask an address, take a property, make a table, save it. It reads all of
that from the lines, so that both run the same file.
"""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.proxies import RunningProxy
from tests.seeds.examples import example, run, written

from officeai_proxy.model import Json, JsonObject

SET_KEY_ONCE = (
    "$PSDefaultParameterValues['Invoke-RestMethod:Headers'] = "
    '@{ Authorization = "Bearer $env:OFFICEAI_KEY" }'
)

Runner = Callable[[str, RunningProxy, Path], None]


def by_powershell(name: str, proxy: RunningProxy, folder: Path) -> None:
    """Run the file as it is, with the key set once as docs/numbers.md says."""
    file = written(name, proxy, folder)
    command = f"$ErrorActionPreference = 'Stop'; {SET_KEY_ONCE}; . ./{file.name}"
    run(["pwsh", "-NoProfile", "-Command", command], folder, OFFICEAI_KEY=proxy.key)


def by_an_equivalent(name: str, proxy: RunningProxy, folder: Path) -> None:
    """Do what the lines of the file say."""
    lines = example(name, proxy)
    answer = httpx.get(
        _only(r"Invoke-RestMethod (\S+?)\)?(?:\.\w+)?\s", lines),
        headers=proxy.headers(),
        timeout=60,
        trust_env=False,
    )
    data = json.loads(answer.raise_for_status().text, object_pairs_hook=_object)
    file = folder / _only(r"-(?:File)?Path \.\\(\S+)", lines)
    if "Export-Csv" not in lines:
        file.write_text(_as_json(data), "utf-8")
        return
    columns = re.findall(r"^ +(\w+) = (.+)$", lines, re.MULTILINE)
    with file.open("w", encoding="utf-8", newline="") as text:
        table = csv.writer(text, quoting=csv.QUOTE_ALL)
        table.writerow(column for column, _ in columns)
        for one in data[_only(r"\)\.(\w+)\n", lines)]:
            table.writerow(_value(expression, one) for _, expression in columns)


by_powershell_or_an_equivalent: Runner = by_powershell if shutil.which("pwsh") else by_an_equivalent


def _only(pattern: str, lines: str) -> str:
    [found] = re.findall(pattern, lines)
    return str(found)


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    """An object as PowerShell has it: its names differ by more than case, and none is empty."""
    names = [name.casefold() for name, _ in pairs]
    assert all(names)
    assert len(set(names)) == len(names), names
    return dict(pairs)


def _value(expression: str, one: JsonObject) -> object:
    """`$_.a.b` of *one*, or that as JSON."""
    path = _only(r"\$_((?:\.\w+)*)", expression)
    value: Json = one
    for name in path.split(".")[1:]:
        assert isinstance(value, dict)
        value = value[name]
    return _as_json(value) if "ConvertTo-Json" in expression else value


def _as_json(value: Json) -> str:
    """`ConvertTo-Json -Depth 10`, which spoils whatever lies deeper."""
    assert _depth(value) <= 10
    return json.dumps(value, ensure_ascii=False, indent=2)


def _depth(value: Json) -> int:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, children), default=0)  # type: ignore[arg-type]  # a dict's values
