"""A message's text and what was found in it in, a short piece around the first find out."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LENGTH = 160
"""Code points of an excerpt, the ellipses not counted."""

BEFORE = 40
"""Code points that are shown before the first find."""

ELLIPSIS = "…"

_BREAK_WITHIN = 20
_HIDDEN = ("Cc", "Zl", "Zp")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text on one line; `highlights` are spans of code points in `text`."""

    text: str
    highlights: tuple[Span, ...]


def excerpt(content: str, highlights: Sequence[Span]) -> Excerpt:
    """The piece of *content* around the first of *highlights*, or its beginning without any."""
    first = highlights[0][0] if highlights else 0
    start = _start(content, first)
    end = _end(content, start)
    before = ELLIPSIS if start else ""
    after = ELLIPSIS if end < len(content) else ""
    shift = len(before) - start
    inside = (span for span in highlights if start <= span[0] < end)
    shown = tuple((begin + shift, min(stop, end) + shift) for begin, stop in inside)
    return Excerpt(before + _on_one_line(content[start:end]) + after, shown)


def _start(content: str, first: int) -> int:
    """Somewhat before *first*, behind a space if there is one near, never before an accent."""
    start = max(0, min(first - BEFORE, len(content) - LENGTH))
    if start == 0:
        return 0
    for place in range(start, min(first, start + _BREAK_WITHIN)):
        if content[place - 1].isspace() and not content[place].isspace():
            return place
    while start < first and _continues(content[start]):
        start += 1
    return start


def _end(content: str, start: int) -> int:
    end = min(len(content), start + LENGTH)
    while start < end < len(content) and _continues(content[end]):
        end -= 1
    return end


def _continues(char: str) -> bool:
    """Whether *char* belongs to the character before it."""
    return unicodedata.category(char).startswith("M") or char in "\u200d\ufe0f"


def _on_one_line(text: str) -> str:
    """*text* with a space for every control character and line separator, no longer, no shorter."""
    return "".join(" " if unicodedata.category(char) in _HIDDEN else char for char in text)
