#!/usr/bin/env python3
"""The shape of the sources and their map in, what is wrong with them out; changes nothing.

What no linter looks at: no file over 400 lines, no function over 50, a docstring on every module,
and a line for every file of the package in docs/architecture.md. Exit code 1 when something is
wrong.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

SOURCES = Path("src")
PACKAGE = SOURCES / "officeai_proxy"
MAP = Path("docs/architecture.md")

_LISTED = re.compile(r"^- `([\w./]+)`: \S", re.MULTILINE)


def faults(root: Path) -> list[str]:
    """Everything that is wrong in the checkout at *root*, a line each."""
    found: list[str] = []
    for file in sorted((root / SOURCES).rglob("*.py")):
        found += _faults_of_file(file, file.relative_to(root))
    return found + list(_faults_of_map(root))


def files_of_package(package: Path) -> set[str]:
    """What the map has a line for: each file beside modules, and each other folder as a whole."""
    files = [
        file for file in package.rglob("*") if not file.is_dir() and "__pycache__" not in file.parts
    ]
    with_modules = {file.parent for file in files if file.suffix == ".py"}
    return {
        str(place) if file.parent in with_modules else f"{place.parent}/"
        for file in files
        for place in (file.relative_to(package),)
    }


def _faults_of_file(file: Path, name: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = len(text.splitlines())
    if lines > MAX_FILE_LINES:
        yield f"{name}: {lines} lines, at most {MAX_FILE_LINES}; a second noun may be in it"
    if ast.get_docstring(tree) is None:
        yield f"{name}: no docstring; say what comes in, what goes out, what it never does"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > MAX_FUNCTION_LINES:
                where = f"{name}:{node.lineno}: {node.name}"
                yield f"{where} has {size} lines, at most {MAX_FUNCTION_LINES}; name its steps"


def _faults_of_map(root: Path) -> Iterator[str]:
    listed = _LISTED.findall((root / MAP).read_text(encoding="utf-8"))
    there = files_of_package(root / PACKAGE)
    for name in sorted(there - set(listed)):
        yield f"{MAP}: {name} has no line"
    for name in sorted(set(listed) - there):
        yield f"{MAP}: {name} is listed and is not there"
    for name in sorted({name for name in listed if listed.count(name) > 1}):
        yield f"{MAP}: {name} is listed more than once"


def main() -> int:
    """Print what is wrong; the exit code."""
    found = faults(Path(__file__).resolve().parents[1])
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
