"""A text of ASCII and of Chinese, Japanese or Korean in, its words and pairs out; or nothing.

Most texts hold nothing else but punctuation. They need none of Unicode's algorithms, and are cut
with few steps, each over the whole text. What comes out is what `words.folding` and `words.units`
give, which take several times as long; a text with any other character is left to those.
"""

import re
from array import array
from dataclasses import dataclass
from itertools import accumulate

from officeai_proxy.words.units import MAX_WORD, ascii_words, pairs, short_words, spaced_words

RUN = (
    "\u3005-\u3007\u3021-\u3029\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3"
)
"""Of `units.CJK` what folding leaves alone, whatever stands beside it; for a character class."""

MARK = (
    "\xa1-\xa9\xab-\xb1\xb6\xb7\xbb\xbf\xd7\u2010-\u2027\u2030-\u205e\u2190-\u23ff\u2500-\u2775"
    "\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff64"
)
"""Punctuation and symbols that fold into nothing but the same, and that melt into nothing."""

_RUNS = re.compile(f"([{RUN}]+)")
_OTHER = re.compile(f"[^\0-\x7f{MARK}]")

# What stands where a run was; a text that has it itself is left to the others.
_CUT = "\0"
_PAIR = array("H", "\0\0 ".encode("utf-16-le"))

_PAIR_LENGTH = 2
_STEP = _PAIR_LENGTH + 1
_LONG_RUN = 6
"""From so many characters in a run on average, all runs are cut at once."""


@dataclass(slots=True)
class SteadyTokens:
    """The words and pairs of a text in order, with spaces between, and its distinct runs."""

    said: str
    runs: str


def steady_tokens(text: str) -> SteadyTokens | None:
    """The words and pairs of *text*; None for a text that has to be folded."""
    if text.isascii():
        return SteadyTokens(ascii_words(text), "")
    if _CUT in text:
        return None
    parts = _RUNS.split(text)
    runs = parts[1::2]
    between = _CUT.join(parts[::2])
    if not between.isascii() and _OTHER.search(between):
        return None
    parts[::2] = words = spaced_words(between).split(_CUT)
    parts[1::2] = _pairs_of(runs)
    said = " ".join(parts)
    if max(map(len, words)) > MAX_WORD:
        said = short_words(said)
    return SteadyTokens(said, "".join(dict.fromkeys(runs)))


def _pairs_of(runs: list[str]) -> list[str]:
    """The pairs of each of *runs*, with spaces between."""
    lengths = [*map(len, runs)]
    if sum(lengths) < _LONG_RUN * len(runs):
        return [run if len(run) == _PAIR_LENGTH else _pairs_in(run) for run in runs]
    # All neighbours of all of them; the two around a cut are no pairs.
    found = _neighbours(_CUT.join(runs))
    starts = accumulate((_STEP * (length + 1) for length in lengths), initial=0)
    return [
        found[start : start + max(0, _STEP * (length - 1) - 1)]
        for start, length in zip(starts, lengths, strict=False)
    ]


def _pairs_in(run: str) -> str:
    """The same of one run that is no pair."""
    return f"{run[:2]} {run[1:]}" if len(run) == _STEP else " ".join(pairs(run))


def _neighbours(text: str) -> str:
    """Each two neighbours in *text*, which has no character beyond U+FFFF, and a space behind."""
    # Every third unit of UTF-16 at once: ten times as fast as one pair after the other.
    units = array("H", text.encode("utf-16-le"))
    spaced = _PAIR * (len(units) - 1)
    spaced[0::3], spaced[1::3] = units[:-1], units[1:]
    return str(spaced.tobytes(), "utf-16-le")
