"""The head of a request that was read before in, what is different in the next one out.

A client sends the same head with every call of a connection, but for the length of the body and
the names of session and user. llhttp has read it once; what it said need not be read again. Nothing
here decides what a head means: a head that differs in anything else is not known.
"""

from typing import Generic, NamedTuple, TypeVar

LENGTH, SESSION, USER = b"content-length", b"x-session-id", b"x-user-id"

_BREAK, _END = b"\r\n", b"\r\n\r\n"
_MOST_DIGITS = 9

_LONGEST = 600
"""In bytes, of a value that may be different: the longest name, and some white space."""

Said = TypeVar("Said")


class NextHead(NamedTuple):
    """What a head says that otherwise is as known: values are None where it has no such header.

    `length` is that of the body in bytes, which begins at `end`.
    """

    length: int
    session: bytes | None
    user: bytes | None
    end: int


class KnownHead(Generic[Said]):
    """A head of which three values may be different; `said` is whatever it meant."""

    __slots__ = ("_end", "_parts", "said")

    def __init__(self, parts: list[tuple[bytes, bytes]], end: bytes, said: Said) -> None:
        """The head is *parts*, each a text and the name of the value behind it, and then *end*."""
        self._parts = parts
        self._end = end
        self.said = said

    @classmethod
    def of(cls, data: bytes, said: Said, *, headers: int) -> "KnownHead[Said] | None":
        """The head that *data* begins with, in which llhttp found so many *headers*.

        None when it is not there whole, is written in a way that two readers could cut differently,
        or does not tell one length.
        """
        end = data.find(_END)
        lines = data[: max(0, end)].split(_BREAK)
        if len(lines) != headers + 1 or any(b"\n" in line or b"\r" in line for line in lines):
            return None
        names = [line.partition(b":")[0].lower() for line in lines]
        places = sorted(names.index(name) for name in (LENGTH, SESSION, USER) if name in names)
        found = [names[at] for at in places]
        if LENGTH not in found or any(names.count(name) > 1 for name in found):
            return None
        parts: list[tuple[bytes, bytes]] = []
        done = 0
        for name, at in zip(found, places, strict=True):
            start = len(_BREAK.join((*lines[:at], b""))) + len(name) + 1
            parts.append((data[done:start], name))
            done = start + len(lines[at]) - len(name) - 1
        return cls(parts, data[done : end + len(_END)], said)

    def match(self, data: bytes) -> NextHead | None:
        """What is different in the head that *data* begins with, if that is known."""
        values: dict[bytes, bytes] = {}
        at = 0
        for text, name in self._parts:
            if not data.startswith(text, at):
                return None
            start = at + len(text)
            at = data.find(_BREAK, start, start + _LONGEST)
            if at < 0:
                return None
            values[name] = data[start:at].strip(b" \t")
        digits = values[LENGTH]
        if not data.startswith(self._end, at) or not digits.isdigit() or len(digits) > _MOST_DIGITS:
            return None
        return NextHead(int(digits), values.get(SESSION), values.get(USER), at + len(self._end))
