"""A message's text in, the tokens that an index holds of it out.

A token is a word, a pair of neighbours of a Chinese, Japanese or Korean run, or a single character
of one. Tokens are letters, digits and vowel signs only, so that no database's parser changes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from officeai_proxy.words.folding import fold
from officeai_proxy.words.parts import PART, spans
from officeai_proxy.words.steady import steady_tokens
from officeai_proxy.words.units import ascii_words, pairs, units

MAX_DISTINCT = 500_000
"""Different words and pairs of a text that are indexed.

Either database takes a second for so many, and others wait for it.
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an index holds of a text.

    `said` are words and pairs in order with spaces between, `singles` the distinct characters of
    the runs, which have no order. A text that `is_too_rich` has more than MAX_DISTINCT, and none
    are told.
    """

    said: str
    singles: Sequence[str]
    is_too_rich: bool = False

    @property
    def ordered(self) -> list[str]:
        """Words and pairs in order."""
        return self.said.split()


def tokens_of(content: str) -> Tokens:
    """The tokens of *content*."""
    if len(content) <= PART:
        said, runs = _cut(content)
        return Tokens(said, list(dict.fromkeys(runs)))
    return _tokens_of_long(content)


def _tokens_of_long(content: str) -> Tokens:
    parts: list[str] = []
    singles: dict[str, None] = {}
    known: set[str] = set()
    for start, end in spans(content):
        # With the next character, so that the pair that both halves of a run make is there.
        said, runs = _cut(content[start : end + 1])
        parts.append(said)
        singles.update(dict.fromkeys(runs))
        known.update(said.split())
        if len(known) > MAX_DISTINCT:
            return Tokens("", (), is_too_rich=True)
    return Tokens(" ".join(parts), list(singles))


def _cut(text: str) -> tuple[str, str]:
    """The words and pairs of *text* in order, with spaces between, and its runs as one text."""
    steady = steady_tokens(text)
    if steady is not None:
        return steady.said, steady.runs
    folded = fold(text)
    if folded.isascii():
        return ascii_words(folded), ""
    ordered: list[str] = []
    runs: list[str] = []
    for run, word in units(folded):
        if word:
            ordered.append(word)
        else:
            runs.append(run)
            ordered += pairs(run)
    return " ".join(ordered), "".join(runs)
