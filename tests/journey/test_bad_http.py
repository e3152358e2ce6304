"""What is not HTTP/1.1, or half of it: refused in OpenAI's shape, and nobody else hurt."""

import json
from contextlib import suppress

import pytest
from tests.journey.gates import Gate
from tests.journey.wires import Wire, chat, until
from tests.proxies import KEY, RunningProxy
from tests.upstream import (
    Answer,
    ReceivedRequest,
    ScriptedUpstream,
    completion,
    echo,
    said,
    stream_of,
)

CHATS = "/v1/chat/completions"
BODY = chat("hi")
LENGTH = f"Content-Length: {len(BODY)}\r\n"
HEAD = f"POST {CHATS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
NO_HOST = HEAD.replace("Host: x\r\n", "")
CHUNKED = "Transfer-Encoding: chunked\r\n"


def answers_still(proxy: RunningProxy) -> None:
    """Check that the next call works."""
    with proxy.client() as client:
        assert client.post(CHATS, content=BODY).status_code == 200


def is_error_object(body: bytes) -> bool:
    """Whether *body* is OpenAI's error object with its four keys."""
    return set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


NOT_HTTP = {
    "length-and-chunks": HEAD + LENGTH + CHUNKED + "\r\n0\r\n\r\n",
    "xchunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "packed-and-chunked": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "packed-and-chunked-apart": HEAD + f"Transfer-Encoding: gzip\r\n{CHUNKED}\r\n0\r\n\r\n",
    "chunked-not-last": HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunk-size-overflow": HEAD + CHUNKED + "\r\nffffffffffffffffff\r\nx\r\n",
    "chunk-without-end": HEAD + CHUNKED + "\r\n2\r\n{}XX0\r\n\r\n",
    "two-lengths": HEAD + LENGTH + "Content-Length: 5\r\n\r\n{}",
    "negative-length": HEAD + "Content-Length: -5\r\n\r\n{}",
    "signed-length": HEAD + "Content-Length: +2\r\n\r\n{}",
    "folded-header": HEAD + f"X-A: 1\r\n 2\r\n{LENGTH}\r\n",
    "control-in-header": HEAD + f"X-A: a\x01b\r\n{LENGTH}\r\n",
    "nul-in-header": HEAD + f"X-A: a\0b\r\n{LENGTH}\r\n",
    "bare-line-feeds": HEAD.replace("\r", "") + "\n",
    "space-in-target": HEAD.replace(CHATS, "/v1/mo dels") + "\r\n",
    "no-version": HEAD.replace(" HTTP/1.1", "") + LENGTH + "\r\n",
    "another-version": HEAD.replace("HTTP/1.1", "HTTP/2.0") + LENGTH + "\r\n",
    "unknown-method": HEAD.replace("POST", "BREW") + "\r\n",
    "tls": "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no-host": NO_HOST + LENGTH + "\r\n",
    "two-hosts": HEAD + f"Host: y\r\n{LENGTH}\r\n",
    "host-with-path": HEAD.replace("Host: x", "Host: x/y") + LENGTH + "\r\n",
    "host-with-user": HEAD.replace("Host: x", "Host: a@x") + LENGTH + "\r\n",
    "host-with-space": HEAD.replace("Host: x", "Host: x y") + LENGTH + "\r\n",
}


@pytest.mark.parametrize("sent", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_not_http_is_400_and_the_end_of_its_connection(
    shared: RunningProxy, behind: ScriptedUpstream, sent: str
) -> None:
    """Whatever two servers could read in two ways goes to nobody."""
    with Wire(shared) as wire:
        wire.send(sent.encode())
        head, body = wire.reply()
        assert wire.is_closed()

    assert (head.status, is_error_object(body)) == (400, True)
    assert head.all(b"content-type") == [b"application/json"]
    assert behind.requests == []
    answers_still(shared)


@pytest.mark.parametrize("host", ["", "a_b.c-d", "[::1]:8000", "1.2.3.4:80", "张三.local"])
def test_every_name_of_a_host_will_do(shared: RunningProxy, host: str) -> None:
    """None at all, one with underscores as in containers, an address, one that is not ASCII."""
    with Wire(shared) as wire:
        wire.send((HEAD.replace("Host: x", f"Host: {host}") + LENGTH + "\r\n").encode() + BODY)
        assert wire.reply()[0].status == 200


@pytest.mark.parametrize("byte", ["\0", "\x01", "\x0b", "\x1f", "\x7f"])
def test_a_control_character_in_a_header_is_told_with_its_name(
    shared: RunningProxy, byte: str
) -> None:
    """Whoever makes a session's name of what somebody typed learns which header it is."""
    with Wire(shared) as wire:
        wire.send(f"{HEAD}X-User-ID: ann\r\nX-Session-ID: a{byte}b\r\n{LENGTH}\r\n".encode() + BODY)
        head, body = wire.reply()

    error = json.loads(body)["error"]
    assert (head.status, error["param"]) == (400, "X-Session-ID")
    assert error["message"] == "X-Session-ID holds a control character; leave it out."


def test_an_address_that_is_not_encoded_is_told_so(shared: RunningProxy) -> None:
    """Curl sends what is typed as it is: whoever types Chinese learns what to do."""
    with Wire(shared) as wire:
        wire.send("GET /conversations/search?q=数据库 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, body = wire.reply()

    assert head.status == 400
    message = json.loads(body)["error"]["message"]
    assert "percent-encode it, 数 as %E6%95%B0" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("method", "target"),
    [("CONNECT", "/v1/models"), ("CONNECT", "evil.example:443"), ("TRACE", "/v1/models")],
)
def test_connect_and_trace_are_405(
    shared: RunningProxy, behind: ScriptedUpstream, method: str, target: str
) -> None:
    """CONNECT would make a tunnel, and TRACE would show the upstream's key to the caller."""
    with Wire(shared) as wire:
        wire.ask(method, target)
        head, body = wire.reply()

    assert (head.status, is_error_object(body)) == (405, True)
    assert head.all(b"allow") == [b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]
    assert behind.requests == []


TOO_MUCH = {
    "many": "".join(f"X-{number}: v\r\n" for number in range(10_000)),
    "long": f"X-A: {'v' * 2_000_000}\r\n",
}


@pytest.mark.parametrize("headers", TOO_MUCH.values(), ids=TOO_MUCH)
def test_headers_without_measure_go_nowhere(
    shared: RunningProxy, behind: ScriptedUpstream, headers: str
) -> None:
    """A client that sends on and on is hung up on; whether it still hears why is up to TCP."""
    with Wire(shared) as wire, suppress(ConnectionError, EOFError):
        wire.send((HEAD + headers + LENGTH + "\r\n").encode() + BODY)
        assert wire.reply()[0].status == 431

    assert behind.requests == []
    answers_still(shared)


def test_more_headers_than_anybody_needs_are_431(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """The number of headers has its limit too, and the message says so."""
    with Wire(shared) as wire:
        wire.ask("GET", "/v1/models", *((f"X-{number}", "v") for number in range(300)))
        head, body = wire.reply()

    assert (head.status, is_error_object(body)) == (431, True)
    assert behind.requests == []


def test_a_header_without_end_is_431(shared: RunningProxy, behind: ScriptedUpstream) -> None:
    """A line that never ends is not kept in memory for ever."""
    endless = (HEAD + "X-A: ").encode().ljust(64 * 1024 + 1, b"v")
    with Wire(shared) as wire:
        for start in range(0, len(endless), 1000):
            wire.send(endless[start : start + 1000])
        assert wire.reply()[0].status == 431

    assert behind.requests == []


@pytest.mark.parametrize("target", [CHATS, f"http://evil.example{CHATS}"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_upstream_is_the_configured_one_whatever_the_target_says(
    shared: RunningProxy, behind: ScriptedUpstream, version: str, target: str
) -> None:
    """A target in absolute form changes nothing, and a client of HTTP/1.0 is served."""
    head = HEAD.replace(CHATS, target).replace("HTTP/1.1", f"HTTP/{version}")
    with Wire(shared) as wire:
        wire.send((head + LENGTH + "\r\n").encode() + BODY)
        reply, body = wire.reply()

    assert (reply.status, body) == (200, completion("echo: hi"))
    assert behind.requests[0].target == CHATS


@pytest.mark.parametrize("ending", ["whole", "broken"])
@pytest.mark.parametrize("target", [CHATS, "/v1/chat/completion%73"], ids=["direct", "asgi"])
def test_a_client_of_http_1_0_gets_no_chunks(
    shared: RunningProxy, behind: ScriptedUpstream, target: str, ending: str
) -> None:
    """It would take their framing for text: its stream ends with the connection (RFC 9112, 6.1).

    One that broke off does not seem to have ended.
    """

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(b"data: {}\n\n")
        if ending == "whole":
            await answer.chunk(b"data: [DONE]\n\n")
            await answer.end_chunks()
        else:
            answer.reset()

    behind.script = script
    head = HEAD.replace("HTTP/1.1", "HTTP/1.0").replace(CHATS, target)
    head += "Connection: keep-alive\r\n"
    with Wire(shared) as wire:
        wire.send((head + LENGTH + "\r\n").encode() + BODY)
        reply = wire.head()
        assert (reply.all(b"transfer-encoding"), reply.all(b"connection")) == ([], [b"close"])
        if ending == "whole":
            assert wire.rest() == b"data: {}\n\ndata: [DONE]\n\n"
        else:
            with pytest.raises(ConnectionResetError):
                wire.rest()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("target", [CHATS, "/conversations/import"], ids=["direct", "asgi"])
def test_the_end_of_a_connection_waits_for_the_rest_of_a_refused_request(
    shared: RunningProxy, target: str, version: str
) -> None:
    """A reset would take the refusal along; nginx, which sends on, would make a 502 of it."""
    head = f"POST {target} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer wrong\r\n"
    body = b" " * 1_000_000
    with Wire(shared) as wire:
        wire.send(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        refusal, _ = wire.reply()
        for at in range(0, len(body), 50_000):
            wire.send(body[at : at + 50_000])
        assert wire.socket.recv(1) == b""

    assert (refusal.status, refusal.all(b"connection")) == (401, [b"close"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_of_http_1_0_gets_an_export_without_chunks(
    shared: RunningProxy, method: str
) -> None:
    """A file in pieces is the bytes of the file, and ends with its connection."""
    with shared.client("exported") as client:
        assert client.post(CHATS, content=BODY).status_code == 200
        whole = client.get("/conversations/exported/export?format=jsonl").content
    key = f"Authorization: Bearer {shared.key}\r\n"
    target = "/conversations/exported/export?format=jsonl"
    with Wire(shared) as wire:
        wire.send(f"{method} {target} HTTP/1.0\r\nHost: x\r\n{key}\r\n".encode())
        reply = wire.head()
        rest = wire.rest()

    assert reply.all(b"transfer-encoding") == []
    assert (reply.status, rest) == ((200, whole) if method == "GET" else (405, b""))


OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_of_another_protocol_is_ignored(
    shared: RunningProxy, behind: ScriptedUpstream, offer: str, split: bool
) -> None:
    """A call that offers HTTP/2 or a WebSocket is answered in HTTP/1.1, its body not lost, and
    the connection goes on.
    """
    with Wire(shared) as wire:
        for text in ("one", "two"):
            body = chat(text)
            head = HEAD + offer + f"Content-Length: {len(body)}\r\n\r\n"
            if split:
                wire.send(head[:50].encode())
                wire.send(head[50:].encode())
                wire.send(body[:10])
                wire.send(body[10:])
            else:
                wire.send(head.encode() + body)
            assert wire.reply()[1] == completion(f"echo: {text}")

    assert {name for name, _ in behind.requests[0].headers}.isdisjoint(
        {"upgrade", "connection", "http2-settings"}
    )
    assert "Traceback" not in shared.stderr()


WEBSOCKET = (
    "GET {target} HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer {key}\r\n"
    "{connection}Upgrade: {upgrade}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(
    "connection", ["Connection: Upgrade\r\n", "Connection: keep-alive, upgrade\r\n", ""]
)
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket", "websocket/13"])
def test_a_websocket_is_refused(
    shared: RunningProxy, behind: ScriptedUpstream, connection: str, upgrade: str
) -> None:
    """Nobody waits for events that never come: a 501 says that it is not forwarded."""
    head = WEBSOCKET.format(
        target="/v1/realtime?model=m", key=shared.key, connection=connection, upgrade=upgrade
    )
    with Wire(shared) as wire:
        for _ in range(2):
            wire.send(head.encode())
            reply, body = wire.reply()
            assert (reply.status, reply.all(b"x-should-retry")) == (501, [b"false"])
            assert json.loads(body)["error"]["code"] == "websocket_not_supported"

    assert behind.requests == []


def test_a_websocket_needs_a_key_to_be_told_anything(shared: RunningProxy) -> None:
    """As every call does."""
    head = WEBSOCKET.format(
        target="/v1/realtime",
        key="wrong",
        connection="Connection: Upgrade\r\n",
        upgrade="websocket",
    )
    with Wire(shared) as wire:
        wire.send(head.encode())
        assert wire.reply()[0].status == 401


@pytest.mark.parametrize(("target", "upgrade"), [("/v1/models", "h2c"), ("/health", "websocket")])
def test_other_offers_of_a_get_are_ignored(
    shared: RunningProxy, behind: ScriptedUpstream, target: str, upgrade: str
) -> None:
    """Java's client offers HTTP/2 and takes HTTP/1.1; our own routes have no WebSockets to miss."""
    head = WEBSOCKET.format(
        target=target, key=shared.key, connection="Connection: Upgrade\r\n", upgrade=upgrade
    )
    with Wire(shared) as wire:
        wire.send(head.encode())
        assert wire.reply()[0].status == 200


def test_expect_100_continue_is_answered(shared: RunningProxy, behind: ScriptedUpstream) -> None:
    """A client that asks before it sends its body (curl does) is told to go on."""
    with Wire(shared) as wire:
        wire.send((HEAD + LENGTH + "Expect: 100-continue\r\n\r\n").encode())
        assert wire.head().status == 100
        wire.send(BODY)
        assert wire.reply()[0].status == 200

    assert behind.requests[0].header("expect") is None


@pytest.mark.parametrize("target", [CHATS, "/conversations/import"], ids=["call", "route"])
def test_a_client_of_http_1_0_is_not_told_to_go_on(shared: RunningProxy, target: str) -> None:
    """It would take that for the reply (RFC 9110, section 10.1.1)."""
    head = HEAD.replace("HTTP/1.1", "HTTP/1.0").replace(CHATS, target)
    with Wire(shared) as wire:
        wire.send((head + LENGTH + "Expect: 100-continue\r\n\r\n").encode() + BODY)
        assert wire.head().status != 100


def test_100_pipelined_calls_are_answered_in_order(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """Requests sent all at once, streams and JSON in turn, get each its own reply, in order."""
    texts = [f"call {number}" for number in range(100)]
    with Wire(shared) as wire:
        for number, text in enumerate(texts):
            wire.say(text, stream=number % 2 == 0)
        replies = [wire.reply() for _ in texts]

    for number, (text, (head, body)) in enumerate(zip(texts, replies, strict=True)):
        whole = completion(f"echo: {text}")
        assert body == (whole if number % 2 else b"".join(stream_of(f"echo: {text}")))
        assert head.status == 200
    assert len({head.all(b"x-exchange-id")[0] for head, _ in replies}) == 100
    assert [said(request) for request in behind.requests] == texts


def test_a_head_may_begin_right_behind_a_large_body(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """The bytes of one request are not counted as the headers of the next."""
    large = chat("x" * 200_000)
    head = HEAD + f"Content-Length: {len(large)}\r\n\r\n"
    with Wire(shared) as wire:
        for _ in range(5):
            wire.send(head.encode() + large + (HEAD + LENGTH)[:90].encode())
            wire.send((HEAD + LENGTH)[90:].encode() + b"\r\n" + BODY)
        statuses = [wire.reply()[0].status for _ in range(10)]

    assert statuses == [200] * 10


def test_garbage_behind_a_request_does_not_get_into_its_reply(
    shared: RunningProxy, behind: ScriptedUpstream, gate: Gate
) -> None:
    """A client that sends nonsense while its reply comes gets the reply whole, and is told then."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(b": one\n\n")
        await gate.passed()
        await answer.chunk(b": two\n\n")
        await answer.end_chunks()

    behind.script = script
    with Wire(shared) as wire:
        wire.say("hi", stream=True)
        wire.head()
        assert wire.piece() == b": one\n\n"
        wire.send(b"GARBAGE\r\n\r\n")
        gate.open()
        assert [wire.piece(), wire.piece()] == [b": two\n\n", b""]
        head, body = wire.reply()
        assert (head.status, is_error_object(body)) == (400, True)
        assert wire.is_closed()


SOUND = HEAD + LENGTH + "\r\n" + BODY.decode()
GET = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"


@pytest.mark.parametrize("sound", [[SOUND], [GET, SOUND, GET]])
@pytest.mark.parametrize("wrong", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_came_before_something_wrong_is_answered_first(
    shared: RunningProxy, behind: ScriptedUpstream, sound: list[str], wrong: str
) -> None:
    """In one packet, too, each request gets its own answer, and what is wrong gets the last one."""
    with Wire(shared) as wire:
        wire.send(("".join(sound) + wrong).encode())
        statuses = [wire.reply()[0].status for _ in (*sound, wrong)]
        assert wire.is_closed()

    assert statuses == [*(200 for _ in sound), 400]
    assert len(behind.requests) == len(sound)


@pytest.mark.parametrize("first", ["chat", "other"])
def test_who_leaves_with_requests_that_wait_cancels_the_one_before_them(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, first: str
) -> None:
    """The upstream is cancelled at once, and the requests behind are never sent to it."""
    left: list[bool] = []

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(b": one\n\n")
        left.append(await answer.until_client_closes())

    behind.script = script
    with Wire(shared) as wire:
        if first == "chat":
            wire.say("hi", session, stream=True)
        else:
            wire.ask("GET", "/v1/models")
        wire.head()
        wire.say("and this", session)
        wire.say("and that", session)
    assert until(lambda: left) == [True]
    assert len(behind.requests) == 1


def test_bytes_that_wait_for_their_turn_are_read_in_order(
    shared: RunningProxy, behind: ScriptedUpstream, gate: Gate
) -> None:
    """However requests are cut that come before there is an answer, also inside a body."""
    texts = [f"call {number} {'x' * 50_000}" for number in range(5)]

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        await gate.passed()
        await echo(request, answer)

    behind.script = script
    bodies = [chat(text) for text in texts]
    sent = b"".join(f"{HEAD}Content-Length: {len(b)}\r\n\r\n".encode() + b for b in bodies)
    with Wire(shared) as wire:
        for at in range(0, len(sent), 30_000):
            wire.send(sent[at : at + 30_000])
        assert until(lambda: len(behind.requests) == 1)
        gate.open()
        assert [wire.reply()[0].status for _ in texts] == [200] * 5

    assert [said(request) for request in behind.requests] == texts


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/ui"])
def test_a_probe_that_sends_head(shared: RunningProxy, path: str) -> None:
    """It gets the status and the headers of GET, and no body that its next answer would follow."""
    with shared.client() as client:
        asked, probed, again = [client.request(m, path) for m in ("GET", "HEAD", "GET")]

    assert probed.status_code == asked.status_code == again.status_code
    assert probed.headers["content-type"] == asked.headers["content-type"]
    assert int(probed.headers["content-length"]) > 0
    assert (probed.content, bool(again.content)) == (b"", True)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v1x", 404),
        ("OPTIONS", "*", 404),
        ("POST", "/health", 405),
        ("PATCH", "/history", 405),
        ("GET", "/history?limit=0", 422),
        ("GET", "/history?limit=99999999999999999999", 422),
    ],
)
def test_refusals_of_other_routes_have_the_same_shape(
    shared: RunningProxy, method: str, target: str, status: int
) -> None:
    """What the framework refuses by itself is an error object too."""
    with Wire(shared) as wire:
        wire.ask(method, target)
        head, body = wire.reply()

    assert (head.status, is_error_object(body)) == (status, True)
