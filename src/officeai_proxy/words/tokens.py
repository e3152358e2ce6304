"""A message's text in, the tokens that an index holds of it out.

A token is a word, a pair of neighbours of a Chinese, Japanese or Korean run, or a single character
of one. Tokens are letters, digits and vowel signs only, so that no database's parser changes them.

An index takes a bounded part of a text, so that no message is too long to be stored: PostgreSQL
knows 16,383 positions, 256 of each token, and a megabyte (manual, 12.11). The same bounds hold on
SQLite, so that both find the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from officeai_proxy.words.folding import fold
from officeai_proxy.words.steady import steady_tokens
from officeai_proxy.words.units import MAX_WORD, ascii_words, pairs, units

MAX_TEXT = 256 * 1024
"""Code points of a text that are looked at."""

MAX_TOKENS = 16_000
"""Words and pairs of a text that are indexed, in order."""

MAX_REPEATS = 256
"""How often one token counts in a text."""

MAX_BYTES = 750_000
"""Bytes of the words and pairs of a text, in UTF-8, with their places."""

_PLACE_BYTES = 6
_MOST_BYTES = 4 * MAX_WORD + _PLACE_BYTES


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an index holds of a text.

    `ordered` are words and pairs in order, None where one came too often to count. `singles` are
    the distinct characters of the runs, which have no order.
    """

    ordered: Sequence[str | None]
    singles: Sequence[str]


def tokens_of(content: str) -> Tokens:
    """The tokens of *content*."""
    text = whole_words(content)
    # A short text has no more tokens than are indexed.
    steady = steady_tokens(text) if text.isascii() or len(text) <= MAX_TOKENS else None
    if steady is not None:
        return Tokens(_bounded(steady.ordered), list(dict.fromkeys(steady.runs)))
    return _tokens_of_any(fold(text))


def _tokens_of_any(folded: str) -> Tokens:
    if folded.isascii():
        return Tokens(_bounded(ascii_words(folded)), ())
    ordered: list[str] = []
    runs: list[str] = []
    for run, word in units(folded):
        if word:
            ordered.append(word)
        else:
            kept = run[: MAX_TOKENS - len(ordered) + 1]
            runs.append(kept)
            ordered += pairs(kept)
        if len(ordered) >= MAX_TOKENS:
            break
    singles = list(dict.fromkeys("".join(runs)))
    return Tokens(_bounded(ordered), singles[:MAX_TOKENS])


def whole_words(content: str) -> str:
    """As much of *content* as is looked at, without the half of a word at the end."""
    if len(content) <= MAX_TEXT:
        return content
    kept = content[:MAX_TEXT]
    if not (kept[-1].isalnum() and content[MAX_TEXT].isalnum()):
        return kept
    return kept[: len(kept) - len(_last_word(kept))]


def _last_word(text: str) -> str:
    """The letters and digits at the end of *text*; none when they go on for very long."""
    tail = text[-1024:]
    length = next((n for n, char in enumerate(reversed(tail)) if not char.isalnum()), 0)
    return tail[len(tail) - length :]


def _bounded(tokens: Sequence[str]) -> Sequence[str | None]:
    if len(tokens) <= MAX_REPEATS:
        return tokens
    kept = _within_bytes(tokens[:MAX_TOKENS])
    if len(kept) - len(set(kept)) < MAX_REPEATS:
        return kept
    (_, most) = Counter(kept).most_common(1)[0]
    return kept if most <= MAX_REPEATS else _without_repeats(kept)


def _within_bytes(tokens: Sequence[str]) -> Sequence[str]:
    if len(tokens) <= MAX_BYTES // _MOST_BYTES:
        return tokens
    size = 0
    for place, token in enumerate(tokens):
        size += len(token.encode()) + _PLACE_BYTES
        if size > MAX_BYTES:
            return tokens[:place]
    return tokens


def _without_repeats(tokens: Sequence[str]) -> list[str | None]:
    seen: Counter[str] = Counter()
    kept: list[str | None] = []
    for token in tokens:
        seen[token] += 1
        kept.append(token if seen[token] <= MAX_REPEATS else None)
    return kept
