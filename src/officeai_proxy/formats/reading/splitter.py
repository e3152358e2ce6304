"""Bytes of one JSON array or object in, its elements or members out as bytes; decodes nothing.

The text may be far larger than memory: only the element that is not whole yet is kept. Splitting
needs to know strings and brackets and nothing else, so that is all it looks at, with regular
expressions that run from one bracket to the next. Whether an element is JSON is for whoever
decodes it, and a broken one does not hide the next as long as its brackets are in pairs.

A library that reads JSON in pieces (ijson) is faster and loses something: it puts a question mark
in the place of half a surrogate pair, which `wire.jsontext` keeps.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from officeai_proxy.wire import jsontext

# A string ends at a quote without a backslash before it, and goes on at one with exactly one; only
# with more of them have the escapes to be counted. Groups are repeated greedily, for up to CPython
# 3.11.4 possessive groups match wrongly; the size of the pieces bounds what backtracking can cost.
_STRING = (
    rb'(?:"[^"]*+(?:(?<=[^\\]\\)"[^"]*+)*(?<!\\)"'
    rb'|"[^"\\]*+(?:\\.[^"\\]*+)*")'
)
_TO_COMMA = re.compile(rb'[^"\[\]{},]*+(?:' + _STRING + rb'[^"\[\]{},]*+)*', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*", re.DOTALL)

_SPACE = b" \t\r\n"
_QUOTE, _COMMA, _BACKSLASH = b'",\\'
_OPENING, _CLOSING = b"[{", b"]}"

PIECE = 256 * 1024
"""Bytes that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An element of the outer array, or a member of the outer object.

    `data` is its text, None when that is longer than the limit. `key` is the member's name, None
    for an element. `is_item` says that it is an element of an array: the outer one, or the one
    that was to be gone into.
    """

    key: str | None
    data: bytes | None
    is_item: bool


class CutOff(Exception):
    """The text ended before the array or object did; what was whole has been given."""


class NotSplittable(Exception):
    """The text is no array and no object, or something follows its end."""


class _Place(Enum):
    START = auto()
    INSIDE = auto()
    END = auto()


class Splitter:
    """Splits one JSON text that comes piece by piece, in time linear to its length."""

    def __init__(self, *, limit: int, into: str | None = None) -> None:
        """Refuse pieces longer than *limit* bytes; go into the array that is the member *into*."""
        self._limit = limit
        self._into = into
        self._buffer = bytearray()
        self._at = 0
        self._start = 0
        self._depth = 0
        self._base = 1
        self._place = _Place.START
        self._is_object = False
        self._in_string = False
        self._is_too_long = False

    @property
    def is_whole(self) -> bool:
        """Whether the array or object has ended."""
        return self._place is _Place.END

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that *data* makes whole.

        Raises:
            NotSplittable: the text is no array and no object, or something follows its end.
        """
        for begin in range(0, len(data), PIECE):
            self._buffer += data[begin : begin + PIECE]
            yield from self._split()
            self._forget()

    def _split(self) -> Iterator[Piece]:
        if self._place is _Place.START:
            self._open()
        while self._place is _Place.INSIDE and self._next_mark():
            mark = self._buffer[self._at]
            self._at += 1
            if mark in _OPENING:
                yield from self._went_down()
            elif mark in _CLOSING:
                yield from self._went_up()
            else:
                yield from self._ended(self._at - 1)
                self._start = self._at
        if self._place is _Place.END:
            if self._buffer[self._at :].strip(_SPACE):
                raise NotSplittable("something follows the end of the JSON text")
            self._at = self._start = len(self._buffer)

    def _open(self) -> None:
        text = self._buffer.lstrip(_SPACE)
        if not text:
            self._buffer.clear()
            return
        if text[0] not in _OPENING:
            raise NotSplittable("the text is neither a JSON array nor a JSON object")
        self._is_object = text[:1] == b"{"
        self._at = self._start = len(self._buffer) - len(text) + 1
        self._depth = 1
        self._place = _Place.INSIDE

    def _next_mark(self) -> bool:
        """Go to the next bracket, or comma between pieces; False when more text is needed."""
        end = len(self._buffer)
        while True:
            if self._in_string and not self._leave_string():
                return False
            between = _TO_COMMA if self._depth == self._base else _TO_BRACKET
            self._at = between.match(self._buffer, self._at).end()  # type: ignore[union-attr]  # it matches the empty text too
            if self._at == end:
                return False
            if self._buffer[self._at] != _QUOTE:
                return True
            self._at += 1
            self._in_string = True

    def _leave_string(self) -> bool:
        found = _REST_OF_STRING.match(self._buffer, self._at)
        self._at = found.end() if found else self._at
        # A backslash that is the last byte so far stands before something that is still to come.
        if self._at == len(self._buffer) or self._buffer[self._at] == _BACKSLASH:
            return False
        self._at += 1
        self._in_string = False
        return True

    def _went_down(self) -> Iterator[Piece]:
        self._depth += 1
        if self._depth == 2 and self._base == 1 and self._enters():
            yield Piece(self._into, b"", is_item=False)
            self._base = 2
            self._start = self._at

    def _enters(self) -> bool:
        """Whether the bracket just passed opens the array that is to be gone into."""
        bracket = self._buffer[self._at - 1 : self._at]
        if not self._is_object or self._into is None or bracket != b"[":
            return False
        member = _MEMBER.fullmatch(self._buffer, self._start, self._at - 1)
        return member is not None and _name(member[1]) == self._into

    def _went_up(self) -> Iterator[Piece]:
        if self._depth == self._base:
            yield from self._ended(self._at - 1, is_last=True)
            # Behind the array that was gone into nothing is expected but the next comma.
            self._start = self._at
        self._depth -= 1
        if self._depth < self._base:
            self._base = 1
        if self._depth == 0:
            self._place = _Place.END

    def _ended(self, end: int, *, is_last: bool = False) -> Iterator[Piece]:
        """The piece that ends before *end*; the last one is none when it is empty."""
        is_item = self._base == 2 or not self._is_object
        key = self._into if self._base == 2 else None
        if self._is_too_long or end - self._start > self._limit:
            self._is_too_long = False
            yield Piece(key, None, is_item)
            return
        with memoryview(self._buffer) as view:
            data = bytes(view[self._start : end]).strip(_SPACE)
        if not is_item:
            yield from _member(data)
        elif data or not is_last:
            yield Piece(key, data, is_item=True)

    def _forget(self) -> None:
        """Let go of what has been given, and of a piece that is too long."""
        if self._at - self._start > self._limit:
            self._is_too_long = True
            self._start = self._at
        # A string's last backslash is looked at again, so nothing behind `at` goes.
        del self._buffer[: self._start]
        self._at -= self._start
        self._start = 0


def _member(data: bytes) -> Iterator[Piece]:
    """One member of the outer object; nothing for what is none, such as a comma too many."""
    found = _MEMBER.match(data)
    if found is not None:
        yield Piece(_name(found[1]), data[found.end() :], is_item=False)


def _name(text: bytes) -> str:
    """A member's name; one that is not UTF-8 is no name that anybody asks for."""
    try:
        name = jsontext.loads(bytes(text))
    except ValueError:
        return ""
    return name if isinstance(name, str) else ""


def split(data: Iterable[bytes], *, limit: int, into: str | None = None) -> Iterator[Piece]:
    """The pieces of the JSON array or object that *data* makes up.

    Raises:
        CutOff: the text ended too early.
        NotSplittable: the text is no array and no object, or something follows its end.
    """
    splitter = Splitter(limit=limit, into=into)
    for chunk in data:
        yield from splitter.feed(chunk)
    if not splitter.is_whole:
        raise CutOff("the text ends before its JSON does")


@dataclass(slots=True)
class LineShape:
    """Whether a line is one JSON array or object, as far as brackets tell, and its last byte."""

    is_whole: bool = False
    last: bytes = b""


def line_shapes(data: Iterable[bytes]) -> Iterator[LineShape]:
    """The shape of each line of *data* that is not blank.

    Nothing of a line is kept, so that a long one takes no memory.
    """
    line = _Line()
    for chunk in data:
        first, *others = chunk.split(b"\n")
        line.feed(first)
        for other in others:
            if line.shape.last:
                yield line.shape
            line = _Line()
            line.feed(other)
    if line.shape.last:
        yield line.shape


class _Line:
    """A line that comes in pieces."""

    def __init__(self) -> None:
        self.shape = LineShape()
        self._splitter: Splitter | None = Splitter(limit=0)

    def feed(self, data: bytes) -> None:
        if text := data.strip(_SPACE):
            self.shape.last = text[-1:]
        if self._splitter is None:
            return
        try:
            deque(self._splitter.feed(data), maxlen=0)
            self.shape.is_whole = self._splitter.is_whole
        except NotSplittable:
            self._splitter, self.shape.is_whole = None, False


def members(data: bytes, *, apart: str | None = None) -> dict[str, bytes]:
    """The members of the JSON object *data*, each as its text; of repeated ones the last.

    The text of the array *apart* is left out; that there is one is told by an empty text.

    Raises:
        CutOff, NotSplittable: it is no JSON object.
    """
    if not data.startswith(b"{"):
        raise NotSplittable("the text is no JSON object")
    found: dict[str, bytes] = {}
    for piece in split([data], limit=len(data), into=apart):
        if not piece.is_item and piece.key is not None and piece.data is not None:
            found[piece.key] = piece.data
    return found
