"""A row a message as an Excel workbook, written front to back (ECMA-376, SpreadsheetML).

Text stands in the cells themselves, so that no table of strings has to be kept, and every text is
a text to Excel: nothing is ever a formula. A sheet that is full is followed by the next one. Text
beyond what a cell holds is cut, and the cell says so.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from typing_extensions import override

from officeai_proxy.formats.writing.blocks import picture
from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Encoder,
    Line,
    Passage,
    metadata_of,
)
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS
from officeai_proxy.formats.writing.zip_stream import ZipStream

MAX_ROWS = 1_048_576
"""Rows of a sheet, the header counted (Microsoft, "Excel specifications and limits")."""

MAX_CELL = 32_767
"""Characters of a cell, as UTF-16 counts them (same source)."""

# Excel reads no archive whose files may be larger than 4 GB.
_MAX_SHEET_BYTES = 2 * 1024**3
_EXACT = 2**53
"""Spreadsheets calculate in floating point: larger integers would come out changed."""

_MOMENT = datetime(1980, 1, 1, tzinfo=UTC)

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_WIDTHS = (18, 28, 16, 12, 12, 11, 90, 16, 12, 24, 40)

_SHEET_START = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    "</sheetView></sheetViews><cols>"
    + "".join(
        f'<col min="{place}" max="{place}" width="{width}" customWidth="1"/>'
        for place, width in enumerate(_WIDTHS, 1)
    )
    + "</cols><sheetData>"
)
_SHEET_END = "</sheetData></worksheet>"

_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/>'
    '</font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill>'
    '<patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf applyAlignment="1"><alignment vertical="top"/></xf>'
    '<xf fontId="1" applyFont="1"/></cellXfs><cellStyles count="1">'
    '<cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)

_RELATIONS = (
    f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)


class XlsxEncoder(Encoder):
    """A workbook with as many sheets as it takes."""

    def __init__(self, *, max_rows: int = MAX_ROWS) -> None:
        """Begin a new sheet after *max_rows* rows."""
        self._zip = ZipStream()
        self._max_rows = max_rows
        self._sheets = 0
        self._rows = 0
        self._bytes = 0

    @override
    def start(self) -> bytes:
        return self._begin_sheet()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        pieces: list[bytes] = []
        rows: list[str] = []
        for passage in passages:
            first = _first_cells(passage.conversation)
            for line in passage.lines:
                if self._rows >= self._max_rows or self._bytes > _MAX_SHEET_BYTES:
                    pieces += [self._added(rows), self._end_sheet(), self._begin_sheet()]
                    rows = []
                rows.append(f"<row>{first}{_other_cells(line)}</row>")
                self._rows += 1
        return b"".join([*pieces, self._added(rows)])

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield self._end_sheet()
        for name, text in self._parts():
            yield self._zip.whole(name, text.encode(), _MOMENT)
        yield from self._zip.finish()

    @override
    def close(self) -> None:
        self._zip.close()

    def _begin_sheet(self) -> bytes:
        self._sheets += 1
        self._rows, self._bytes = 1, 0
        name = f"xl/worksheets/sheet{self._sheets}.xml"
        header = "".join([f'<c s="1" t="inlineStr"><is><t>{name}</t></is></c>' for name in COLUMNS])
        start = f"{_SHEET_START}<row>{header}</row>"
        return self._zip.begin(name, _MOMENT, is_zip64=False) + self._zip.add(start.encode())

    def _added(self, rows: Sequence[str]) -> bytes:
        data = "".join(rows).encode()
        self._bytes += len(data)
        return self._zip.add(data)

    def _end_sheet(self) -> bytes:
        return self._zip.add(_SHEET_END.encode()) + self._zip.end()

    def _parts(self) -> Iterator[tuple[str, str]]:
        """The files around the sheets."""
        numbers = range(1, self._sheets + 1)
        sheets = "".join(
            f'<sheet name="Messages {n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers
        )
        links = "".join(
            f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" '
            f'Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" '
            f'ContentType="{_TYPE}.worksheet+xml"/>'
            for n in numbers
        )
        yield (
            "xl/workbook.xml",
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets>'
            "</workbook>",
        )
        yield (
            "xl/_rels/workbook.xml.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{links}<Relationship '
            f'Id="rIdStyles" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        )
        yield "xl/styles.xml", _STYLES
        yield "_rels/.rels", _RELATIONS
        yield (
            "[Content_Types].xml",
            f'{_XML}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{types}'
            "</Types>",
        )


def _first_cells(conversation: ConversationHead) -> str:
    cells = (conversation.session_id, conversation.title or "", conversation.user_identifier)
    return "".join([_text(cell) for cell in cells])


def _other_cells(line: Line) -> str:
    return (
        f"{_number(line.id)}{_number(line.parent_id)}{_text(line.role)}{_text(line.content)}"
        f"{_text(line.model_name or '')}{_number(line.token_count)}{_text(line.timestamp)}"
        f"{_text(metadata_of(line))}"
    )


def _number(value: int | None) -> str:
    if value is None:
        return "<c/>"
    return f"<c><v>{value}</v></c>" if abs(value) <= _EXACT else _text(str(value))


def _text(text: str) -> str:
    if not text:
        return "<c/>"
    shown = escape(_readable(_fitting(text)))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'


def _fitting(text: str) -> str:
    """*text*, cut and marked if no cell can hold it."""
    # No character has more than two units in UTF-16.
    if 2 * len(text) <= MAX_CELL or _units(text) <= MAX_CELL:
        return text
    mark = f" … [cut: the whole has {len(text)} characters]"
    room = 2 * (MAX_CELL - len(mark))
    return text.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + mark


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _readable(text: str) -> str:
    """*text* as XML can hold it, and as Excel reads it back (ECMA-376, 22.9.2.19, ST_Xstring)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "_x" in text:
        text = _ESCAPE.sub("_x005F_", text)
    return _FORBIDDEN.sub(picture, text)
