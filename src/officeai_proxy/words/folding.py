"""A text in, the text that is compared out: without case, accents and compatibility forms.

The order is Unicode's for caseless compatibility matching (The Unicode Standard, 3.13, D146), and
then the accents go. What belongs to a letter in its own script stays: vowel signs of India and of
South-East Asia, and the marks that tell カ from ガ.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

# Accents of Latin, Greek and Cyrillic, points of Hebrew, Arabic and Syriac, and the selectors that
# choose between two drawings of the same character.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u0711\u0730-\u074a\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
    "\U000e0100-\U000e01ef]+"
)
# Where accents can be, alone or as a part of a letter. Han, kana and Hangul are not among it, so
# that their texts are not taken apart and put together for nothing.
_MAY_BE_ACCENTED = re.compile(
    "[\u00c0-\u1fff\u20d0-\u20ff\u2c00-\u2dff\ua640-\ua7ff\ufb1d-\ufb4f\ufe00-\ufe2f"
    "\U00010380-\U00016fff\U0001d100-\U0001e9ff\U000e0100-\U000e01ef]"
)
# Characters that become one character each, whatever stands beside them: themselves, or what
# _NARROW says. Most texts have no others, and need none of Unicode's algorithms.
_UNSTEADY = re.compile(
    "[^\0-\x7f\u2013-\u2016\u2018-\u2022\u3000-\u3029\u3041-\u3096\u30a1-\u30fe"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e]+"
)
_WIDE = re.compile("[\u3000\uff01-\uff5e]+")
_NARROW = {0x3000: " ", **{wide: chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}}
# Parts of Hangul syllables: some melt into what stands before them. Alone they are laughter.
_JAMO = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\ud7b0-\ud7ff\uffa0-\uffdc]")
_HALF_WIDTH_MARKS = "\uff9e\uff9f"


def fold(text: str) -> str:
    """*text* as it is compared."""
    if text.isascii():
        return text.lower()
    if not _UNSTEADY.search(text):
        # They are few among others, and looking each of those up would take four times as long.
        return _WIDE.sub(lambda wide: wide[0].translate(_NARROW), text).lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if _MAY_BE_ACCENTED.search(folded):
        bare = _ACCENTS.sub("", unicodedata.normalize("NFD", folded))
        folded = unicodedata.normalize("NFC", bare)
    return folded


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a piece of a folded text begins, and which code points it came from.

    An even piece is as long as what it came from, code point for code point; another one came from
    the whole of it.
    """

    folded_start: int
    start: int
    end: int
    is_even: bool


@dataclass(frozen=True, slots=True)
class FoldedText:
    """A folded text that knows where it came from."""

    text: str
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, text: str) -> "FoldedText":
        """Fold *text*, and keep where everything came from."""
        if text.isascii():
            return cls(text.lower(), (Piece(0, 0, len(text), is_even=True),))
        folded: list[str] = []
        pieces: list[Piece] = []
        length = 0
        for start, end, is_even in _spans(text):
            part = fold(text[start:end])
            if part:
                pieces.append(Piece(length, start, end, is_even and len(part) == end - start))
                folded.append(part)
                length += len(part)
        return cls("".join(folded), tuple(pieces))

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that the span *start* to *end* came from."""
        first, last = self._piece(start), self._piece(end - 1)
        begin = first.start + start - first.folded_start if first.is_even else first.start
        stop = last.start + end - last.folded_start if last.is_even else last.end
        return begin, stop

    def _piece(self, place: int) -> Piece:
        return self.pieces[bisect_right(self.pieces, place, key=lambda one: one.folded_start) - 1]


def _spans(text: str) -> Iterator[tuple[int, int, bool]]:
    """Cut *text* where nothing melts together: long even spans, and single characters between."""
    done = 0
    for found in _UNSTEADY.finditer(text):
        # What is unsteady may melt into the character before it.
        start = max(done, found.start() - 1)
        if done < start:
            yield done, start, True
        done = start
        for place in range(start + 1, found.end()):
            if not _melts(text, done, place):
                yield done, place, False
                done = place
        yield done, found.end(), False
        done = found.end()
    if done < len(text):
        yield done, len(text), True


def _melts(text: str, begin: int, place: int) -> bool:
    """Whether the character at *place* belongs to what begins at *begin*."""
    char = text[place]
    if _JAMO.match(char):
        apart = fold(text[begin:place]) + fold(char)
        return apart != fold(text[begin : place + 1])
    is_mark = unicodedata.combining(char) or unicodedata.category(char).startswith("M")
    return bool(is_mark or char in _HALF_WIDTH_MARKS)
