"""A conversation's title from the first thing its user says: text in, one short line out."""

import re
import unicodedata
from collections.abc import Iterable

from officeai_proxy.model import NewMessage, Role

MAX_LENGTH = 60
"""Characters of a title, the ellipsis counted."""

ELLIPSIS = "…"

_JOINER = "\u200d"
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

# Two letters of a country are one flag (UTS #51, 1.4.1); a region's stands in tags behind its own.
_LETTERS = re.compile("[\U0001f1e6-\U0001f1ff]+$")
_TAGS = re.compile("[\U000e0020-\U000e007f]")

# More than this is never needed to fill a title, and a message may have megabytes.
_ENOUGH = 4 * MAX_LENGTH


def title_of(text: str) -> str | None:
    """*text* as one line of at most 60 characters; None when it says nothing."""
    line = " ".join(_visible(text.lstrip()[:_ENOUGH]).split())
    if not line:
        return None
    if len(line) <= MAX_LENGTH and len(text.strip()) <= _ENOUGH:
        return line
    return line[: _place_to_cut(line)].rstrip() + ELLIPSIS


def title_in(messages: Iterable[NewMessage]) -> str | None:
    """The title that the first user message with any text gives."""
    titles = (title_of(one.content) for one in messages if one.role == Role.USER)
    return next(filter(None, titles), None)


def _visible(text: str) -> str:
    """*text* with a space for every control character and line separator."""
    if text.isprintable():
        return text
    hidden = ("Cc", "Zl", "Zp")
    return "".join(" " if unicodedata.category(char) in hidden else char for char in text)


def _place_to_cut(line: str) -> int:
    """Where *line* can end without taking an accent or half an emoji from its last character."""
    place = min(MAX_LENGTH - len(ELLIPSIS), len(line))
    while 0 < place < len(line) and _belongs_to_previous(line, place):
        place -= 1
    return place or MAX_LENGTH - len(ELLIPSIS)


def _belongs_to_previous(line: str, place: int) -> bool:
    char = line[place]
    is_mark = unicodedata.category(char).startswith("M") or char in _SKIN_TONES
    if is_mark or _TAGS.match(char) or _JOINER in (char, line[place - 1]):
        return True
    before = _LETTERS.search(line[:place]) if _LETTERS.match(char) else None
    return before is not None and len(before[0]) % 2 == 1
