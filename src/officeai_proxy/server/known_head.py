"""The head of a request that was read before in, what is different in the next one out.

A client sends the same head with every call of a connection, but for the length of the body and
the names of session and user. llhttp has read it once; what it said need not be read again. Nothing
here decides what a head means: a head that differs in anything else is not known.
"""

from typing import Generic, NamedTuple, TypeVar

LENGTH, SESSION, USER = b"content-length", b"x-session-id", b"x-user-id"

_BREAK, _END = b"\r\n", b"\r\n\r\n"
_MOST_DIGITS = 9

_LONGER = 600
"""By how many bytes a head may be longer than the known one: two names, and some digits."""

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
    """A head in its lines, of which three may be different; `said` is whatever it meant."""

    __slots__ = ("_lines", "_places", "_reach", "said")

    def __init__(self, lines: list[bytes], places: dict[bytes, int], said: Said) -> None:
        """The head has *lines*, those that may differ at *places*."""
        self._lines = lines
        self._places = [(name, at, lines[at][: len(name) + 1]) for name, at in places.items()]
        self._reach = sum(map(len, lines)) + len(_BREAK) * len(lines) + _LONGER
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
        places = {name: names.index(name) for name in (LENGTH, SESSION, USER) if name in names}
        if LENGTH not in places or any(names.count(name) > 1 for name in places):
            return None
        return cls(lines, places, said)

    def match(self, data: bytes) -> NextHead | None:
        """What is different in the head that *data* begins with, if that is known."""
        end = data.find(_END, 0, self._reach)
        lines = data[: max(0, end)].split(_BREAK)
        known = self._lines
        if len(lines) != len(known):
            return None
        values: dict[bytes, bytes] = {}
        for name, at, start in self._places:
            line = lines[at]
            if not line.startswith(start):
                return None
            values[name] = line[len(start) :].strip(b" \t")
            lines[at] = known[at]
        digits = values[LENGTH]
        if lines != known or not digits.isdigit() or len(digits) > _MOST_DIGITS:
            return None
        return NextHead(int(digits), values.get(SESSION), values.get(USER), end + len(_END))
