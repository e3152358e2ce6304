"""The upstream's word for an error: its code or type, and nothing that somebody said."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.model import Json
from officeai_proxy.wire.error_words import error_word_in


def word_of(error: Json, *, kind: str = "application/json") -> str | None:
    """The word in a body that holds *error* as servers do."""
    body = json.dumps({"error": error}).encode()
    return error_word_in(body, content_type=kind, content_encoding="")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (
            {"message": "m", "type": "requests", "code": "rate_limit_exceeded"},
            "rate_limit_exceeded",
        ),
        ({"message": "m", "type": "invalid_request_error", "code": None}, "invalid_request_error"),
        ({"message": "m", "type": "BadRequestError", "code": 400}, "400"),
        ({"message": "m", "code": "DeploymentNotFound"}, "DeploymentNotFound"),
        ({"message": "m", "code": "http.400-bad"}, "http.400-bad"),
        ({"message": "m", "code": "You said: secret", "type": "plain"}, "plain"),
        ({"message": "secret"}, None),
        ("secret", None),
        (None, None),
    ],
)
def test_the_code_or_else_the_type(error: Json, word: str | None) -> None:
    """As in the call log of recorded calls, without the message."""
    assert word_of(error) == word


@pytest.mark.parametrize(
    "said",
    [
        "two words",
        "sk-proj-Ab12Cd34",
        "ann@example.com",
        "0123456789",
        "x" * 33,
        "a-" * 33 + "a",
        "名",
    ],
)
def test_what_is_no_plain_word_is_left_out(said: str) -> None:
    """Keys, addresses, numbers of somebody, sentences."""
    assert word_of({"message": "m", "code": said, "type": said}) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b"5", b"\xff", b"[" * 4000])
def test_what_is_no_error_has_no_word(body: bytes) -> None:
    """Nothing is guessed, and nothing fails."""
    for encoding in ("", "gzip", "br"):
        assert error_word_in(body, content_type="", content_encoding=encoding) is None


def test_a_packed_body_is_read_within_bounds() -> None:
    """Upstreams compress errors as well; a bomb is none."""
    body = json.dumps({"error": {"message": "m", "code": "c"}}).encode()
    bomb = json.dumps({"error": {"message": "m" * 100_000, "code": "c"}}).encode()
    for text, word in ((body, "c"), (bomb, None)):
        packed = gzip.compress(text)
        assert error_word_in(packed, content_type="", content_encoding="gzip") == word


@given(
    st.binary(max_size=60), st.sampled_from([b"", b'{"error":', b"data: {", b'{"error":{"code":'])
)
def test_any_bytes_give_a_word_or_none(data: bytes, before: bytes) -> None:
    """Whatever an upstream sends."""
    word = error_word_in(before + data, content_type="text/plain", content_encoding="")
    assert word is None or len(word) <= 64
