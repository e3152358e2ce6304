"""The benchmarks run from beginning to end; what they measure is not judged here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import table
from benchmarks.contestants import find_nginx
from tests.proxies import clean_environment

ROOT = Path(__file__).resolve().parents[1]


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    """Figures are never written over a text that has no place for them."""
    document = tmp_path / "page.md"
    document.write_text("a page\n", encoding="utf-8")

    with pytest.raises(ValueError, match="needs the lines"):
        table.write(document, "figures")

    assert document.read_text("utf-8") == "a page\n"


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    """Writing twice keeps the text around the figures, and only the newer figures."""
    document = tmp_path / "page.md"
    document.write_text(f"before\n{table.BEGIN}\n{table.END}\nafter\n", encoding="utf-8")

    table.write(document, "old figures")
    table.write(document, "new figures")

    text = document.read_text("utf-8")
    assert text == f"before\n{table.BEGIN}\n\nnew figures\n{table.END}\nafter\n"


def test_the_page_has_a_place_for_the_figures() -> None:
    """`--write` finds both markers, once each, in docs/performance.md."""
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")

    assert text.count(table.BEGIN) == text.count(table.END) == 1
    assert text.index(table.BEGIN) < text.index(table.END)


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that was slow for one round was slow for both, and does not change the ratio."""
    figure = table.Figure(table.JSON_CALL, ours=[20.0, 200.0, 22.0], nginx=[10.0, 100.0, 10.0])

    assert figure.ratios == [2.0, 2.0, 2.2]
    assert figure.cells()[2:6] == ("10.0", "22.0", "2.00", "2.00 to 2.20")


@pytest.mark.timeout(300)
def test_a_quick_run_measures_every_row() -> None:
    """`--quick` ends well, and prints a figure of ours for each row of the table."""
    for program, found in (("nginx", find_nginx()), ("gcc", shutil.which("gcc"))):
        if found is None and os.environ.get("CI"):
            pytest.fail(f"{program} is not installed")
        if found is None:
            pytest.skip(f"{program} is not installed")

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--quick"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for row in table.ROWS:
        [line] = [line for line in lines if line.startswith(f"{row.title}  ")]
        assert any(character.isdigit() for character in line.removeprefix(row.title)), line
