"""A row a message as CSV (RFC 4180), in UTF-8 with a byte order mark, because Excel needs one.

Rows are put together as text: that is several times faster than a writer that looks at each cell,
and the cells are known. The content is always in quotes, other cells where they have to be.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from typing_extensions import override

from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Encoder,
    Passage,
    iso_moment,
    metadata_text,
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
        return b"".join(chain.from_iterable(map(self._rows, passages)))

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield from ()

    def _rows(self, passage: Passage) -> Iterator[bytes]:
        first = self._first_cells(passage.conversation)
        made_safe, name = self._made_safe, self._name
        for row in passage.rows:
            _, number, parent, role, content, model, tokens, moment, metadata, _, *call = row
            content = made_safe(content)
            if '"' in content:
                content = content.replace('"', '""')
            # Many small texts take less time to encode than a large one, which needs new memory.
            yield (
                f'{first}{number},{"" if parent is None else parent},{name(role)},"{content}",'
                f"{name(model or '')},{'' if tokens is None else tokens},{iso_moment(moment)},"
                f"{_quoted(metadata_text(metadata, *call))}\r\n"
            ).encode()

    def _first_cells(self, conversation: ConversationHead) -> str:
        cells = (conversation.session_id, conversation.title or "", conversation.user_identifier)
        return "".join([f"{_cell(self._made_safe(cell))}," for cell in cells])

    def _name(self, text: str) -> str:
        cell = self._names.get(text)
        if cell is None:
            cell = self._names[text] = _cell(self._made_safe(text))
        return cell


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def _cell(text: str) -> str:
    """*text* in quotes if it needs them."""
    return _quoted(text) if _NEEDS_QUOTES.search(text) else text
