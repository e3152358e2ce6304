"""A row a message as CSV (RFC 4180), in UTF-8 with a byte order mark, because Excel needs one.

Rows are put together as text: that is several times faster than a writer that looks at each cell,
and the cells are known. The content is always in quotes, other cells where they have to be.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from typing_extensions import override

from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Encoder,
    Passage,
    metadata_of,
)
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS, defused

_NEEDS_QUOTES = re.compile('[",\r\n]|^ | $')


class CsvEncoder(Encoder):
    """One table for everything."""

    def __init__(self, *, csv_safe: bool) -> None:
        """With *csv_safe* no cell is run as a formula; without it all cells are as stored."""
        self._made_safe: Callable[[str], str] = defused if csv_safe else str
        self._names: dict[str, str] = {}

    @override
    def start(self) -> bytes:
        return ("\ufeff" + ",".join(COLUMNS) + "\r\n").encode()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        # A role and a model are the same in many rows, and quoted once for all of them.
        self._names = {"": ""}
        return "".join([self._rows(passage) for passage in passages]).encode()

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield from ()

    def _rows(self, passage: Passage) -> str:
        first = self._first_cells(passage.conversation)
        made_safe, name = self._made_safe, self._name
        rows: list[str] = []
        for line in passage.lines:
            content = made_safe(line.content)
            if '"' in content:
                content = content.replace('"', '""')
            rows.append(
                f"{first}{line.id},{_number(line.parent_id)},{name(line.role)},"
                f'"{content}",{name(line.model_name or "")},{_number(line.token_count)},'
                f"{line.timestamp},{_quoted(metadata_of(line))}\r\n"
            )
        return "".join(rows)

    def _first_cells(self, conversation: ConversationHead) -> str:
        cells = (conversation.session_id, conversation.title or "", conversation.user_identifier)
        return "".join([f"{_cell(self._made_safe(cell))}," for cell in cells])

    def _name(self, text: str) -> str:
        cell = self._names.get(text)
        if cell is None:
            cell = self._names[text] = _cell(self._made_safe(text))
        return cell


def _number(value: int | None) -> int | str:
    return "" if value is None else value


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def _cell(text: str) -> str:
    """*text* in quotes if it needs them."""
    return _quoted(text) if _NEEDS_QUOTES.search(text) else text
