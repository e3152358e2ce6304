"""Which language a reader wants, and the page's words in it; English and Chinese.

Both are written, in `words/*.json`; a word that is missing in one of them is an error at the start.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

WORDS = Path(__file__).parent / "words"


class Language(StrEnum):
    """A language of the page; the value is also that of the cookie."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def tag(self) -> str:
        """The language as HTML and browsers name it (BCP 47)."""
        return "zh-CN" if self is Language.CHINESE else "en"


class Words:
    """The texts of one language by name."""

    def __init__(self, language: Language, texts: Mapping[str, str]) -> None:
        """Know *texts*; `{name}` in one of them is a place for a value."""
        self.language = language
        self.names = frozenset(texts)
        self._texts = texts

    def __call__(self, name: str, /, **values: object) -> str:
        """The text called *name* with *values* in their places."""
        text = self._texts[name]
        return text.format(**values) if values else text

    def count(self, name: str, number: int) -> str:
        """*number* of something, in words: `1 message`, `1,204 messages`, `1,204 条消息`."""
        form = f"{name}.one" if number == 1 else f"{name}.other"
        return self._texts[form].format(n=f"{number:,}")


def load_words() -> Mapping[Language, Words]:
    """All texts of all languages.

    Raises:
        ValueError: one language lacks what another has.
    """
    loaded = {
        language: Words(language, json.loads((WORDS / f"{language}.json").read_text("utf-8")))
        for language in Language
    }
    missing = loaded[Language.ENGLISH].names ^ loaded[Language.CHINESE].names
    if missing:
        raise ValueError(f"texts that only one language has: {', '.join(sorted(missing))}")
    return loaded


def choose(chosen: str | None, accepted: str) -> Language:
    """The language of the cookie *chosen*, else the first of the header *accepted* that we have.

    The header is `Accept-Language` (RFC 9110, 12.5.4), such as `zh-CN,zh;q=0.9,en;q=0.8`.
    """
    if chosen in tuple(Language):
        return Language(chosen)
    for tag in _by_preference(accepted):
        if tag in tuple(Language):
            return Language(tag)
    return Language.ENGLISH


def _by_preference(accepted: str) -> list[str]:
    """The main parts of the tags of an `Accept-Language`, the most wanted first."""
    weighed: list[tuple[float, str]] = []
    for item in accepted.split(",")[:20]:
        tag, _, weight = item.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        weighed.append((quality, tag.strip().partition("-")[0].lower()))
    return [tag for quality, tag in sorted(weighed, key=lambda pair: -pair[0]) if quality > 0]
