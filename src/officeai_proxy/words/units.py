"""A folded text in, its units out: whole words, and runs of Chinese, Japanese and Korean.

These scripts write no spaces between words, so a run of them is cut into single characters and
pairs of neighbours; every other script is taken by the word.
"""

import re
import unicodedata

MAX_WORD = 64
"""Code points of a word that are compared; what is longer is compared by its beginning."""

CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7a3\ud7b0-\ud7ff\uf900-\ufaff"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
"""Han, kana, Hangul and Bopomofo, as the inside of a character class."""


_BLOCKS_WITH_SIGNS = (range(0x0900, 0x1D00), range(0xA800, 0xAC00), range(0x11000, 0x12000))


def _signs() -> str:
    """Vowel signs and the like: no letters to Unicode, and no ends of words either."""
    numbers = (number for block in _BLOCKS_WITH_SIGNS for number in block)
    return "".join(char for char in map(chr, numbers) if unicodedata.category(char)[0] == "M")


SIGNS = _signs()

_MAY_HAVE_SIGNS = re.compile("[\u0900-\u1cff\ua800-\uabff\U00011000-\U00011fff]")
_LETTER = rf"[^\W_{CJK}]"
_WORD = f"(?:{_LETTER}|[{SIGNS}])"
_PLAIN_UNIT = re.compile(f"([{CJK}]+)|({_LETTER}{{1,{MAX_WORD}}}){_LETTER}*")
_ANY_UNIT = re.compile(f"([{CJK}]+)|({_WORD}{{1,{MAX_WORD}}}){_WORD}*")
# Each byte of ASCII as it is folded, or the space that it is between words.
_TO_WORDS = bytes(
    ord(char.lower()) if char.isalnum() or char == "\0" else ord(" ")
    for char in map(chr, range(128))
).ljust(256)
# Never given back: no unit begins with what is in it, and a gap may be as long as a message.
_GAP = rf"(?:[\0-/:-@\[-`{{-\x7f]++|[\W_](?<![{SIGNS}]))*+"
_IN_RUN = re.compile(f"[{CJK}]")


def units(folded: str) -> list[tuple[str, str]]:
    """The units of *folded* in order, each as a run and no word, or as no run and a word.

    Words are cut to MAX_WORD.
    """
    pattern = _ANY_UNIT if _MAY_HAVE_SIGNS.search(folded) else _PLAIN_UNIT
    return pattern.findall(folded)


def ascii_words(text: str) -> str:
    """The units of a text that is ASCII, folded or not, with spaces between: words only."""
    return short_words(spaced_words(text.replace("\0", " ")))


def short_words(words: str) -> str:
    """Words with spaces between, cut to MAX_WORD."""
    each = words.split()
    if max(map(len, each), default=0) <= MAX_WORD:
        return words
    return " ".join([word[:MAX_WORD] for word in each])


def spaced_words(text: str) -> str:
    """The words of *text* as they are folded, with spaces between them.

    Of what is not ASCII nothing may belong to a word. A NUL stays: it marks a place.
    """
    return text.encode("ascii", "replace").translate(_TO_WORDS).decode("ascii")


def is_run(unit: str) -> bool:
    """Whether a unit is a run and no word."""
    return _IN_RUN.match(unit) is not None


def pairs(run: str) -> list[str]:
    """The neighbours in *run*; none when it has one character."""
    return [run] if len(run) == 2 else list(map(str.__add__, run, run[1:]))


def pattern_of(phrase: tuple[str, ...]) -> re.Pattern[str]:
    """What finds *phrase*, units with nothing but separators between them, in a folded text."""
    return re.compile(_GAP.join(_pattern_of_unit(unit) for unit in phrase))


def _pattern_of_unit(unit: str) -> str:
    """A run may be a part of a longer run; a word is a whole word."""
    if is_run(unit):
        return re.escape(unit)
    rest = f"{_WORD}*+" if len(unit) == MAX_WORD else ""
    before, after = rf"(?<!{_LETTER})(?<![{SIGNS}])", rf"(?!{_WORD})"
    return f"{before}{re.escape(unit)}{rest}{after}"
