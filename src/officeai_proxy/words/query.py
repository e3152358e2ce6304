"""What somebody types into a search box in, what must be in a message out; never engine syntax.

Every word must be there, whole; a run of Chinese, Japanese or Korean must be there in one piece;
words between quotation marks must stand side by side. An index narrows down which messages to look
at, and `Query.matches` decides.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.words.folding import FoldedText, fold
from officeai_proxy.words.parts import PART, spans
from officeai_proxy.words.units import is_run, pairs, pattern_of, units

MAX_QUERY = 1000
"""Code points of a query."""

MAX_UNITS = 64
"""Words and runs of a query."""

_MOST_AFTER = 8 * PART
"""Code points behind a find that are looked at for others: a word may be without end."""

_QUOTED = re.compile('["“”„＂]([^"“”„＂]*)["“”„＂]|([^"“”„＂]+)')

Phrase = tuple[str, ...]


class TooManyWords(UnprocessableInput):
    """There are more words in it than one search looks for."""

    def __init__(self) -> None:
        """Say how many it may have."""
        super().__init__(f"q may have at most {MAX_UNITS} words.", param="q")


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
            TooManyWords: there are more than 64.
        """
        if len(text) > MAX_QUERY:
            raise UnprocessableInput(f"q may have at most {MAX_QUERY} characters.", param="q")
        phrases = tuple(dict.fromkeys(_phrases(text)))
        if not phrases:
            raise UnprocessableInput("q must have at least one letter or digit.", param="q")
        if sum(map(len, phrases)) > MAX_UNITS:
            raise TooManyWords
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
        folded = fold(content) if len(content) <= PART else "".join(_folded_parts(content))
        return all(first is not None for first in self._firsts(folded))

    def highlights(self, content: str) -> list[tuple[int, int]]:
        """Where what is searched for is in *content*: spans of code points, in order, apart.

        Of a very long text those near the first one.
        """
        start, end = (0, len(content)) if len(content) <= PART else self._surroundings(content)
        folded = FoldedText.of(content[start:end])
        found = [folded.origin(*one.span()) for one in self._finds(folded.text)]
        return [(start + begin, start + stop) for begin, stop in _apart(sorted(found))]

    def _surroundings(self, content: str) -> tuple[int, int]:
        """The part of a long *content* with the first find, and what follows it.

        To know of every letter where it came from may take fifty times the room of the text.
        """
        parts = list(spans(content))
        folded = list(_folded_parts(content))
        ends = list(accumulate(map(len, folded)))
        finds = [first.span() for first in self._firsts("".join(folded)) if first is not None]
        if not finds:
            return 0, 0
        begin, stop = min(finds)
        first, last = bisect_right(ends, begin), bisect_right(ends, stop - 1)
        (start, _), (near, _) = parts[first], parts[last]
        (_, end) = parts[min(last + 1, len(parts) - 1)]
        return start, min(end, near + _MOST_AFTER)

    def _firsts(self, folded: str) -> Iterator[re.Match[str] | None]:
        return (next(finds, None) for finds in self._searches(folded))

    def _finds(self, folded: str) -> Iterator[re.Match[str]]:
        return chain.from_iterable(self._searches(folded))

    def _searches(self, folded: str) -> Iterator[Iterator[re.Match[str]]]:
        """Of each phrase where it is in *folded*, in order."""
        for phrase, pattern in zip(self.phrases, self.patterns, strict=True):
            yield _places(phrase[0], pattern, folded)


def _folded_parts(content: str) -> Iterator[str]:
    """A long *content* folded; a rare letter does not make all of it take longer."""
    return (fold(content[start:end]) for start, end in spans(content))


def _places(first: str, pattern: re.Pattern[str], folded: str) -> Iterator[re.Match[str]]:
    """What *pattern*, which begins with *first*, finds in *folded*.

    Looking for the letters first is a hundred times as fast as trying the pattern everywhere.
    """
    place = folded.find(first)
    while place >= 0:
        found = pattern.match(folded, place)
        if found is not None:
            yield found
        place = folded.find(first, place + 1 if found is None else found.end())


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
