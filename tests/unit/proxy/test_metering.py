"""The tokens of a call, from what came of its reply."""

import json

import pytest

from officeai_proxy.model import Outcome
from officeai_proxy.proxy.capture import TAIL
from officeai_proxy.proxy.metering import Meter, tokens_in

JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def a_meter(*pieces: bytes, status: int | None = 200, headers: object = JSON) -> Meter:
    meter = Meter(prompt_tokens=100)
    if status is not None:
        meter.head(status, headers)  # type: ignore[arg-type]  # a list of pairs
    for piece in pieces:
        meter.take(piece)
    return meter


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_failed_call_costs_nothing(status: int):
    """An upstream that refuses has used nothing, whatever stands in its body."""
    meter = a_meter(json.dumps({"usage": USAGE}).encode(), status=status)

    assert meter.tokens(Outcome.COMPLETE) == 0


def test_a_call_that_was_never_answered():
    """An upstream that failed has used nothing; a caller who left first is charged the question."""
    assert a_meter(status=None).tokens(Outcome.UPSTREAM_ERROR) == 0
    assert a_meter(status=None).tokens(Outcome.CLIENT_CLOSED) == 100


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ["x" * 3 * TAIL], "usage": USAGE},
        {"usage": USAGE, "choices": ["x" * 3 * TAIL]},
        {"output": [], "usage": {"input_tokens": 3, "output_tokens": 5}},
    ],
)
def test_what_the_upstream_counted_counts(body: dict[str, object]):
    """Wherever the reply says it, however it arrives in pieces."""
    text = json.dumps(body).encode()
    for size in (1000, 7):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]

        assert a_meter(*pieces).tokens(Outcome.COMPLETE) == 8


def test_what_nobody_counted_is_estimated():
    """An event is about a token; four bytes of other text are; sound and pictures are not."""
    event = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'

    assert a_meter(*[event] * 7, headers=EVENTS).tokens(Outcome.UPSTREAM_ERROR) == 107
    assert a_meter(b"x" * 400).tokens(Outcome.COMPLETE) == 200
    assert a_meter(b"x" * 400, headers=[]).tokens(Outcome.COMPLETE) == 100


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, None),
        ("{}", None),
        ('{"total_tokens": "8"}', None),
        ('{"total_tokens": -8}', None),
        ('{"total_tokens": true}', None),
        ('{"total_tokens": 1e3}', None),
        ('{"total_tokens": 99999999999999999999}', 10**12),
        ('{"prompt_tokens": 3}', 3),
        ('{"prompt_tokens": 3, "input_tokens": 3, "output_tokens": 5}', 8),
        ('{"total_tokens": 0}', 0),
    ],
)
def test_numbers_of_an_upstream_are_not_trusted(usage: str | None, tokens: int | None):
    """What is no count is not told; what no call can use is cut to what can be stored."""
    assert tokens_in(usage) == tokens
