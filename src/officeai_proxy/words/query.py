"""What somebody types into a search box in, what must be in a message out; never engine syntax.

Every word must be there, whole; a run of Chinese, Japanese or Korean must be there in one piece;
words between quotation marks must stand side by side. An index narrows down which messages to look
at, and `Query.matches` decides.
"""

import re
from dataclasses import dataclass

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.words.folding import FoldedText, fold
from officeai_proxy.words.tokens import whole_words
from officeai_proxy.words.units import is_run, pairs, pattern_of, units

MAX_QUERY = 1000
"""Code points of a query."""

MAX_UNITS = 64
"""Words and runs of a query."""

_QUOTED = re.compile('["“”„＂]([^"“”„＂]*)["“”„＂]|([^"“”„＂]+)')

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: each phrase must be in the message; a word alone is a phrase too."""

    phrases: tuple[Phrase, ...]
    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, text: str) -> "Query":
        """Read what somebody typed.

        Raises:
            UnprocessableInput: there is no letter and no digit in it, or too much of them.
        """
        if len(text) > MAX_QUERY:
            raise UnprocessableInput(f"q may have at most {MAX_QUERY} characters.", param="q")
        phrases = tuple(dict.fromkeys(_phrases(text)))
        if not phrases:
            raise UnprocessableInput("q must have at least one letter or digit.", param="q")
        if sum(map(len, phrases)) > MAX_UNITS:
            raise UnprocessableInput(f"q may have at most {MAX_UNITS} words.", param="q")
        return cls(phrases, tuple(map(pattern_of, phrases)))

    @property
    def needles(self) -> tuple[Phrase, ...]:
        """Sequences of tokens that a message must have in its index, each in one piece.

        A phrase that changes between words and runs is asked for in parts.
        """
        found: dict[Phrase, None] = {}
        for phrase in self.phrases:
            words: list[str] = []
            for unit in phrase:
                if not is_run(unit):
                    words.append(unit)
                    continue
                found[tuple(words)] = None
                words = []
                found[tuple(pairs(unit)) or (unit,)] = None
            found[tuple(words)] = None
        found.pop((), None)
        return tuple(found)

    def matches(self, content: str) -> bool:
        """Whether all of it is in *content*."""
        folded = fold(whole_words(content))
        return all(pattern.search(folded) for pattern in self.patterns)

    def highlights(self, content: str) -> list[tuple[int, int]]:
        """Where what is searched for is in *content*: spans of code points, in order, apart."""
        folded = FoldedText.of(whole_words(content))
        spans = [
            folded.origin(*found.span())
            for pattern in self.patterns
            for found in pattern.finditer(folded.text)
        ]
        return _apart(sorted(spans))


def _phrases(text: str) -> list[Phrase]:
    phrases: list[Phrase] = []
    for found in _QUOTED.finditer(text):
        words = tuple(run or word for run, word in units(fold(found[0])))
        if found[1] is None:
            phrases += [(word,) for word in words]
        elif words:
            phrases.append(words)
    return phrases


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans, with those that overlap made into one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
