"""Files to UTF-8, in pieces and in lines."""

import codecs
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.formats.reading.encoded import CHUNK, lines, utf8_pieces, whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_every_encoding_becomes_utf8(encoding: str) -> None:
    """A byte order mark goes, and UTF-16 that has one becomes UTF-8, across pieces too."""
    text = "中文😀x" * CHUNK
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""

    assert b"".join(utf8_pieces(BytesIO(mark + text.encode(encoding)))) == text.encode()


def test_an_empty_file_has_nothing() -> None:
    """No bytes give no bytes."""
    assert b"".join(utf8_pieces(BytesIO(b""))) == b""


def test_half_a_character_of_utf16_is_replaced() -> None:
    """UTF-16 that breaks off gives what was whole."""
    data = codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"c"

    assert b"".join(utf8_pieces(BytesIO(data))).decode() == "ab\ufffd"


@given(
    data=st.lists(st.sampled_from([b"a", b"\n", b"\n\n", b"bc"]), max_size=12).map(b"".join),
    size=st.integers(1, 5),
)
def test_lines(data: bytes, size: int) -> None:
    """Lines are the same whatever the pieces; the last needs no end."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    found = list(lines(pieces, limit=100))

    expected = data.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("size", [1, 100])
def test_a_long_line_is_left_out(size: int) -> None:
    """A line over the limit is told without its text; the next one is whole again."""
    data = b"short\n" + b"x" * 20 + b"\nnext\n" + b"y" * 20

    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    assert list(lines(pieces, limit=10)) == [b"short", None, b"next", None]


def test_whole() -> None:
    """All of a text, or nothing of one that is too long."""
    assert whole([b"ab", b"c"], limit=3) == b"abc"
    assert whole([b"ab", b"cd"], limit=3) is None
