"""Excel workbooks: other programs open them, every cell is text, and limits are kept."""

import io
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest
from tests.passages import FORMULAS, NASTY, everything, line, talk, written

from officeai_proxy.formats.writing.passages import Counts, Passage
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS
from officeai_proxy.formats.writing.xlsx import MAX_CELL, XlsxEncoder

CONTENT = COLUMNS.index("content")


def rows(data: bytes, sheet: int = 0) -> list[tuple[object, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return list(book.worksheets[sheet].iter_rows(values_only=True))


@pytest.mark.parametrize("formula", FORMULAS)
def test_nothing_is_a_formula(formula: str):
    """What looks like one is text, unchanged."""
    data = written("xlsx", [talk(formula, title=formula)])

    cells = list(openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows())[1]
    assert {cells[1].data_type, cells[CONTENT].data_type} <= {"s", "inlineStr"}
    assert cells[CONTENT].value == formula.replace("\r", "\n")


def test_everything_is_in_its_column():
    """Numbers are numbers, empty is empty."""
    header, *lines = rows(written("xlsx", [everything()]))

    assert header == COLUMNS
    assert lines[4] == (
        "everything",
        '标题 <b>"all" of it</b> #1',
        "alice",
        14,
        13,
        "assistant",
        "Warm. ☀️",
        "gpt-4o",
        7,
        "2026-01-31T12:00:14Z",
        '{"rated":5}',
    )
    assert lines[0][4] is None


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_breaks_nothing(text: str):
    """The file is XML whatever was said; what XML cannot hold is shown as a picture of it."""
    _, row = rows(written("xlsx", [talk(f"[{text}]")]))

    shown = str(row[CONTENT])
    assert shown.startswith(f"[{text[:1]}" if text.isprintable() else "[")
    assert not set(shown) & {"\x01", "\ufffe"}
    assert len(shown.encode("utf-16-le")) // 2 <= MAX_CELL


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("x" * MAX_CELL, False),
        ("x" * (MAX_CELL + 1), True),
        ("😀" * 16_383, False),
        ("😀" * 16_384, True),
    ],
)
def test_a_cell_that_is_cut_says_so(text: str, *, is_cut: bool):
    """Excel counts in UTF-16, and no character is cut in two."""
    _, row = rows(written("xlsx", [talk(text)]))

    shown = str(row[CONTENT])
    assert (shown != text) == is_cut
    if is_cut:
        assert shown.endswith(f" … [cut: the whole has {len(text)} characters]")
        assert set(shown.partition(" ")[0]) == {text[0]}
    assert len(shown.encode("utf-16-le")) // 2 <= MAX_CELL


def test_a_full_sheet_is_followed_by_the_next():
    """Each with its header; no row is lost."""
    encoder = XlsxEncoder(max_rows=4)
    pieces = [encoder.start(), encoder.encode([talk(*"abcde"), talk(*"fg")])]
    data = b"".join([*pieces, *encoder.finish(Counts(2, 7))])
    encoder.close()

    sheets = [rows(data, number) for number in range(3)]
    assert [len(sheet) for sheet in sheets] == [4, 4, 2]
    assert all(sheet[0] == COLUMNS for sheet in sheets)
    assert [row[CONTENT] for sheet in sheets for row in sheet[1:]] == list("abcdefg")


def test_a_number_too_large_for_excel_stays_exact():
    """It is text then."""
    huge = line({"role": "user", "content": "x"}, 2**53 + 1)

    _, row = rows(written("xlsx", [Passage(talk().conversation, [huge])]))

    assert row[3] == str(2**53 + 1)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_libreoffice_opens_it_and_runs_nothing(tmp_path: Path, suffix: str):
    """Converted by LibreOffice every formula of the corpus is still the text that it was."""
    file = tmp_path / f"in.{suffix}"
    file.write_bytes(written(suffix, [talk(*FORMULAS)]))

    # Two that share a profile are one: the second hands its file to the first, or fails.
    own = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    subprocess.run(
        ["soffice", own, "--headless", "--convert-to", "ods", "--outdir", tmp_path, file],
        check=True,
    )

    assert b"table:formula" not in (tmp_path / "in.ods").read_bytes()
