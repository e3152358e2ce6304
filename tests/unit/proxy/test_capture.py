"""What is kept of a call: of one that is not recorded its usage, where it spent something."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.model import Caller, Exchange, Limits, Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import TAIL, Capture
from officeai_proxy.proxy.metering import MeteredCapture
from officeai_proxy.proxy.upstream import Header, UpstreamRequest

JSON: list[Header] = [(b"content-type", b"application/json")]
REPLY = json.dumps({"id": "resp_1", "usage": {"total_tokens": 33}}).encode()
READING = ["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"]


def a_call(method: str) -> Call:
    """A call to an address that is not recorded."""
    return Call(
        id=UUID(int=1),
        caller=Caller("k"),
        method=method,
        path="/v1/responses",
        client_ip="10.0.0.1",
        started_ns=1,
        started_mono=1,
        request=UpstreamRequest(method.encode(), b"/v1/responses", [], None, None),
    )


def exchange_of(method: str, *pieces: bytes, status: int = 200) -> Exchange:
    """What is kept of a call by *method* that got *pieces*."""
    kept: list[Exchange] = []
    capture = Capture(
        a_call(method), upstream="u", limit=100, keep=lambda _, exchange: kept.append(exchange)
    )
    capture.head(status, JSON)
    for piece in pieces:
        capture.take(piece)
    capture.settle(Outcome.COMPLETE)
    return kept[0]


@pytest.mark.parametrize("size", [7, 100, 250])
def test_a_reply_is_kept_up_to_the_limit_however_it_comes(size: int) -> None:
    """Under load much of it comes at a time; a piece that is too large is not left out whole."""
    kept: list[Exchange] = []
    call = replace(a_call("POST"), session="s", is_recorded=True)
    capture = Capture(call, upstream="u", limit=100, keep=lambda _, exchange: kept.append(exchange))
    reply = bytes(range(250))
    capture.head(200, JSON)
    for start in range(0, len(reply), size):
        capture.take(reply[start : start + size])
    capture.settle(Outcome.COMPLETE)

    assert (kept[0].reply, kept[0].outcome) == (reply[:100], Outcome.TRUNCATED)


@pytest.mark.parametrize("method", READING)
def test_what_is_read_back_has_no_usage(method: str) -> None:
    """A response tells its usage whenever it is read; it was spent once."""
    assert exchange_of(method, REPLY).usage is None


def test_what_is_made_has_the_usage_of_its_reply() -> None:
    """A POST made what it got."""
    assert exchange_of("POST", REPLY).usage == '{"total_tokens": 33}'


@pytest.mark.parametrize("size", [TAIL, 3 * TAIL])
def test_a_reply_may_tell_its_usage_at_the_beginning(size: int) -> None:
    """Perplexity tells it before the sources and the answer."""
    reply = json.dumps({"usage": {"total_tokens": 33}, "text": "x" * size}).encode()
    assert exchange_of("POST", reply[:500], reply[500:]).usage == '{"total_tokens": 33}'


def test_the_end_of_a_reply_tells_better_than_its_beginning() -> None:
    """Where both tell, the end has counted all of it."""
    reply = {"usage": {"total_tokens": 1}, "text": "x" * 3 * TAIL, "more": {"usage": {"n": 2}}}
    assert exchange_of("POST", json.dumps(reply).encode()).usage == '{"n": 2}'


REFUSAL = json.dumps({"error": {"message": "You said: secret", "code": "too_much"}}).encode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refusal_leaves_the_upstreams_word_for_it(method: str) -> None:
    """Nothing of the message, however the body came in pieces; and no word of a good reply."""
    assert exchange_of(method, REFUSAL[:9], REFUSAL[9:], status=429).error == "too_much"
    assert exchange_of(method, REFUSAL).error is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, Outcome.UPSTREAM_ERROR), ("body_too_large: …", Outcome.CLIENT_CLOSED)],
    ids=["the upstream's", "our own"],
)
def test_whose_refusal_it_is_where_the_caller_is_gone(error: str | None, outcome: Outcome) -> None:
    """SDKs hang up at an upstream's refusal; what we refuse in the middle is the caller's doing."""
    kept: list[Exchange] = []
    capture = Capture(
        a_call("POST"), upstream="u", limit=100, keep=lambda _, exchange: kept.append(exchange)
    )
    capture.head(413, JSON)
    capture.settle(Outcome.CLIENT_CLOSED, error=error)

    assert kept[0].outcome is outcome


def test_half_a_refusal_leaves_no_word() -> None:
    """Where the beginning of a body is gone, what is left may say anything."""
    assert exchange_of("POST", b" " * 10 * TAIL, REFUSAL, status=500).error is None


@pytest.mark.parametrize(("method", "left"), [*((name, 1000) for name in READING), ("POST", 967)])
def test_only_what_makes_something_takes_tokens_of_a_key(
    tmp_path: Path, method: str, left: int
) -> None:
    """Neither the usage that a reply tells nor its size is charged to whoever reads."""
    ledger, limits = Ledger(tmp_path), Limits(tpm=1000)
    lease = ledger.admit("k", limits)
    capture = MeteredCapture(a_call(method), lease, upstream="u", limit=100, keep=lambda *_: None)
    capture.head(200, JSON)
    capture.take(REPLY)
    capture.settle(Outcome.COMPLETE)

    headers = dict(ledger.admit("k", limits).headers)

    assert headers[b"x-ratelimit-remaining-tokens"] == str(left).encode()
