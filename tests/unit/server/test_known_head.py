"""A head that was read before is known again by its bytes, and a different one never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.server.known_head import KnownHead, NextHead

LINES = [
    b"POST /v1/chat/completions HTTP/1.1",
    b"Host: localhost:8000",
    b"Authorization: Bearer sk-1",
    b"X-Session-ID: first",
    b"X-User-ID:  ann\t",
    b"content-length: 17",
    b"Accept: */*",
]
HEADERS = len(LINES) - 1
SAID = "what it meant"


def head(**changed: bytes) -> bytes:
    """The head, with other lines in the place of the n-th: `l3=b"..."`."""
    lines = [changed.get(f"l{at}", line) for at, line in enumerate(LINES)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def known(data: bytes = head(), *, headers: int = HEADERS) -> KnownHead[str]:
    """The known head of *data*."""
    made = KnownHead.of(data, SAID, headers=headers)
    assert made is not None
    return made


def test_the_same_head_is_known_and_says_the_same() -> None:
    """Bytes behind the head are the body's."""
    found = known().match(head() + b"{} and more")

    assert found == NextHead(17, b"first", b"ann", len(head()))
    assert known().said == SAID


def test_length_and_names_may_be_different() -> None:
    """They are given back without the white space around them."""
    other = head(l3=b"X-Session-ID:second one ", l4=b"X-User-ID: bob", l5=b"content-length:5")

    assert known().match(other) == NextHead(5, b"second one", b"bob", len(other))


def test_a_head_without_names_has_none() -> None:
    """Calls that are not recorded name no session."""
    lines = [line for line in LINES if not line.startswith(b"X-")]
    data = b"\r\n".join(lines) + b"\r\n\r\n"

    assert known(data, headers=len(lines) - 1).match(data) == NextHead(17, None, None, len(data))


DIFFERENT = {
    "another-key": head(l2=b"Authorization: Bearer sk-2"),
    "another-target": head(l0=b"POST /v1/chat/completions?x HTTP/1.1"),
    "another-case": head(l3=b"x-session-id: first"),
    "a-line-more": head(l6=b"Accept: */*\r\nX-Record: off"),
    "a-line-less": b"\r\n".join(LINES[:-1]) + b"\r\n\r\n",
    "two-lengths": head(l6=b"Content-Length: 5"),
    "chunks": head(l6=b"Transfer-Encoding: chunked"),
    "no-length": head(l5=b"content-length: "),
    "signed-length": head(l5=b"content-length: +5"),
    "two-numbers": head(l5=b"content-length: 5, 5"),
    "long-length": head(l5=b"content-length: 1234567890"),
    "other-digits": head(l5="content-length: \u0661".encode()),
    "not-whole": head()[:-1],
    "too-long": head(l3=b"X-Session-ID: " + b"s" * 2000),
}


@pytest.mark.parametrize("data", DIFFERENT.values(), ids=DIFFERENT)
def test_a_head_that_is_different_elsewhere_is_not_known(data: bytes) -> None:
    """It goes to llhttp, which knows what it means or refuses it."""
    assert known().match(data) is None


UNUSABLE = {
    "bare-line-feed": (head(l6=b"Accept: a\nX: b"), HEADERS),
    "bare-carriage-return": (head(l6=b"Accept: a\rb"), HEADERS),
    "another-count": (head(), HEADERS + 1),
    "two-lengths": (head(l6=b"Content-Length: 17"), HEADERS),
    "two-sessions": (head(l6=b"x-session-id: first"), HEADERS),
    "no-length": (head(l5=b"X: 1"), HEADERS),
    "not-whole": (head()[:-2], HEADERS),
    "nothing": (b"", 0),
}


@pytest.mark.parametrize(("data", "headers"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_head_that_could_be_cut_differently_is_not_kept(data: bytes, headers: int) -> None:
    """Whatever llhttp made of it, it is not looked for again."""
    assert KnownHead.of(data, SAID, headers=headers) is None


@given(st.data())
def test_one_byte_elsewhere_and_it_is_not_known(data: st.DataObject) -> None:
    """Only three values are free; a byte more, less or other anywhere else makes it unknown."""
    at = data.draw(st.integers(0, len(head()) - 1))
    byte = data.draw(st.binary(min_size=0, max_size=2).filter(lambda b: b != head()[at : at + 1]))
    other = head()[:at] + byte + head()[at + 1 :]
    found = known().match(other)
    if found is not None:
        lines = other[: found.end - 4].split(b"\r\n")
        assert [line for n, line in enumerate(lines) if n not in (3, 4, 5)] == [
            line for n, line in enumerate(LINES) if n not in (3, 4, 5)
        ]
        assert int(lines[5].partition(b":")[2]) == found.length
