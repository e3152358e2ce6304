"""JSON as servers write it, also cut off, in; its value out, and whether it is whole.

What was said is worth more than the grammar: Python's servers write NaN and Infinity, which are no
JSON (RFC 8259, section 6) and which Python's clients read, and a reply may break off anywhere.
"""

import json
import re
import sys
from contextlib import suppress
from itertools import islice

from officeai_proxy.model import Json
from officeai_proxy.wire.cleantext import with_clean_names
from officeai_proxy.wire.jsontext import MAX_DEPTH, MAX_DIGITS, loads

MOST_TOKENS = 500_000
"""How much of a text that was cut off is read, in strings, marks, numbers and words.

Of one that is whole as much, when it is not JSON or nested too deeply: Python reads it slowly.
"""

# A string, whole or begun; a mark; or a number or word. Possessive, so that the search is linear.
_TOKEN = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<closed>")?|[\[\]{}:,]|[^\s"\[\]{}:,]++', re.DOTALL
)
_WHOLE_ESCAPES = re.compile(r'"(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]"}


def loads_loosely(text: str) -> tuple[Json, bool]:
    """The value of *text*, and whether nothing of it is missing.

    NaN, infinities and numbers without end are None, and so is what is nested too deeply. Of a text
    that was cut off, everything that had begun is there as far as it goes; numbers and words only
    when something follows them.

    Raises:
        ValueError: it is not the beginning of any JSON text.
    """
    try:
        return loads(text), True
    except ValueError:
        pass
    if text.count("[") + text.count("{") <= MOST_TOKENS:
        with suppress(ValueError):
            return _read(text), True
    return _read(_completed(text)), False


def _read(text: str) -> Json:
    try:
        value: Json = json.loads(
            text,
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=with_clean_names,
        )
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc
    return _pruned(value, MAX_DEPTH)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if abs(value) <= sys.float_info.max else None


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= MAX_DIGITS else None


def _pruned(value: Json, depth: int) -> Json:
    """*value* with None for every list and object that has *depth* others around it."""
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        return None
    if isinstance(value, list):
        return [_pruned(child, depth - 1) for child in value]
    return {name: _pruned(child, depth - 1) for name, child in value.items()}


def _completed(text: str) -> str:
    """*text*, the beginning of a JSON text, up to its last whole part, and all that is open closed.

    A text in it that has begun is such a part; a name is none before its value has begun.
    """
    opened: list[str] = []
    is_name, end, quote = False, 0, ""
    for token in islice(_TOKEN.finditer(text), MOST_TOKENS):
        word = token.group()
        if word in ":,":
            is_name = word == "," and opened[-1:] == ["{"]
            continue
        is_text = word.startswith('"')
        if (is_name and is_text) or (token.end() == len(text) and not _is_whole(word)):
            continue
        if word in _CLOSERS:
            opened.append(word)
        elif opened and word == _CLOSERS[opened[-1]]:
            opened.pop()
        is_name, end = word == "{", token.end()
        if is_text and not token["closed"]:
            whole = _WHOLE_ESCAPES.match(text, token.start())
            end, quote = (whole.end() if whole else end), '"'
    return text[:end] + quote + "".join(_CLOSERS[one] for one in reversed(opened))


def _is_whole(word: str) -> bool:
    """Whether *word*, the last of a text that was cut off, would not be another with more of it."""
    return word[0] in '"{}[]'
