"""Chat bodies that cannot be read, are too large, or are merely strange."""

import gzip
import json

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import Wire, chat
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, completion

CHATS = "/v1/chat/completions"
NAMES = {"message", "type", "param", "code"}

sqlite_only = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


def with_content(content: bytes) -> bytes:
    """A chat body whose one message has the JSON text *content* as its content."""
    return b'{"model":"m","messages":[{"role":"user","content":' + content + b"}]}"


UNREADABLE = {
    "empty": b"",
    "blank": b"  \n",
    "word": b"hello",
    "cut": b'{"messages": [',
    "null": b"null",
    "array": b"[]",
    "string": b'"x"',
    "number": b"7",
    "two-values": b"{}{}",
    "trailing-comma": b'{"a": 1,}',
    "single-quotes": b"{'a': 1}",
    "invalid-utf8": with_content(b'"\xff"'),
    "utf16": chat("hi").decode().encode("utf-16"),
    "bom": b"\xef\xbb\xbf" + chat("hi"),
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "5000-digits": b'{"a": ' + b"9" * 5000 + b"}",
    "deep-lists": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "never-closed": b"[" * 100_000,
    "not-gzip": b"gzip:hello",
}


def test_a_chat_that_unpacks_to_too_much_is_413(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """What is too large is told so, packed or not, and not called invalid JSON."""
    body = gzip.compress(chat("x" * 21_000_000))
    headers = {"Content-Encoding": "gzip"}
    with shared.client(session) as client:
        reply = client.post(CHATS, content=body, headers=headers)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (413, "request_too_large")
    assert "unpacked" in error["message"]
    assert behind.requests == []


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_a_chat_in_an_unknown_encoding_is_415(
    shared: RunningProxy, behind: ScriptedUpstream, encoding: str
) -> None:
    """The client is told which encodings are read, and the upstream hears nothing."""
    with shared.client("s") as client:
        reply = client.post(CHATS, content=chat("hi"), headers={"Content-Encoding": encoding})

    error = reply.json()["error"]
    assert (reply.status_code, set(error)) == (415, NAMES)
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported_encoding")
    assert "use gzip, deflate, x-gzip, identity" in error["message"]
    assert reply.headers["accept-encoding"] == "gzip, deflate, x-gzip, identity"
    assert behind.requests == []


def test_the_description_tells_of_unknown_encodings(shared: RunningProxy) -> None:
    """`/openapi.json` has the status, and which encodings are read."""
    described = shared.get("/openapi.json").json()["paths"][CHATS]["post"]["responses"]["415"]

    assert "gzip, deflate, x-gzip and identity" in described["description"]


def test_other_calls_may_be_in_any_encoding(shared: RunningProxy, behind: ScriptedUpstream) -> None:
    """What is not read here is the upstream's business."""
    with shared.client() as client:
        headers = {"Content-Encoding": "br", "Content-Type": "application/json"}
        assert client.post("/v1/embeddings", content=b"packed", headers=headers).is_success

    assert behind.requests[0].body == b"packed"


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_chat_body_that_is_no_json_object_is_400(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, body: bytes, recorded: bool
) -> None:
    """It is refused with the reason, makes no call and leaves nothing; the next call works."""
    with shared.client(session if recorded else None) as client:
        encoding = {"Content-Encoding": "gzip"} if body.startswith(b"gzip:") else {}
        reply = client.post(CHATS, content=body, headers=encoding)
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert set(error) == NAMES
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_json")
        assert behind.requests == []
        assert client.post(CHATS, content=chat("next")).status_code == 200

    if recorded:
        assert shared.path_of(session)[0] == ("user", "next")


STRANGE = {
    "nul": (with_content(b'"a\\u0000b"'), "a\u2400b"),
    "lone-surrogate": (with_content(b'"a\\ud83dz"'), "a\ufffdz"),
    "surrogate-pair": (with_content(b'"\\ud83c\\udf89"'), "🎉"),
    "null-content": (with_content(b"null"), ""),
    "parts": (with_content(b'[{"type":"text","text":"in parts"}]'), "in parts"),
    "unknown-part": (with_content(b'[{"type":"smell","smell":1}]'), ""),
    "number-as-content": (with_content(b"7"), None),
    "big-integer": (chat("hi")[:-1] + b', "seed": 1180591620717411303424}', "hi"),
    "too-large-for-a-float": (chat("hi")[:-1] + b', "n": [1e400, -1e999]}', "hi"),
    "minus-zero": (chat("hi")[:-1] + b', "n": -0, "t": -0.0, "e": 1E+2}', "hi"),
    "twice": (b'{"model":"a","model":"m",' + chat("hi")[1:], "hi"),
    "no-messages": (b'{"model": "m"}', None),
    "empty-messages": (b'{"model": "m", "messages": []}', None),
    "messages-of-another-kind": (b'{"messages": "hello"}', None),
    "message-of-another-kind": (b'{"messages": [1, null, "x", []]}', None),
    "role-missing": (b'{"messages": [{"content": "x"}]}', None),
    "model-of-another-kind": (b'{"model": 7, "messages": []}', None),
    "stream-as-text": (chat("hi", stream="true"), "hi"),
    "stream-as-number": (chat("hi", stream=1), "hi"),
    "unknown-fields": (chat("hi", **{f"x_{n}": {"y": [n]} for n in range(200)}), "hi"),
    "model-like-a-path": (chat("hi", model="/../../admin?x=#@evil"), "hi"),
    "endless-model": (chat("hi", model="m" * 100_000), "hi"),
    "deep-but-possible": (chat("hi")[:-1] + b', "a": ' + b"[" * 150 + b"]" * 150 + b"}", "hi"),
}


@pytest.mark.parametrize(("body", "text"), STRANGE.values(), ids=STRANGE)
def test_a_strange_body_passes_untouched_and_is_recorded_as_far_as_it_can_be(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, body: bytes, text: str | None
) -> None:
    """What a body means is the upstream's to judge: it gets every byte as it was sent, at the one
    address, and the recorder does not stumble.
    """

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(completion("ok"))

    behind.script = script
    with shared.client(session) as client:
        assert client.post(CHATS, content=body).status_code == 200

    (request,) = behind.requests
    assert (request.target, request.body) == (CHATS, body)
    kept = shared.path_of(session)
    assert kept[-1] == ("assistant", "ok")
    if text is not None:
        assert kept[0] == ("user", text)
    assert shared.get("/health").json()["recorder"]["set_aside"] == 0


def test_ten_thousand_messages_are_one_call(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """A long conversation sent for the first time is stored whole, in its order."""
    turns = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"m{n}"} for n in range(9999)
    ]
    body = json.dumps({"model": "m", "messages": turns}).encode()
    with shared.client(session) as client:
        assert client.post(CHATS, content=body).status_code == 200

    assert behind.requests[0].body == body
    assert shared.get(f"/conversations/{session}").json()["message_count"] == 10_000


def test_a_compressed_request_passes_raw_and_is_read_for_the_record(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Content-Encoding: gzip is between client and upstream; the record has the text."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(completion("ok"))

    behind.script = script
    packed = gzip.compress(chat("packed"))
    with shared.client(session) as client:
        headers = {"Content-Encoding": "gzip"}
        assert client.post(CHATS, content=packed, headers=headers).status_code == 200

    assert behind.requests[0].body == packed
    assert behind.requests[0].header("content-encoding") == "gzip"
    assert shared.path_of(session) == [("user", "packed"), ("assistant", "ok")]


def test_a_request_that_unpacks_to_too_much_is_refused(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """A bomb is not unpacked beyond the limit for bodies."""
    bomb = gzip.compress(chat("x" * 30_000_000))
    with shared.client(session) as client:
        reply = client.post(CHATS, content=bomb, headers={"Content-Encoding": "gzip"})

    assert reply.status_code in (400, 413)
    assert set(reply.json()["error"]) == NAMES
    assert behind.requests == []


@sqlite_only
def test_a_body_beyond_the_limit_is_413(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """Announced or found out, on a chat or another call: 413, and the message names the setting."""
    proxy = start_proxy(MAX_BODY_MB="0.1")
    size = 110_000
    for target in (CHATS, "/v1/embeddings", "/v1/files"):
        with Wire(proxy) as wire:
            wire.begin("POST", target, ("Content-Length", str(size)))
            head, body = wire.reply()
            assert (head.status, b"OFFICEAI_MAX_BODY_MB" in body) == (413, True)
            assert set(json.loads(body)["error"]) == NAMES
        with Wire(proxy) as wire:
            wire.begin("POST", target, ("Transfer-Encoding", "chunked"))
            wire.chunk(b"x" * size)
            assert wire.reply()[0].status == 413
    assert upstream.requests == []

    fits = chat("x" * 100_000)
    with proxy.client("s1") as client:
        assert client.post(CHATS, content=fits).status_code == 200
    assert upstream.requests[0].body == fits


@sqlite_only
def test_a_large_body_on_a_kept_connection_does_not_spoil_the_next_call(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """What is left of a refused body is not taken for the next request."""
    proxy = start_proxy(MAX_BODY_MB="0.1")
    smuggled = b"GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with Wire(proxy) as wire:
        wire.ask("POST", CHATS, body=smuggled * 4000)
        assert wire.reply()[0].status == 413
        wire.say("hi")
        assert wire.reply()[0].status == 200
    assert [request.target for request in upstream.requests] == [CHATS]
