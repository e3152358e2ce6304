"""Token counts at the end of a reply that is not recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.wire.usage import model_in, usage_in


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b'"usage"',
        b'"usage": null}',
        b'"usage": {"prompt_tokens": 1',
        b'"usage": [1]',
        b'"usage" and then {"a": 1}',
        b'"usage": ' + b'{"a":' * 2000,
    ],
    ids=lambda tail: tail[:30].decode(),
)
def test_a_tail_without_whole_usage_has_none(tail: bytes) -> None:
    """Half an object, another type or none at all is no usage, and no error."""
    assert usage_in(tail) is None


def test_the_last_usage_counts() -> None:
    """Some upstreams count in every chunk; the last word is the sum."""
    tail = b'{"usage": {"total_tokens": 1}}\n\n{"usage":{"total_tokens": 9}}\n\ndata: [DONE]'

    assert usage_in(tail) == '{"total_tokens": 9}'


def test_a_null_after_the_counts_does_not_hide_them() -> None:
    """A last chunk with `usage: null` says nothing about the one before it."""
    tail = b'{"usage": {"total_tokens": 9}} {"usage": null}'

    assert usage_in(tail) == '{"total_tokens": 9}'


def test_a_tail_may_begin_inside_a_character() -> None:
    """It is cut by bytes, so that its first character may be half of one."""
    assert usage_in("说".encode()[1:] + b'"usage": {"total_tokens": 2}}') == '{"total_tokens": 2}'


@given(st.binary())
def test_no_bytes_make_it_fail(tail: bytes) -> None:
    """Whatever the upstream sends, looking for usage never raises."""
    usage_in(tail)


@pytest.mark.parametrize(
    ("beginning", "tail", "model"),
    [
        (b'{"id": "c", "model": "m-1", "choices": [', b'"model": "x"', "m-1"),
        (b'data: {"model":"m-1"}\n\ndata: {"model":"m-2"}', b"", "m-1"),
        (b'{"data": [0.1, 0.2', b'0.3], "model": "em\\u00e9", "usage": {}}', "em\u00e9"),
        (b"", b'{"model": "a"} {"model": "b"}', "b"),
        (rb'{"content": "\"model\": \"x\""', b"", None),
        (b'{"object": "model", "id": "m"}', b"", None),
        (b'{"model": null}', b'"model": ""', None),
        (b'"model": "cut o', b'"model": "' + b"x" * 300 + b'"', None),
        (rb'"model": "a\ud800"', b"", "a\ufffd"),
        (rb'"model": "\x"', b"", None),
    ],
)
def test_a_reply_names_its_model(beginning: bytes, tail: bytes, model: str | None) -> None:
    """At the beginning, else as late as possible; what somebody said is no name."""
    assert model_in(beginning, tail) == model


@given(st.binary())
def test_no_bytes_make_a_model_fail(data: bytes) -> None:
    """Whatever the upstream sends, looking for the model never raises."""
    model_in(b'"model":"' + data + b'"', data)
