"""Inputs for fuzzers: what is kept in the corpus, and what mangling makes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

CORPUS = Path(__file__).parent / "corpus"

FRAGMENTS = (
    b"",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\\ud800",
    b"\\u0000",
    b'"',
    b"\\",
    b"[" * 300,
    b'{"a":' * 300,
    b"9" * 5000,
    b"1e400",
    b"NaN",
    b"null",
    b"true",
    b"data:",
    b"data: [DONE]\n\n",
    b"OAJ1",
    b"PK\x03\x04",
    b"/",
    b"%00",
    b"\xe2\x80\xa8",
    b"\xe4\xb8\xad\xe6\x96\x87",
)
"""What parsers stumble over."""


def seeds(folder: str) -> list[bytes]:
    """All files of one part of the corpus, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / folder).iterdir())]


def every_seed(folder: str) -> pytest.MarkDecorator:
    """A test's `data` in turn: each file of the corpus, with the file's name for an id."""
    paths = sorted((CORPUS / folder).iterdir())
    assert paths
    return pytest.mark.parametrize(
        "data", [p.read_bytes() for p in paths], ids=[p.name for p in paths]
    )


def mangled(folder: str) -> st.SearchStrategy[bytes]:
    """A file of the corpus with some bytes taken out and others put in; or any bytes at all."""
    fragment = st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8))
    edit = st.tuples(st.integers(0, 2000), st.integers(0, 20), fragment)
    changed = st.builds(_edited, st.sampled_from(seeds(folder)), st.lists(edit, max_size=6))
    return st.one_of(changed, changed, st.binary(max_size=400))


def fuzzed(
    **inputs: st.SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hypothesis with the profile of the fuzzers."""

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        return settings(settings.get_profile("fuzz"))(given(**inputs)(test))

    return decorated


def tried(call: Callable[[], T], *declared: type[E]) -> tuple[T | None, E | None]:
    """What *call* gives, or the error that it raises; only the *declared* ones may come."""
    try:
        return call(), None
    except declared as error:
        return None, error


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, new in edits:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + gone :]
    return data
