"""docs/session-history.md is true: its examples run and print what it says."""

import re
import subprocess
import sys
from pathlib import Path

from tests.proxies import clean_environment
from tests.session_history.conftest import House

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "session-history.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of the page in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def run(program: str, folder: Path) -> str:
    """What *program* prints; it must succeed without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_example(tmp_path: Path) -> None:
    """The example on a database of its own runs and prints what stands below it."""
    [printed] = blocks("text")

    assert run(blocks("python")[0], tmp_path) == printed


def test_the_example_over_http(sqlite_house: House, tmp_path: Path) -> None:
    """With the address and the key of a running proxy the second example runs."""
    program = blocks("python")[1].replace("http://127.0.0.1:8000", sqlite_house.proxy.root)

    assert run(program.replace("sk-oai-your-key", sqlite_house.proxy.key), tmp_path) == "1\n"
