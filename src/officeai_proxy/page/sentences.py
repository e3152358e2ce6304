"""A sentence of the program in, the same in the reader's language out, if the page has it.

What goes wrong is told in English wherever it happens. The page's English words called `said.…` are
those sentences, with places for what varies; whoever reads another language gets that word of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from officeai_proxy.page.language import Language, Words

PREFIX = "said."

WHY = "why"
"""The place of a sentence in another."""

_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence and the language that it is in."""

    text: str
    language: Language


class Sentences:
    """All sentences that can be said in every language."""

    def __init__(self, words: Mapping[Language, Words]) -> None:
        """Know those of *words*."""
        self._words = words
        english = words[Language.ENGLISH]
        names = (name for name in english.names if name.startswith(PREFIX))
        # The more of a sentence is fixed, the surer it is the one.
        ordered = sorted(names, key=lambda name: (-_fixed(english(name)), name))
        self._known = [(name, _pattern(english(name))) for name in ordered]

    def told(self, sentence: str, language: Language) -> Told:
        """*sentence* in *language*; as it is where the page has no such sentence."""
        if language is Language.ENGLISH:
            return Told(sentence, language)
        found = self._said(sentence, self._words[language], _DEEPEST)
        return Told(sentence, Language.ENGLISH) if found is None else Told(found, language)

    def _said(self, sentence: str, words: Words, depth: int) -> str | None:
        for name, pattern in self._known if depth else ():
            match = pattern.fullmatch(sentence)
            if match is not None:
                values = match.groupdict()
                if WHY in values:
                    values[WHY] = self._said(values[WHY], words, depth - 1) or values[WHY]
                return words(name, **values) if values else words(name)
        return None


def _fixed(template: str) -> int:
    return sum(len(literal) for literal, *_ in Formatter().parse(template))


def _pattern(template: str) -> re.Pattern[str]:
    parts = []
    for literal, place, *_ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if place is not None:
            parts.append(f"(?P<{place}>.+?)")
    return re.compile("".join(parts), re.DOTALL)
