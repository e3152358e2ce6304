"""A row a message as CSV (RFC 4180), in UTF-8 with a byte order mark, because Excel needs one.

Rows are put together as text: that is several times faster than a writer that looks at each cell,
and the cells are known. The content is always in quotes, other cells where they have to be.
"""

import re
from collections.abc import Callable, Sequence

from typing_extensions import override

from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Encoder,
    Passage,
    metadata_text,
)
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS, defused, defused_utf8

_NEEDS_QUOTES = re.compile('[",\r\n]|^ | $')


class CsvEncoder(Encoder):
    """One table for everything."""

    takes_utf8 = True

    def __init__(self, *, csv_safe: bool) -> None:
        """With *csv_safe* no cell is run as a formula; without it all cells are as stored."""
        self._made_safe: Callable[[str], str] = defused if csv_safe else str
        self._safe_content: Callable[[bytes], bytes] = defused_utf8 if csv_safe else bytes

    @override
    def start(self) -> bytes:
        return ("\ufeff" + ",".join(COLUMNS) + "\r\n").encode()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        names = _Cells(self._made_safe)
        pieces: list[bytes] = []
        for passage in passages:
            self._add_rows(passage, names, pieces)
        return b"".join(pieces)

    def _add_rows(self, passage: Passage, names: "_Cells", pieces: list[bytes]) -> None:
        """The rows in pieces: what was said, and all that stands between one text and the next."""
        first = self._first_cells(passage.conversation)
        safe_content, add = self._safe_content, pieces.append
        between = ""
        for row in passage.rows:
            # Each by its name: it is quicker than to gather those of the call.
            _, number, parent, role, content, model, tokens, moment, metadata, _, call, end, why = (
                row
            )
            above = "" if parent is None else parent
            add(f'{between}{first}{number},{above},{names[role]},"'.encode())
            said = content if isinstance(content, bytes) else content.encode()
            add(safe_content(said).replace(b'"', b'""'))
            is_plain = metadata is None and call is None and end is None and why is None
            known = "" if is_plain else _quoted(metadata_text(metadata, call, end, why))
            spent = "" if tokens is None else tokens
            between = f'",{names[model]},{spent},{moment},{known}\r\n'
        add(between.encode())

    def _first_cells(self, conversation: ConversationHead) -> str:
        cells = (conversation.session_id, conversation.title or "", conversation.user_identifier)
        return "".join([f"{_cell(self._made_safe(cell))}," for cell in cells])


class _Cells(dict[str | None, str]):
    """Roles and models as cells: the same in many rows, and made once for all of them."""

    def __init__(self, made_safe: Callable[[str], str]) -> None:
        super().__init__({None: ""})
        self._made_safe = made_safe

    def __missing__(self, text: str) -> str:
        cell = self[text] = _cell(self._made_safe(text))
        return cell


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def _cell(text: str) -> str:
    """*text* in quotes if it needs them."""
    return _quoted(text) if _NEEDS_QUOTES.search(text) else text
