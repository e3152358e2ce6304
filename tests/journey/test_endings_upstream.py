"""Upstreams that break off, fall silent, refuse or cannot be reached: never a whole reply of it."""

import json
from collections.abc import Callable

import openai
import pytest
from tests.conftest import StartProxy
from tests.databases import free_port
from tests.journey.gates import Gate
from tests.journey.wires import Wire, chat, record_of, reply_of
from tests.proxies import RunningProxy
from tests.upstream import (
    DONE,
    Answer,
    ReceivedRequest,
    ScriptedUpstream,
    chunk_event,
    completion,
    stream_of,
)

CHATS = "/v1/chat/completions"
EVENTS = stream_of("one two three four")
SECRET = "sk-upstream-secret"

sqlite_only = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
BREAKS = {"rst": Answer.reset, "fin": Answer.close}


@pytest.mark.parametrize("count", range(len(EVENTS)))
@pytest.mark.parametrize("break_off", BREAKS.values(), ids=BREAKS)
def test_a_stream_that_breaks_off_breaks_off_for_the_client(
    shared: RunningProxy,
    behind: ScriptedUpstream,
    session: str,
    gate: Gate,
    break_off: Callable[[Answer], None],
    count: int,
) -> None:
    """After whichever event the upstream breaks off: what came is passed and kept, and the client
    sees the break, no event of ours and no `[DONE]`.
    """

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in EVENTS[:count]:
            await answer.chunk(event)
        await gate.passed()
        break_off(answer)

    behind.script = script
    came = b"".join(EVENTS[:count])
    with Wire(shared) as wire:
        wire.say("hello", session, stream=True)
        assert wire.head().status == 200
        assert wire.content(len(came)) == came
        gate.open()
        with pytest.raises(EOFError):
            wire.piece()

    line = record_of(shared, session=session)
    assert line["outcome"] == "upstream_error"
    assert str(line["error"]).startswith("upstream_disconnected: ")
    if 1 < count < len(EVENTS) - 2:
        assert reply_of(shared, session)[1] == "upstream_error"


@pytest.mark.parametrize("break_off", BREAKS.values(), ids=BREAKS)
def test_an_upstream_that_breaks_off_before_its_reply_is_502(
    shared: RunningProxy,
    behind: ScriptedUpstream,
    session: str,
    break_off: Callable[[Answer], None],
) -> None:
    """Without a head there is nothing to break off: the client gets an error of ours."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        break_off(answer)

    behind.script = script
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello"))

    assert reply.status_code == 502
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["x-session-id"] == session
    assert shared.path_of(session) == [("user", "hello")]


def test_a_body_shorter_than_its_length_is_a_break(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Half a JSON body is not made a whole reply."""
    whole = completion("never whole")

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.head(200, ("content-length", str(len(whole))))
        await answer.raw(whole[:-10])
        answer.close()

    behind.script = script
    with Wire(shared) as wire:
        wire.say("hello", session)
        with pytest.raises(EOFError):
            wire.reply()

    assert record_of(shared, session=session)["outcome"] == "upstream_error"


@pytest.mark.parametrize(("finish", "outcome"), [("stop", "complete"), (None, "upstream_error")])
def test_a_clean_end_without_done_passes_and_is_judged_by_its_finish_reason(
    shared: RunningProxy,
    behind: ScriptedUpstream,
    session: str,
    finish: str | None,
    outcome: str,
) -> None:
    """The client gets the clean end that the upstream sent; whole it is with a finish_reason."""
    event = chunk_event({"content": "hi"}, finish=finish)

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(event)
        await answer.end_chunks()

    behind.script = script
    with shared.client(session) as client:
        assert client.post(CHATS, content=chat("hello", stream=True)).content == event

    assert record_of(shared, session=session)["outcome"] == outcome
    assert reply_of(shared, session) == ("hi", None if outcome == "complete" else outcome)


def test_an_error_inside_a_stream_passes_and_is_recorded_as_one(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """An upstream that tells its error in an event has not given a whole reply."""
    error = b'data: {"error": {"message": "overloaded", "type": "server_error"}}\n\n'
    pieces = [chunk_event({"content": "hi"}), error, DONE]

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for piece in pieces:
            await answer.chunk(piece)
        await answer.end_chunks()

    behind.script = script
    with shared.client(session) as client:
        assert client.post(CHATS, content=chat("hello", stream=True)).content == b"".join(pieces)

    line = record_of(shared, session=session)
    assert (line["outcome"], line["error"]) == ("upstream_error", "server_error: overloaded")
    assert reply_of(shared, session) == ("hi", "upstream_error")


@pytest.mark.parametrize("stream", [True, False])
def test_the_upstream_refusing_our_key_is_no_fault_of_the_client(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, stream: bool
) -> None:
    """401 from the upstream is a 502 that names the setting, and never the key."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        body = {"error": {"message": f"Incorrect API key provided: {SECRET}"}}
        await answer.whole(json.dumps(body).encode(), status=401)

    behind.script = script
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello", stream=stream))

    assert reply.status_code == 502
    assert "OFFICEAI_UPSTREAM_API_KEY" in reply.json()["error"]["message"]
    assert shared.path_of(session) == [("user", "hello")]
    line = record_of(shared, session=session)
    assert line["outcome"] == "upstream_error"
    assert SECRET not in reply.text + shared.stderr() + json.dumps(line)


def test_a_refused_upstream_key_is_not_tried_again(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """OpenAI's SDK, which sends a 502 three times, is told that it cannot heal by itself."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b"{}", status=401)

    behind.script = script
    with (
        openai.OpenAI(base_url=f"{shared.root}/v1", api_key=shared.key) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.models.list()

    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(behind.requests) == 1


@sqlite_only
@pytest.mark.parametrize(
    ("base_url", "hint"),
    [
        ("http://127.0.0.1:{closed}/v1", "nothing listens there"),
        ("http://upstream.invalid/v1", "OFFICEAI_UPSTREAM_BASE_URL"),
    ],
)
def test_an_upstream_that_cannot_be_reached_is_502(
    start_proxy: StartProxy, base_url: str, hint: str
) -> None:
    """The client is told what to look at, and its question is recorded without an answer."""
    proxy = start_proxy(UPSTREAM_BASE_URL=base_url.format(closed=free_port()))
    with proxy.client("s1") as client:
        reply = client.post(CHATS, content=chat("hello"))

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (502, "upstream_unreachable")
    assert hint in error["message"]
    assert SECRET not in reply.text
    assert proxy.path_of("s1") == [("user", "hello")]
    assert record_of(proxy, session="s1")["outcome"] == "upstream_error"


@sqlite_only
def test_more_than_may_be_recorded_still_passes(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """A reply beyond OFFICEAI_MAX_RECORDED_MB reaches the client whole, and is marked."""
    events = stream_of("word " * 20_000, pieces=100)

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in events:
            await answer.chunk(event)
        await answer.end_chunks()

    upstream.script = script
    proxy = start_proxy(MAX_RECORDED_MB="0.05")
    with proxy.client("s1") as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))

    assert reply.content == b"".join(events)
    text, outcome = reply_of(proxy, "s1")
    assert outcome == "truncated"
    assert ("word " * 20_000).startswith(text)
    assert len(text) > 10_000
