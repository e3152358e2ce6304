"""Parquet: a table that pyarrow reads back, written in groups."""

import importlib
import io
from typing import Any

import pyarrow.parquet
import pytest
from tests.passages import NASTY, everything, talk, written

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.formats.writing import parquet
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS


def table(data: bytes) -> Any:
    return pyarrow.parquet.read_table(io.BytesIO(data))


def test_without_pyarrow_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    """The message names the extra that brings it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(UnprocessableInput, match=r"officeai-proxy\[parquet\]"):
        parquet.ParquetEncoder()


def test_everything_comes_back():
    """Texts as they were stored, absent values absent, numbers as numbers."""
    read = table(written("parquet", [everything(), talk(*NASTY)]))

    assert read.column_names == list(COLUMNS)
    assert read.column("content").to_pylist()[9:] == list(NASTY)
    assert read.column("parent_id").to_pylist()[:3] == [None, 10, 11]
    assert read.column("token_count").to_pylist()[4] == 7
    assert read.column("metadata").to_pylist()[4] == '{"rated":5}'


def test_rows_are_written_in_groups(monkeypatch: pytest.MonkeyPatch):
    """What waits to be written is bounded by its size."""
    texts = ["a" * 600, "b" * 600, "c" * 600, "d" * 600, "e"]
    passages = [talk(text) for text in texts]
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1000)

    file = pyarrow.parquet.ParquetFile(io.BytesIO(written("parquet", passages, at_once=1)))

    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 1]
    assert file.read().column("content").to_pylist() == texts
