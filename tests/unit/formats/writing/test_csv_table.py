"""CSV: what a spreadsheet and Python's reader get, and what a spreadsheet never runs."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.passages import FORMULAS, NASTY, OPTIONS, line, talk, written

from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.formats.writing.passages import Options, Passage
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS, defused, defused_utf8

UNSAFE = Options(exported_at=OPTIONS.exported_at, csv_safe=False)

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_column_holds_a_formula(formula: str):
    """In a title, a session, a user, a message or a model: it is text, and still readable."""
    passage = talk(formula, title=formula, session_id=formula, user_identifier=formula)
    passage = Passage(passage.conversation, [passage.lines[0]._replace(model_name=formula)])

    [_, row] = rows(written("csv", [passage]))

    cells = dict(zip(COLUMNS, row, strict=True))
    for column in ("session_id", "title", "user_identifier", "content", "model_name"):
        assert cells[column] == f"'{formula}"


@pytest.mark.parametrize("text", ["plain", "1-1", "a=b", "“quoted”", "", "?", "(=1)"])
def test_ordinary_text_stays_as_it_is(text: str):
    """Only what begins like a formula is changed."""
    assert defused(text) == text


@given(st.text(st.sampled_from("=+-@\t\r\n\x0b\x7f “”'＝－\u200b\u180e\ufe0fa中é")) | STORABLE)
def test_text_in_utf8_is_defused_alike(text: str):
    """Whatever it begins with, the bytes are those of the text."""
    assert defused_utf8(text.encode()) == defused(text).encode()


@pytest.mark.parametrize("options", [OPTIONS, UNSAFE])
@pytest.mark.parametrize("text", [*FORMULAS, *NASTY])
def test_contents_may_come_as_utf8(text: str, options: Options):
    """The file is the same, and an archive of tables takes them so as well."""
    plain = talk(text, "plain")
    encoded = [line._replace(content=line.content.encode()) for line in plain.lines]  # type: ignore[arg-type]
    archive = Options(exported_at=OPTIONS.exported_at, inner="csv")

    as_utf8 = written("csv", [Passage(plain.conversation, encoded)], options=options)

    assert as_utf8 == written("csv", [plain], options=options)
    assert FORMATS["zip"].make(archive).takes_utf8


@given(STORABLE, STORABLE, STORABLE, STORABLE)
def test_what_was_said_comes_back(content: str, title: str, model: str, session: str):
    """Without the safety every cell is read back as it was stored."""
    passage = talk(content, title=title, session_id=session)
    passage = Passage(passage.conversation, [passage.lines[0]._replace(model_name=model)])

    [header, row] = rows(written("csv", [passage], options=UNSAFE))

    assert header == list(COLUMNS)
    cells = dict(zip(COLUMNS, row, strict=True))
    assert cells["content"] == content
    assert (cells["title"], cells["model_name"]) == (title, model)
    assert cells["session_id"] == session


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_is_one_cell(text: str):
    """Quotes, line breaks and control characters do not end a cell."""
    [_, row] = rows(written("csv", [talk(text)], options=UNSAFE))

    assert row[COLUMNS.index("content")] == text


def test_lines_end_as_rfc_4180_says():
    """With CR and LF; absent numbers and metadata are empty cells."""
    data = written("csv", [talk("a")])

    assert data.startswith(b"\xef\xbb\xbfsession_id,")
    assert data.endswith(b's1,Conversation 1,alice,1,,user,"a",,,2026-01-31T12:00:01Z,\r\n')
    assert data.count(b"\n") == data.count(b"\r\n") == 2


def test_metadata_are_json():
    """With the quotes of JSON doubled, as CSV has them."""
    told = line({"role": "user", "content": "x"}, 1, metadata='{"a":"b"}', token_count=3)

    [_, row] = rows(written("csv", [Passage(talk().conversation, [told])]))

    assert row[-1] == '{"a":"b"}'
    assert row[COLUMNS.index("token_count")] == "3"
