"""Clients that hang up: the upstream is let go at once, and what had come is kept."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from tests.conftest import StartProxy
from tests.journey.gates import Gate
from tests.journey.wires import PATIENCE, Wire, chat, record_of, reply_of, until
from tests.proxies import RunningProxy
from tests.timing import soon
from tests.upstream import DONE, Answer, ReceivedRequest, Script, ScriptedUpstream, stream_of

WORDS = ["one ", "two ", "three ", "four "]
EVENTS = stream_of("".join(WORDS).strip().replace("four", "4"), pieces=4)
LAST_CONTENT = len(EVENTS) - 1

Leave = Callable[[Wire], None]
WAYS = {"fin": Wire.half_close, "close": lambda wire: wire.socket.close(), "rst": Wire.reset}

sqlite_only = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


class Departure:
    """When the upstream noticed that the proxy has closed its connection."""

    def __init__(self) -> None:
        self._noticed = threading.Event()
        self._at = 0.0

    async def awaited(self, answer: Answer) -> None:
        assert await answer.until_client_closes(PATIENCE)
        self._at = time.monotonic()
        self._noticed.set()

    def seconds_after(self, moment: float) -> float:
        assert self._noticed.wait(PATIENCE), "the upstream was never let go"
        return self._at - moment


def events_then_silence(
    events: list[bytes], departure: Departure, *, begins: bool = True
) -> Script:
    """A script that sends *events*, if it *begins* at all, and then waits for the proxy to go."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        if begins:
            await answer.begin_events()
        for event in events:
            await answer.chunk(event)
        await departure.awaited(answer)

    return script


def text_in(events: list[bytes]) -> str:
    """What the client has read of the answer."""
    return "".join(
        event.partition(b'"content": "')[2].partition(b'"')[0].decode() for event in events
    )


@pytest.mark.parametrize("count", range(LAST_CONTENT + 1))
@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
def test_what_had_come_when_the_client_left_is_kept(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, leave: Leave, count: int
) -> None:
    """After whichever event the client leaves, that far goes the record, and the upstream is let
    go within a second.
    """

    def seconds_to_go() -> float:
        departure, name = Departure(), f"{session}-{time.monotonic()}"
        behind.script = events_then_silence(EVENTS[:count], departure)
        with Wire(shared) as wire:
            wire.say("hello", name, stream=True)
            wire.head()
            came = b"".join(EVENTS[:count])
            assert wire.content(len(came)) == came
            left = time.monotonic()
            leave(wire)
            seconds = departure.seconds_after(left)
        line = record_of(shared, session=name)
        assert (line["outcome"], line["result"]) == ("client_closed", {"status_code": 200})
        text = text_in(EVENTS[:count])
        answers = [("assistant", text)] if text else []
        assert shared.path_of(name) == [("user", "hello"), *answers]
        if text:
            assert reply_of(shared, name) == (text, "client_closed")
        return seconds

    soon(seconds_to_go, within=1.0)


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_waits_for_the_first_byte_may_leave(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, leave: Leave, stream: bool
) -> None:
    """Before the reply has begun, too, the upstream is let go, and the question is kept."""

    def seconds_to_go() -> float:
        departure, name = Departure(), f"{session}-{time.monotonic()}"
        behind.script = events_then_silence([], departure, begins=False)
        behind.requests.clear()
        with Wire(shared) as wire:
            wire.say("hello", name, stream=stream)
            until(lambda: behind.requests)
            left = time.monotonic()
            leave(wire)
            seconds = departure.seconds_after(left)
        assert record_of(shared, session=name)["outcome"] == "client_closed"
        assert shared.path_of(name) == [("user", "hello")]
        return seconds

    soon(seconds_to_go, within=1.0)


@pytest.mark.parametrize("record", ["on", "off"])
def test_a_client_that_leaves_at_a_refusal_is_not_what_ended_the_call(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, record: str
) -> None:
    """SDKs that will try again hang up at the status, often before the body has come."""
    departure = Departure()

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.head(503, ("content-type", "application/json"), ("content-length", "99"))
        await departure.awaited(answer)

    behind.script = script
    named = [("Content-Type", "application/json"), ("X-Session-ID", session), ("X-Record", record)]
    with Wire(shared) as wire:
        wire.ask("POST", "/v1/chat/completions", *named, body=chat("hello", stream=True))
        assert wire.head().status == 503
    departure.seconds_after(0)

    line = record_of(shared, session=session)
    assert (line["outcome"], line["result"]) == ("upstream_error", {"status_code": 503})
    assert line["error"] == "The upstream answered with status 503."
    if record == "on":
        assert shared.path_of(session) == [("user", "hello")]


def test_a_client_may_leave_at_done(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """SDKs close at `[DONE]`; that is a whole reply, whatever the upstream still has to say."""
    departure = Departure()
    behind.script = events_then_silence(EVENTS, departure)
    with Wire(shared) as wire:
        wire.say("hello", session, stream=True)
        wire.head()
        assert wire.content(len(b"".join(EVENTS))).endswith(DONE)
    departure.seconds_after(0)

    assert record_of(shared, session=session)["outcome"] == "complete"
    assert reply_of(shared, session) == (text_in(EVENTS), None)


def test_a_client_that_leaves_in_its_own_request_makes_no_call(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Half a chat request reaches nobody and is nobody's turn."""
    body = chat("hello")
    with Wire(shared) as wire:
        named = ("X-Session-ID", session), ("Content-Length", str(len(body)))
        wire.begin("POST", "/v1/chat/completions", *named)
        wire.send(body[:-5])

    with shared.client(session) as client:
        client.post("/v1/chat/completions", content=chat("whole"))
    assert shared.path_of(session) == [("user", "whole"), ("assistant", "echo: whole")]
    assert len(behind.requests) == 1


def test_an_upload_that_breaks_off_is_never_made_whole(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """An upstream that gets half an upload gets no end of it."""
    with Wire(shared) as wire:
        wire.begin("POST", "/v1/files", ("Transfer-Encoding", "chunked"), ("X-User-ID", session))
        wire.chunk(b"x" * 100_000)

    assert record_of(shared, user=session)["outcome"] == "client_closed"
    assert behind.requests == []


class HastyUpstream:
    """An upstream that begins its reply before it has the whole request, and waits to be left."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.was_left = threading.Event()
        self.left_at = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with self._listener, connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            with suppress(ConnectionError):
                while connection.recv(65536):
                    pass
            self.left_at = time.monotonic()
            self.was_left.set()


@sqlite_only
@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
def test_a_client_may_leave_a_reply_that_came_before_its_upload_was_whole(
    start_proxy: StartProxy, leave: Leave
) -> None:
    """Such a call is watched too, although its request never gets whole."""

    def seconds_to_go() -> float:
        hasty, name = HastyUpstream(), f"ann-{time.monotonic()}"
        proxy = start_proxy(UPSTREAM_BASE_URL=hasty.base_url)
        with Wire(proxy) as wire:
            wire.begin("POST", "/v1/files", ("Transfer-Encoding", "chunked"), ("X-User-ID", name))
            wire.chunk(b"x" * 100)
            assert (wire.head().status, wire.piece()) == (200, b"one")
            left = time.monotonic()
            leave(wire)
            assert hasty.was_left.wait(PATIENCE)
        assert record_of(proxy, user=name)["outcome"] == "client_closed"
        return hasty.left_at - left

    soon(seconds_to_go, within=1.0)


@sqlite_only
@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
def test_finish_reads_on_when_the_client_has_left(
    start_proxy: StartProxy, upstream: ScriptedUpstream, gate: Gate, leave: Leave
) -> None:
    """OFFICEAI_ON_DISCONNECT=finish keeps the whole reply, although nobody reads it."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(EVENTS[0])
        await gate.passed()
        for event in EVENTS[1:]:
            await answer.chunk(event)
            await asyncio.sleep(0.02)
        await answer.end_chunks()

    upstream.script = script
    proxy = start_proxy(ON_DISCONNECT="finish")
    with Wire(proxy) as wire:
        wire.say("hello", "s1", stream=True)
        wire.head()
        wire.piece()
        leave(wire)
        gate.open()

    assert record_of(proxy, session="s1")["outcome"] == "complete"
    assert reply_of(proxy, "s1") == (text_in(EVENTS), None)
