"""SIGTERM: no new connections, running calls may finish within the grace period, exit code 0."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from tests.conftest import StartProxy
from tests.journey.gates import Gate
from tests.journey.test_workers import workers_of
from tests.journey.wires import PATIENCE, Wire, until
from tests.proxies import RunningProxy
from tests.timing import soon
from tests.upstream import Answer, ReceivedRequest, Script, ScriptedUpstream, stream_of

EVENTS = stream_of("one two three four")

pytestmark = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


def events_around(gate: Gate) -> Script:
    """A script that waits at *gate* after its third event."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in EVENTS[:3]:
            await answer.chunk(event)
        await gate.passed()
        for event in EVENTS[3:]:
            await answer.chunk(event)
        await answer.end_chunks()

    return script


async def never(_: ReceivedRequest, answer: Answer) -> None:
    await answer.until_client_closes()


def ended(proxy: RunningProxy) -> int:
    """The exit code; waits for the end."""
    code = proxy.process.wait(PATIENCE)
    proxy.stop()
    return code


def restarted(start_proxy: StartProxy, old: RunningProxy) -> RunningProxy:
    """The program again, on the data of *old*."""
    return start_proxy(DATA_DIR=str(old.folder / "data"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_program_ends_at_once(start_proxy: StartProxy, number: int) -> None:
    """Without running calls any of them ends the program within two seconds, with exit code 0."""

    def seconds_to_end() -> float:
        proxy = start_proxy()
        with Wire(proxy) as idle:
            idle.ask("GET", "/v1/models")
            idle.reply()
            told = time.monotonic()
            proxy.process.send_signal(number)
            assert ended(proxy) == 0
            took = time.monotonic() - told
        assert "Traceback" not in proxy.stderr()
        return took

    soon(seconds_to_end, within=2)


def test_a_signal_to_open_logs_anew_ends_nothing(start_proxy: StartProxy) -> None:
    """There is no log file; SIGUSR1 by itself kills a program that does not know it."""
    proxy = start_proxy()
    proxy.process.send_signal(signal.SIGUSR1)
    assert proxy.get("/health/live").status_code == 200
    assert proxy.stop() == 0


def test_what_is_to_outlive_its_terminal_does(start_proxy: StartProxy) -> None:
    """`nohup` has SIGHUP ignored, and it stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        proxy = start_proxy()
    finally:
        signal.signal(signal.SIGHUP, before)
    proxy.process.send_signal(signal.SIGHUP)
    assert proxy.get("/health/live").status_code == 200
    assert proxy.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_running_stream_may_finish(
    start_proxy: StartProxy, upstream: ScriptedUpstream, gate: Gate, number: int
) -> None:
    """A stream goes on to its end after a signal, and is recorded whole; new calls find no door."""
    upstream.script = events_around(gate)
    proxy = start_proxy(GRACE_SECONDS="20")
    with Wire(proxy) as wire:
        wire.say("hello", "s1", stream=True)
        wire.head()
        wire.content(len(b"".join(EVENTS[:3])))
        proxy.process.send_signal(number)
        until(lambda: _refuses_connections(proxy))
        gate.open()
        rest = b"".join(iter(wire.piece, b""))
    assert rest == b"".join(EVENTS[3:])
    assert ended(proxy) == 0

    again = restarted(start_proxy, proxy)
    assert again.path_of("s1") == [("user", "hello"), ("assistant", "one two three four")]


def test_a_signal_is_heard_while_workers_are_replaced(
    start_proxy: StartProxy, upstream: ScriptedUpstream, gate: Gate
) -> None:
    """No other worker waits for the calls of the one that is being replaced; calls may finish."""
    upstream.script = events_around(gate)
    proxy = start_proxy(WORKERS="2", GRACE_SECONDS="200")
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(proxy)) for _ in range(4)]
        for number, wire in enumerate(wires):
            wire.say("hello", f"s{number}", stream=True)
            wire.head()
            wire.content(len(b"".join(EVENTS[:3])))
        old = set(workers_of(proxy))
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: old < set(workers_of(proxy)))
        proxy.process.send_signal(signal.SIGTERM)
        until(lambda: _refuses_connections(proxy))
        gate.open()
        assert [b"".join(iter(wire.piece, b"")) for wire in wires] == [b"".join(EVENTS[3:])] * 4
    assert ended(proxy) == 0


def _refuses_connections(proxy: RunningProxy) -> bool:
    try:
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("grace", ["0", "0.4", "1"])
def test_after_the_grace_period_a_stream_is_cut_and_recorded_as_that(
    start_proxy: StartProxy, upstream: ScriptedUpstream, gate: Gate, grace: str
) -> None:
    """What had come is kept under `shutdown`; the client sees a break; the exit code is still 0."""
    upstream.script = events_around(gate)
    cut: list[RunningProxy] = []

    def seconds_to_end() -> float:
        proxy = start_proxy(GRACE_SECONDS=grace)
        cut.append(proxy)
        with Wire(proxy) as wire:
            wire.say("hello", f"s{len(cut)}", stream=True)
            wire.head()
            wire.content(len(b"".join(EVENTS[:3])))
            told = time.monotonic()
            proxy.process.send_signal(signal.SIGTERM)
            with pytest.raises(EOFError):
                wire.piece()
            assert time.monotonic() - told >= float(grace)
            assert ended(proxy) == 0
            took = time.monotonic() - told
        assert "Traceback" not in proxy.stderr()
        return took

    soon(seconds_to_end, within=float(grace) + 4)

    again, session = restarted(start_proxy, cut[-1]), f"s{len(cut)}"
    (line,) = again.get("/history", session=session).json()["history"]
    assert line["outcome"] == "shutdown"
    assert again.path_of(session)[1][0] == "assistant"
    assert "one two three four".startswith(again.path_of(session)[1][1])


def test_a_call_that_still_waits_is_told(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """A client whose reply has not begun when the grace is over gets 503 in OpenAI's shape."""
    upstream.script = never
    proxy = start_proxy(GRACE_SECONDS="0")
    with Wire(proxy) as wire:
        wire.say("hello", "s1")
        until(lambda: upstream.requests)
        proxy.process.send_signal(signal.SIGTERM)
        head, body = wire.reply()
    assert (head.status, b'"code": "shutting_down"' in body) == (503, True)
    assert head.all(b"x-session-id") == [b"s1"]
    assert ended(proxy) == 0
    assert "Traceback" not in proxy.stderr()

    again = restarted(start_proxy, proxy)
    (line,) = again.get("/history", session="s1").json()["history"]
    assert (line["outcome"], line["result"]) == ("shutdown", {"status_code": 503})
    assert again.path_of("s1") == [("user", "hello")]


def test_a_request_of_our_own_that_still_waits_is_told(start_proxy: StartProxy) -> None:
    """So is whoever has sent half of what a route of our own takes."""
    proxy = start_proxy(GRACE_SECONDS="0")
    with Wire(proxy) as wire:
        length = ("Content-Length", "1000")
        wire.begin("POST", "/conversations/", length, ("Expect", "100-continue"))
        assert wire.head().status == 100
        proxy.process.send_signal(signal.SIGTERM)
        head, body = wire.reply()
    assert (head.status, b'"code": "shutting_down"' in body) == (503, True)
    assert head.all(b"x-content-type-options") == [b"nosniff"]
    assert ended(proxy) == 0
    assert "Traceback" not in proxy.stderr()


Begin = Callable[[Wire], None]


def _half_a_body(wire: Wire) -> None:
    wire.begin("POST", "/v1/chat/completions", ("Content-Length", "1000"))
    wire.send(b'{"messages"')


def _half_a_head(wire: Wire) -> None:
    wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")


@pytest.mark.parametrize("begin", [_half_a_body, _half_a_head])
def test_a_request_that_never_gets_whole_does_not_keep_the_program(
    start_proxy: StartProxy, begin: Begin
) -> None:
    """Somebody who has sent half a request is not waited for beyond the grace period."""

    def seconds_to_end() -> float:
        proxy = start_proxy(GRACE_SECONDS="0.5")
        with Wire(proxy) as wire:
            begin(wire)
            told = time.monotonic()
            proxy.process.send_signal(signal.SIGTERM)
            assert ended(proxy) == 0
            took = time.monotonic() - told
        assert "Traceback" not in proxy.stderr()
        return took

    soon(seconds_to_end, within=5)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_sigint_does_not_wait(
    start_proxy: StartProxy, upstream: ScriptedUpstream, workers: str
) -> None:
    """It ends the program without the grace period, in order, and without a trace.

    From the first one on connections are refused, whoever is still being served.
    """
    upstream.script = never
    proxy = start_proxy(GRACE_SECONDS="60", WORKERS=workers)
    with Wire(proxy) as wire:
        wire.say("hello", "s1")
        until(lambda: upstream.requests)
        proxy.process.send_signal(signal.SIGINT)
        until(lambda: _refuses_connections(proxy))
        proxy.process.send_signal(signal.SIGINT)
        assert ended(proxy) == 0
    assert proxy.stderr() == ""

    again = restarted(start_proxy, proxy)
    assert again.path_of("s1") == [("user", "hello")]
    assert [call["outcome"] for call in again.get("/history").json()["history"]] == ["shutdown"]
