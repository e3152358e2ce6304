"""JSON text in, values out, and back, without loss; never accepts what is not JSON (RFC 8259).

orjson does the common case. Where it would lose something or refuses valid JSON, the standard
library's parser takes over: orjson turns an integer beyond 64 bits into a float without a word
(a seed or an id in a message would come back changed), and it refuses the escape of a lone
surrogate, which JavaScript clients send when they cut a text inside an emoji.

Nesting is limited so that whatever `loads` accepts can be walked, compared and written again
without running out of stack. No chat request comes near the limit.
"""

import json
import math
import re
import secrets
import sys
from collections.abc import Sequence
from itertools import accumulate
from typing import NoReturn

import orjson

from officeai_proxy.model import Json
from officeai_proxy.wire.cleantext import with_clean_names

MAX_DEPTH = 200
"""How deep lists and objects may be nested."""

MAX_DIGITS = 4300  # Python's own default, stated here because PYTHONINTMAXSTRDIGITS can lift it.
_LONG_NUMBER = b"0" * 19  # The shortest integer beyond 64 bits is -9223372036854775809.
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_SMALL = 65536  # In what is larger there is so much of everything that half a look does not pay.
_FEW = 8
_STRETCH = 1024 * 1024  # What is looked at is copied, and may be large.
_HALF = re.compile("[\ud800-\udfff]|\\\\u[dD][89a-fA-F]")  # Half a surrogate pair, or its escape.
# Pairs and other escapes go by as they are, so that no backslash is taken for another's.
_LONE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_TOO_DEEP = f"JSON nested deeper than {MAX_DEPTH} levels"
# A text, also one without an end; the possessive quantifiers keep the search linear.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BEGINNING = 65_536
_MANY_OPENED = 50_000  # So many lists and objects are better counted than walked over.
_BRACKETS_TO_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_MARK = secrets.token_hex(16)
_SEPARATOR = f',"{_MARK}",'


class OutOfRange(ValueError):
    """A number is beyond the range of a float."""


def loads(data: bytes | str, *, exact: bool | None = None, clamps: bool = True) -> Json:
    """The value of one JSON text; of repeated keys in an object the last one counts.

    A lone surrogate in a key becomes U+FFFD; in a text it stays.

    *exact* says whether long integers have to be looked for; leave it out to have the text
    searched. A reader of many small texts searches the whole once with `has_long_number`.

    A number beyond the range of a float, such as 1e400, becomes the largest float if *clamps*: what
    was said to others is kept as well as it can be. What is said to us can be refused instead.

    Raises:
        OutOfRange: such a number, unless *clamps*.
        ValueError: not JSON (NaN and Infinity included), not UTF-8, with a byte order mark, a
            number with thousands of digits, or nested too deeply.
    """
    # A text this short cannot open and close that many lists.
    opened = _opened_in(data) if len(data) > 2 * MAX_DEPTH else 0
    is_counted = opened > _MANY_OPENED
    if is_counted and _depth_of(data) > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    if exact is None:
        exact = has_long_number(data)
    try:
        value: Json = _loads_exactly(data, clamps) if exact else orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _loads_exactly(data, clamps)
    if opened > MAX_DEPTH and not is_counted and _is_deep(value, opened=opened):
        raise ValueError(_TOO_DEEP)
    return value


def value_or_none(text: bytes | None) -> Json:
    """What `loads` gives; None too for what is not JSON, or not there."""
    try:
        return loads(text) if text else None
    except ValueError:
        return None


def loads_all(texts: Sequence[str]) -> list[Json] | None:
    """What `loads` gives for each of *texts*, with *exact* False, read in one go.

    None when at least one of them may need more than that: then each has to be read by itself.
    """
    longest = max(map(len, texts), default=0)
    if longest > 2 * MAX_DEPTH and any(_opened_in(text) > MAX_DEPTH for text in texts):
        return None
    try:
        values: list[Json] = orjson.loads(f"[{_SEPARATOR.join(texts)}]")
    except orjson.JSONDecodeError:
        return None
    # Nobody can guess the mark. When all marks stand where they belong, none is inside a value that
    # two texts make together, and between two of them is one value: every text is JSON by itself.
    if len(values) != 2 * len(texts) - 1 or values[1::2] != [_MARK] * (len(texts) - 1):
        return None
    return values[::2]


def dumps(value: Json) -> str:
    """Compact JSON text of *value*, as far as possible unescaped.

    The text can be stored in any database: it never contains a NUL or a lone surrogate as such,
    for JSON escapes the first and the second makes the whole text ASCII. `loads` gives the same
    value back. NaN and infinities, which `loads` never gives, are not for it.

    Raises:
        ValueError: the value cannot have come from `loads`, being nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # Lone surrogates, integers beyond 64 bits.
        pass
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except RecursionError as exc:
        raise ValueError("the value is nested too deeply to be written as JSON") from exc


def readable(text: str) -> str:
    """*text*, which `dumps` has made, as JSON that every reader takes: U+FFFD for half a pair.

    Half a surrogate pair is JSON by its grammar, but has no meaning (RFC 8259, 8.2): jq and orjson
    refuse the whole text, of which the rest may be a year of talk.
    """
    mended = without_half_escapes(text)
    # Written anew as it would be if it had been whole, so that a copy of it is the same.
    return text if mended == text else dumps(loads(mended))


def without_half_escapes(text: str) -> str:
    """*text*, which is JSON in ASCII, with the escape of U+FFFD for that of half a pair."""
    if "\\ud" not in text:
        return text
    return _LONE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)


def dumps_readable(value: Json) -> str:
    """What `dumps` gives, for those outside: see `readable`."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # As in `dumps`; only this writer lets half a pair through.
        return readable(dumps(value))


def has_long_number(data: bytes | str) -> bool:
    """Whether *data* may hold an integer beyond 64 bits; sometimes true when it holds none."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) <= _SMALL and not _may_have_long_number(raw):
        return False
    return any(
        _LONG_NUMBER in raw[at : at + _STRETCH + len(_LONG_NUMBER)].translate(_DIGITS_TO_ZERO)
        for at in range(0, len(raw), _STRETCH)
    )


def _may_have_long_number(raw: bytes) -> bool:
    """A look at every fourth byte, which takes half the time: 19 digits hold at least 4 of those.

    Where that is not enough, a look at the bytes around is, unless it happens often.
    """
    fourths = raw[::4].translate(_DIGITS_TO_ZERO)
    at = -1
    for _ in range(_FEW):
        at = fourths.find(b"0000", at + 1)
        if at < 0:
            return False
        around = raw[max(0, 4 * at - 6) : 4 * at + 19]
        if _LONG_NUMBER in around.translate(_DIGITS_TO_ZERO):
            return True
    return True


def _loads_exactly(data: bytes | str, clamps: bool) -> Json:
    # json.loads would guess UTF-16 and accept a byte order mark in bytes, so it is given text.
    text = data if isinstance(data, str) else data.decode("utf-8")
    # A hook makes reading slower, and hardly any text needs it.
    hook = with_clean_names if _HALF.search(text) else None
    try:
        value: Json = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite if clamps else _in_range,
            parse_int=_integer,
            object_pairs_hook=hook,
        )
    except RecursionError as exc:
        raise ValueError(_TOO_DEEP) from exc
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """The number; for one beyond the range of a float, such as 1e400, the largest float."""
    value = float(text)
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else value


def _in_range(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise OutOfRange(f"the number {text[:32]} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


def _opened_in(data: bytes | str) -> int:
    """At least as many lists and objects as *data* holds."""
    if isinstance(data, str):
        return data.count("[") + data.count("{")
    return data.count(b"[") + data.count(b"{")


def _is_deep(value: Json, *, opened: int) -> bool:
    """Whether *value* is nested too deeply; at most *opened* lists and objects are in it."""
    level = [value] if isinstance(value, (dict, list)) else []
    for depth in range(MAX_DEPTH):
        opened -= len(level)
        if not level or depth + opened < MAX_DEPTH:
            # Were all that is left one inside another, it would still not be too deep.
            return False
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _depth_of(data: bytes | str) -> int:
    """How deep lists and objects are nested in *data*, if that is JSON; at least so deep.

    To make millions of them, or to walk over them, takes seconds in which nothing else of the
    process runs.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    # What is too deep is mostly so from the beginning.
    return depth if (depth := _depth_in(raw[:_BEGINNING])) > MAX_DEPTH else _depth_in(raw)


def _depth_in(raw: bytes) -> int:
    steps = _TEXT.sub(b"", raw).translate(_BRACKETS_TO_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)
