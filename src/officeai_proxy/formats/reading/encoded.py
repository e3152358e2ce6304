"""A file's bytes in, the same text as UTF-8 out, in pieces or lines; never the whole file at once.

Windows PowerShell writes UTF-16 with a byte order mark when it saves what a command prints, so
files that went through it are read too.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

CHUNK = 256 * 1024

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def utf8_pieces(file: BinaryIO) -> Iterator[bytes]:
    """What *file* holds from where it stands, as UTF-8 without a byte order mark.

    What is said to be UTF-8 is not checked; what cannot be UTF-16 becomes U+FFFD.
    """
    first = file.read(CHUNK)
    pieces = chain([first], iter(lambda: file.read(CHUNK), b""))
    for mark, encoding in _UTF16.items():
        if first.startswith(mark):
            return _without_mark(_recoded(pieces, encoding))
    return _without_mark(pieces)


def _recoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    yield from pieces


def lines(pieces: Iterable[bytes], *, limit: int) -> Iterator[bytes | None]:
    """The lines of a text in pieces, without their ends; None for one over *limit* bytes."""
    line = bytearray()
    is_too_long = False
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line += end
            yield None if is_too_long or len(line) > limit else bytes(line)
            line.clear()
            is_too_long = False
        line += rest
        if len(line) > limit:
            is_too_long = True
            line.clear()
    if line or is_too_long:
        yield None if is_too_long else bytes(line)


def whole(pieces: Iterable[bytes], *, limit: int) -> bytes | None:
    """All of *pieces*; None when that is more than *limit* bytes."""
    text = bytearray()
    for piece in pieces:
        text += piece
        if len(text) > limit:
            return None
    return bytes(text)
