"""What spreadsheets do to text, and how to keep them from doing it; text in, text out.

A spreadsheet runs a cell that begins like a formula, also in full-width forms, and after spaces,
quotes and characters that nobody sees (OWASP, "CSV Injection"; Symfony's CVE-2021-41270). An
apostrophe in front makes it text.
"""

import re

COLUMNS = (
    "session_id",
    "title",
    "user_identifier",
    "message_id",
    "parent_id",
    "role",
    "content",
    "model_name",
    "token_count",
    "timestamp",
    "metadata",
)
"""The columns of every table of messages, a row a message."""

# Control characters, spaces of every width, marks that nobody sees, and what turns text around.
_UNSEEN = (
    "\x01-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_BEFORE = f"{_UNSEEN}\"'`\u2018\u2019\u201c\u201d\uff02\uff07"
_BEGIN = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
_FORMULA = re.compile(f"[{_BEFORE}]*[{re.escape(_BEGIN)}]")
_FIRST_BYTES = frozenset(
    character.encode()[:1] for character in (*map(chr, range(0x21)), *_BEFORE, *_BEGIN)
)


def defused(text: str) -> str:
    """*text* with an apostrophe in front if a spreadsheet would run it."""
    return f"'{text}" if _FORMULA.match(text) else text


def defused_utf8(text: bytes) -> bytes:
    """The same for a text in UTF-8, which is decoded only if it may begin like a formula."""
    return defused(text.decode()).encode() if text[:1] in _FIRST_BYTES else text
