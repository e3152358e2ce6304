"""Any text in, text that every database and every file can hold out; no other character changes."""

import re
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """*text*, as long as before, with NUL shown as ␀ (U+2400) and lone surrogates as U+FFFD.

    PostgreSQL's TEXT can hold neither, and UTF-8 has no form for the second.
    """
    if text.isascii():
        return text.replace("\0", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = without_halves(text)
    return text.replace("\0", "\u2400")


def clean_or_none(value: object) -> str | None:
    """The clean text that *value* is; None where it is none, or empty."""
    return clean_text(value) if value and isinstance(value, str) else None


def without_halves(text: str) -> str:
    """*text*, as long as before, with lone surrogates as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def joined(pieces: Iterable[str]) -> str:
    """*pieces* as one text, with each surrogate pair as the one character that it means.

    Some servers cut a stream between the halves of a character.
    """
    text = "".join(pieces)
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def with_clean_names(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """An object of *pairs* of names and values, without lone surrogates in the names.

    Nobody gives a field such a name on purpose, and what writes JSON would fail at it.
    """
    return {without_halves(name): value for name, value in pairs}
