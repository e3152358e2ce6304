"""One call between two connections: what passes, how it may end, and what is recorded of it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from officeai_proxy.errors import ProxyError, UpstreamBroke, UpstreamTimedOut
from officeai_proxy.model import Caller, Exchange, Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import Capture
from officeai_proxy.proxy.relay import Relay
from officeai_proxy.proxy.upstream import Header, UpstreamRequest, WentStale

JSON: list[Header] = [(b"content-type", b"application/json"), (b"content-length", b"2")]


@dataclass
class FakeCaller:
    """The caller's connection."""

    is_full: bool = False
    sent: list[tuple[int | None, bytes, bool]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    refused: list[ProxyError] = field(default_factory=list)
    is_broken_off: bool = False
    fault: Exception | None = None

    def reply(self, head: tuple[int, list[Header]] | None, body: bytes, *, is_over: bool) -> bool:
        if self.fault is not None:
            raise self.fault
        self.headers += head[1] if head else []
        self.sent.append((head[0] if head else None, body, is_over))
        return self.is_full

    def pass_chunk(self, piece: bytes, framed: bytes) -> bool:
        return self.reply(None, piece, is_over=False) and framed != b""

    def refuse(self, error: ProxyError, headers: list[Header]) -> None:
        self.headers += headers
        self.refused.append(error)

    def break_off(self) -> None:
        self.is_broken_off = True


@dataclass
class FakeExchange:
    """The upstream's connection."""

    begun: list[str] = field(default_factory=list)
    is_aborted: bool = False
    resumed: int = 0

    def begin(self) -> None:
        self.begun.append("kept")

    def begin_anew(self) -> None:
        self.begun.append("new")

    def resume(self) -> None:
        self.resumed += 1

    def abort(self) -> None:
        self.is_aborted = True


class Relayed:
    """A relay with everything around it."""

    def __init__(self, *, finishes_alone: bool = False) -> None:
        """A call that has been sent."""
        self.kept: list[Exchange] = []
        self.ends = 0
        call = Call(
            id=UUID(int=1),
            caller=Caller("k"),
            method="POST",
            path="/v1/chat/completions",
            client_ip="::1",
            started_ns=0,
            started_mono=0,
            request=UpstreamRequest(b"POST", b"/", [], b"{}"),
            is_recorded=True,
            session="s",
            body=b"{}",
        )
        self.caller, self.exchange = FakeCaller(), FakeExchange()
        self.relay = Relay(
            call,
            Capture(call, upstream="u", limit=1000, keep=self._keep),
            self.caller,
            finishes_alone=finishes_alone,
            on_over=self._over,
        )
        self.relay.connect(self.exchange)  # type: ignore[arg-type]  # it has what a relay calls
        self.relay.begin()

    def _keep(self, _: Capture, exchange: Exchange) -> None:
        self.kept.append(exchange)

    def _over(self, _: Relay) -> None:
        self.ends += 1

    def came(self, *pieces: bytes, head: list[Header] | None = None, status: int = 200) -> bool:
        """One read brought this; whether the upstream has to wait."""
        if head is not None:
            self.relay.put_head(status, head)
        for piece in pieces:
            self.relay.put(piece)
        return self.relay.arrived()

    @property
    def outcome(self) -> Outcome:
        [exchange] = self.kept
        return exchange.outcome


def test_what_one_read_brings_leaves_in_one_piece():
    """Head and body together, recorded before they leave, and the call is over once."""
    it = Relayed()
    it.relay.put_head(200, JSON)
    it.relay.put(b"{")
    it.relay.put(b"}")
    it.relay.finish()
    it.relay.arrived()

    assert it.caller.sent == [(200, b"{}", True)]
    assert (b"x-session-id", b"s") in it.caller.headers
    assert it.outcome is Outcome.COMPLETE
    assert (it.kept[0].reply, it.ends, it.exchange.is_aborted) == (b"{}", 1, False)


def test_the_end_of_a_stream_is_recorded_before_it_leaves():
    """`[DONE]` may be the last thing that a client waits for."""
    it = Relayed()
    it.came(b"data: {}\n\n", head=[])
    assert it.kept == []
    it.came(b"data: [DONE]\n\n")

    assert it.outcome is Outcome.COMPLETE
    assert [is_over for _, _, is_over in it.caller.sent] == [False, False]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamBroke("it broke"), Outcome.UPSTREAM_ERROR),
        (UpstreamTimedOut("it was silent"), Outcome.UPSTREAM_TIMEOUT),
    ],
)
def test_a_failure_is_told_before_the_head_and_breaks_off_after_it(
    error: ProxyError, outcome: Outcome
):
    """What had come is passed on and kept; no end is invented."""
    early, late = Relayed(), Relayed()
    early.relay.fail(error)
    late.relay.put_head(200, [])
    late.relay.put(b"half")
    late.relay.fail(error)

    assert (early.caller.refused, early.outcome) == ([error], outcome)
    assert early.kept[0].status == error.status
    assert late.caller.sent == [(200, b"half", False)]
    assert (late.caller.is_broken_off, late.outcome, late.kept[0].reply) == (True, outcome, b"half")
    assert (early.ends, late.ends) == (1, 1)


def test_a_dead_connection_is_replaced_only_while_nothing_came():
    """A request that may have been worked on is not sent twice."""
    stale = WentStale("it was closed")
    it = Relayed()
    it.relay.fail(stale)
    assert (it.exchange.begun, it.kept) == (["kept", "new"], [])

    it.came(b"x", head=[])
    it.relay.fail(stale)
    assert it.exchange.begun == ["kept", "new"]
    assert it.caller.is_broken_off


def test_a_caller_who_leaves_ends_the_call_or_does_not():
    """The upstream is given up, or read to its end when the settings say so."""
    gone, alone = Relayed(), Relayed(finishes_alone=True)
    for it in (gone, alone):
        it.came(b"one ", head=[])
        it.relay.caller_left()
        it.came(b"two")
        it.relay.finish()
        it.relay.arrived()

    assert (gone.outcome, gone.kept[0].reply) == (Outcome.CLIENT_CLOSED, b"one ")
    assert gone.exchange.is_aborted
    assert (alone.outcome, alone.kept[0].reply) == (Outcome.COMPLETE, b"one two")
    assert len(alone.caller.sent) == len(gone.caller.sent) == 1
    assert (gone.ends, alone.ends) == (1, 1)


def test_the_upstream_waits_for_a_slow_caller():
    """A full connection pauses the upstream's; room resumes it; nobody is waited for who left."""
    it = Relayed(finishes_alone=True)
    it.caller.is_full = True
    assert it.came(b"one ", head=[])
    it.relay.has_room()
    assert it.exchange.resumed == 1

    it.relay.caller_left()
    assert not it.came(b"two")
    assert it.exchange.resumed == 2


def test_a_chunk_that_comes_alone_is_passed_on_and_kept():
    """It goes the way of what is parsed: it is recorded, and a slow caller is waited for."""
    it = Relayed()
    it.relay.put_head(200, [])
    assert not it.relay.chunk(b"one\n", b"4\r\none\n\r\n")
    it.caller.is_full = True
    assert it.relay.chunk(b"two\n", b"4\r\ntwo\n\r\n")
    it.relay.chunk(b"data: [DONE]\n\n", b"e\r\ndata: [DONE]\n\n\r\n")
    # The record is there before the last line is.
    assert it.outcome is Outcome.COMPLETE
    it.relay.finish()
    it.relay.arrived()
    assert not it.relay.chunk(b"more", b"4\r\nmore\r\n")

    assert [body for _, body, _ in it.caller.sent] == [b"one\n", b"two\n", b"data: [DONE]\n\n", b""]
    assert it.kept[0].reply == b"one\ntwo\ndata: [DONE]\n\n"


def test_a_fault_of_ours_in_a_chunk_ends_one_call(caplog: pytest.LogCaptureFixture):
    """As anywhere else: it is logged, and both connections are closed."""
    it = Relayed()
    it.came(b"x", head=[])
    it.caller.fault = RuntimeError("a bug")
    assert not it.relay.chunk(b"one", b"3\r\none\r\n")

    assert "a call failed inside the proxy" in caplog.text
    assert (it.caller.is_broken_off, it.exchange.is_aborted, it.ends) == (True, True, 1)


def test_the_end_of_the_program_cuts_and_tells():
    """A call without a reply gets 503, one in the middle is broken off, both are recorded."""
    early, late = Relayed(), Relayed()
    late.came(b"half", head=[])
    for it in (early, late):
        it.relay.cut()
        it.relay.cut()

    assert [error.status for error in early.caller.refused] == [503]
    assert late.caller.is_broken_off
    assert early.outcome is late.outcome is Outcome.SHUTDOWN
    assert (early.ends, late.ends) == (1, 1)


def test_a_refused_upstream_key_is_not_the_callers_fault():
    """The upstream's 401 becomes a 502 that says whose key it was."""
    it = Relayed()
    it.came(b"{}", head=JSON, status=401)

    assert [error.status for error in it.caller.refused] == [502]
    assert it.exchange.is_aborted


def test_a_fault_of_ours_ends_one_call(caplog: pytest.LogCaptureFixture):
    """It is logged, the caller's connection is closed, and the upstream's is given up."""
    it = Relayed()
    it.caller.fault = RuntimeError("a bug")
    it.came(b"x", head=[])

    assert "a call failed inside the proxy" in caplog.text
    assert it.caller.is_broken_off
    assert (it.exchange.is_aborted, it.ends) == (True, 1)


def test_nothing_is_left_that_goes_round_in_circles():
    """When a call is over it does not know its connection any more."""
    it: Any = Relayed()
    it.came(b"{}", head=JSON)
    it.relay.finish()
    it.relay.arrived()

    assert it.relay._exchange is None
