"""What the upstream answers to a chat is what the client gets, byte for byte and piece by piece."""

import asyncio
import gzip
import json

import httpx
import pytest
from tests.conftest import StartProxy
from tests.journey.gates import Gate
from tests.journey.wires import Wire, chat, reply_of, until
from tests.proxies import RunningProxy
from tests.upstream import (
    DONE,
    Answer,
    ReceivedRequest,
    Script,
    ScriptedUpstream,
    chunk_event,
    completion,
    said,
    stream_of,
)

CHATS = "/v1/chat/completions"


def streams(*pieces: bytes, kind: str = "text/event-stream") -> Script:
    """A script that answers with these chunks."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_chunks(("content-type", kind))
        for piece in pieces:
            await answer.chunk(piece)
        await answer.end_chunks()

    return script


def test_a_chunk_arrives_while_the_next_one_is_not_yet_sent(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Each chunk reaches the client before the upstream has sent the next, for every chunk."""
    events = stream_of("one two three four")
    gates = [Gate() for _ in events]

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event, gate in zip(events, gates, strict=True):
            await gate.passed()
            await answer.chunk(event)
        await answer.end_chunks()

    behind.script = script
    with Wire(shared) as wire:
        wire.say("hello", session, stream=True)
        assert wire.head().status == 200
        for event, gate in zip(events, gates, strict=True):
            gate.open()
            assert wire.piece() == event
        assert wire.piece() == b""
    assert reply_of(shared, session) == ("one two three four", None)


def test_the_last_chunk_is_recorded_when_it_arrives(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, gate: Gate
) -> None:
    """When the client has `[DONE]` the reply is in the record, though the upstream goes on."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in stream_of("early"):
            await answer.chunk(event)
        await gate.passed()
        await answer.end_chunks()

    behind.script = script
    with Wire(shared) as wire:
        wire.say("hello", session, stream=True)
        wire.head()
        while DONE not in wire.piece():
            pass
        assert reply_of(shared, session) == ("early", None)


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500, 503, 529])
def test_an_error_of_the_upstream_passes_unchanged(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, status: int
) -> None:
    """Status, body, Retry-After and rate limits of an upstream's error are the client's."""
    body = b'{"error": {"message": "no", "code": 7}}\r\n'
    told = {
        "retry-after": "7",
        "retry-after-ms": "7000",
        "x-should-retry": "false",
        "x-ratelimit-remaining-requests": "0",
        "x-request-id": "req_1",
    }

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(body, *told.items(), status=status)

    behind.script = script
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello"))

    assert (reply.status_code, reply.content) == (status, body)
    assert {name: reply.headers[name] for name in told} == told
    assert shared.path_of(session) == [("user", "hello")]


def test_a_compressed_reply_passes_raw_and_is_recorded_decoded(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """A gzip body from an upstream that was not asked for it reaches the client as it came."""
    packed = gzip.compress(completion("unpacked"))

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(packed, ("content-encoding", "gzip"))

    behind.script = script
    with Wire(shared) as wire:
        wire.say("hello", session)
        head, body = wire.reply()

    assert body == packed
    assert head.all(b"content-encoding") == [b"gzip"]
    assert reply_of(shared, session) == ("unpacked", None)


def test_json_where_a_stream_was_asked_stays_json(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """An upstream that cannot stream is not dressed up as one that can, and is recorded."""
    body = completion("whole")

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(body)

    behind.script = script
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))

    assert (reply.content, reply.headers["content-type"]) == (body, "application/json")
    assert reply_of(shared, session) == ("whole", None)


HELLO = [chunk_event({"content": "he"}), chunk_event({"content": "llo"}, finish="stop"), DONE]
ODD = {
    "crlf": [event.replace(b"\n", b"\r\n") for event in HELLO],
    "comments": [b": PROCESSING\n\n", HELLO[0], b": ping\n", *HELLO[1:]],
    "names": [b"event: message\nid: 1\nretry: 5\n" + HELLO[0], *HELLO[1:]],
    "bom": [b"\xef\xbb\xbf" + HELLO[0], *HELLO[1:]],
    "no-done": HELLO[:2],
    "no-space": [event.replace(b"data: ", b"data:") for event in HELLO],
    "no-blank-line-at-the-end": [*HELLO[:2], b"data: [DONE]"],
    "done-twice": [*HELLO, DONE],
    "data-after-done": [*HELLO, b": bye\n\n"],
    "two-in-one": [HELLO[0] + HELLO[1], HELLO[2]],
    "one-byte": [bytes([byte]) for byte in b"".join(HELLO)],
    "inside-crlf": [b"".join(HELLO).replace(b"\n", b"\r\n")[:-1], b"\n"],
}


@pytest.mark.parametrize("pieces", ODD.values(), ids=ODD)
def test_odd_streams_pass_unchanged_and_are_understood(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, pieces: list[bytes]
) -> None:
    """Whatever way an upstream writes events, the bytes pass and the text is recorded."""
    behind.script = streams(*pieces)
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))

    assert reply.content == b"".join(pieces)
    assert reply_of(shared, session) == ("hello", None)


GARBAGE = {
    "html": (b"<html>busy</html>", "text/html"),
    "broken-json": (b'{"choices": [', "application/json"),
    "utf-8-cut": (b'data: {"choices": [{"delta": {"content": "\xe4\xbd"}}]}\n\n', "text/x"),
    "invalid-utf-8": (b"data: \xff\xfe\x00\n\ndata: [DONE]\n\n", "text/event-stream"),
    "nul": (b"\0" * 100, "application/octet-stream"),
    "json-of-another-kind": (b'[1, null, "x"]', "application/json"),
    "empty": (b"", "application/json"),
}


@pytest.mark.parametrize(("body", "kind"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_passes_unchanged_and_hurts_nobody(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, body: bytes, kind: str
) -> None:
    """A reply that nobody can read is the client's to judge; the question is recorded."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(body, kind=kind)

    behind.script = script
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello"))

    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, body, kind)
    assert shared.path_of(session)[0] == ("user", "hello")
    assert shared.get("/health").json()["recorder"]["set_aside"] == 0


def test_an_event_of_three_megabytes_passes_and_is_recorded(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """The size of an event is no matter."""
    text = "x" * (3 * 2**20)
    pieces = [chunk_event({"content": text}, finish="stop"), DONE]
    behind.script = streams(*pieces)
    with shared.client(session) as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))

    assert reply.content == b"".join(pieces)
    assert reply_of(shared, session) == (text, None)


async def test_200_streams_at_once_never_mix(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """Of 200 streams at once each client gets its own bytes, and each conversation its own."""

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in stream_of(f"reply to {said(request)}", pieces=20):
            await answer.chunk(event)
            await asyncio.sleep(0)
        await answer.end_chunks()

    upstream.script = script
    proxy = start_proxy()
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=proxy.root, limits=limits, timeout=60, trust_env=False
    ) as client:

        async def call(number: int) -> bytes:
            reply = await client.post(
                CHATS,
                headers=proxy.headers(f"session-{number}", "ann"),
                content=chat(f"token-{number}-", stream=True),
            )
            return reply.content

        replies = await asyncio.gather(*(call(number) for number in range(200)))

    for number, reply in enumerate(replies):
        assert reply == b"".join(stream_of(f"reply to token-{number}-", pieces=20))
    with proxy.client() as reader:
        for number in range(200):
            kept = reader.get(f"/conversations/session-{number}/messages").json()["data"]
            assert [message["content"] for message in kept] == [
                f"token-{number}-",
                f"reply to token-{number}-",
            ]


def test_what_was_sent_is_what_is_forwarded(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """A chat's body reaches the upstream byte for byte: spaces, escapes, order and all."""
    body = (
        b' {"messages" : [{"role":"user","content":"\\u0041\\/ \xe4\xbd\xa0"}],\r\n\t"n":1.50e0,'
        b'"seed":1180591620717411303424,"model":"m","x":{"b":1,"a":[ ]}} '
    )
    with shared.client(session) as client:
        assert client.post(CHATS, content=body).status_code == 200

    assert behind.requests[0].body == body
    assert json.loads(body)["messages"][0]["content"] == shared.path_of(session)[0][1]


def test_a_kept_connection_serves_call_after_call(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """Twenty calls on one connection of the client need one connection to the upstream."""
    before = behind.connections
    with shared.client() as client:
        for number in range(20):
            assert client.post(CHATS, content=chat(f"hi {number}")).status_code == 200

    assert until(lambda: len(behind.requests) == 20)
    assert behind.connections - before <= 1


def test_pipelined_requests_are_answered_in_order(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Three requests in one packet get their own replies, one after the other."""
    texts = ("one", "two", "three")
    with Wire(shared) as wire:
        wire.send(b"".join(request_of(shared, session, text) for text in texts))
        for text in texts:
            head, body = wire.reply()
            assert (head.status, f"echo: {text}".encode() in body) == (200, True)

    assert [said for role, said in shared.path_of(session) if role == "user"] == list(texts)


def test_a_request_may_come_byte_by_byte(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """However a request is cut, it is one request."""
    with Wire(shared) as wire:
        for byte in request_of(shared, session, "slowly"):
            wire.send(bytes([byte]))
        head, body = wire.reply()
    assert (head.status, b"echo: slowly" in body) == (200, True)


def request_of(proxy: RunningProxy, session: str, text: str) -> bytes:
    """A whole recorded call as it goes over the wire."""
    body = chat(text)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy.test\r\n"
        f"authorization: Bearer {proxy.key}\r\nx-session-id: {session}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
