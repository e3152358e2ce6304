"""docs/from-the-seeds.md is true: every example is there, and what each row names exists."""

import re
from functools import cache
from pathlib import Path

import click
import pytest
from tests.seeds.examples import HERE

from officeai_proxy import cli, session_history
from officeai_proxy.app import create_app
from officeai_proxy.settings import load_settings

ROOT = HERE.parents[1]
TEXT = (ROOT / "docs" / "from-the-seeds.md").read_text("utf-8")
FIGURES = (ROOT / "docs" / "performance.md").read_text("utf-8")

UNDESCRIBED = frozenset({"GET /docs", "GET /ui"})
"""Routes that the API's description leaves out."""


def rows(head: str) -> list[list[str]]:
    """The cells of all tables whose first column is *head*."""
    tables = re.findall(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", TEXT, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


EXAMPLES = rows("Example")
PROMISES = rows("Promise")


def code(cell: str) -> list[str]:
    """What of *cell* is written as code."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def source(file: Path) -> str:
    """The text of a test file."""
    return file.read_text("utf-8")


@cache
def routes() -> frozenset[str]:
    """Every route of the program, such as `GET /history`."""
    paths = create_app(load_settings(_env_file=None)).routes.openapi()["paths"]
    described = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    return UNDESCRIBED | described


def command(words: list[str]) -> click.Command | None:
    """The command that *words* call."""
    found: click.Command | None = cli.root
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    return found


def is_there(name: str) -> bool:
    """Whether *name*, if it looks like a route, a command or a class of ours, is one."""
    if re.match(r"[A-Z]+ /", name):
        return name in routes()
    if name.startswith("officeai-proxy "):
        return command(name.split()[1:]) is not None
    return name in session_history.__all__ or not re.fullmatch(r"[A-Z][a-z]\w+", name)


def missing_tests(cell: str) -> list[str]:
    """The tests that *cell* names and nobody wrote."""
    names = [name.partition("::") for name in code(cell)]
    assert names
    return [
        f"{file}::{test}"
        for file, _, test in names
        if not re.search(rf"^ *(async )?def {test}\(", source(ROOT / file), re.MULTILINE)
    ]


def section(heading: str) -> str:
    """What stands under a heading of the page of figures, in lower case and on one line."""
    parts = re.split(r"^## (.+)\n", FIGURES, flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    return " ".join(named[heading.capitalize()].lower().split())


def test_a_row_that_is_wrong_would_be_seen() -> None:
    """Names that are almost right are told."""
    for name in ("GET /historie", "officeai-proxy exprot", "officeai-proxy db chekc", "Sessions"):
        assert not is_there(name), name
    assert missing_tests("`tests/seeds/test_page.py::test_that_nobody_wrote`")


def test_every_example_is_run() -> None:
    """The table of examples has every file of every document, and each is in its test's file."""
    files = {f"{file.parent.name}/{file.name}" for file in HERE.glob("00*/*")}

    assert sorted(name for row in EXAMPLES for name in code(row[0])) == sorted(files)
    for names, tests in EXAMPLES:
        assert not missing_tests(tests)
        [file] = {name.partition("::")[0] for name in code(tests)}
        for name in code(names):
            assert re.search(rf"{name[:3]}: |\b{name}\b", source(ROOT / file)), name


def test_every_document_has_its_rows() -> None:
    """Each of the five documents has a table of its own."""
    headings = re.findall(r"^## (\d{3}): .+\n\n\| Promise \|", TEXT, re.MULTILINE)

    assert headings == ["000", "001", "002", "003", "004"]


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0])
def test_what_keeps_a_promise_exists(row: list[str]) -> None:
    """Route, command or class, test and figure are there."""
    promise, kept_by, shown_by, figure = row

    assert promise
    assert code(kept_by)
    assert [name for name in code(kept_by) if not is_there(name)] == []
    assert missing_tests(shown_by) == []
    links = re.findall(r"\[([^\]]+)\]\(performance\.md#([\w-]+)\)", figure)
    assert links or figure == "–"
    for words, heading in links:
        assert words.lower() in section(heading)
