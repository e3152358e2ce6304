"""Clients that are slow, idle or too many: closed at their deadlines, and nobody else hurt."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from tests.journey.wires import Wire, chat, until
from tests.proxies import KEY, CopiedProxy, RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, completion, echo

CHATS = "/v1/chat/completions"
HEAD = f"POST {CHATS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
ROOM = 12

SECONDS = 1.0
"""What a client may take, for whatever."""

PATIENT = 12.0
"""By when a slow client is closed for sure, also on a busy machine. By itself none is so soon."""


@pytest.fixture(scope="module")
def behind() -> Iterator[ScriptedUpstream]:
    """An upstream that echoes."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, behind: ScriptedUpstream
) -> Iterator[RunningProxy]:
    """A proxy that waits a second for anything, and has room for few."""
    settings = {
        "UPSTREAM_BASE_URL": behind.base_url,
        "MAX_CONNECTIONS": str(ROOM),
        "HEADER_TIMEOUT": str(SECONDS),
        "BODY_TIMEOUT": str(SECONDS),
        "KEEP_ALIVE_TIMEOUT": str(SECONDS),
        "SEND_TIMEOUT": str(SECONDS),
        "MAX_HEADER_KB": "8",
        "MAX_HEADERS": "20",
    }
    with CopiedProxy(tmp_path_factory.mktemp("strict"), settings) as proxy:
        yield proxy


def closed_by(wire: Wire, deadline: float) -> bytes:
    """All that comes until the proxy closes, which it must do before *deadline*."""
    came = b""
    wire.socket.settimeout(max(0.1, deadline - time.monotonic()))
    with suppress(ConnectionError):
        while data := wire.socket.recv(1 << 20):
            came += data
    return came


def refusal(came: bytes) -> tuple[int, str]:
    """Status and code of an error in OpenAI's shape, whose length is right."""
    head, _, body = came.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split(b" ")[1]), error["code"]


TOLD = {
    "half-head": HEAD[:40],
    "head-without-end": HEAD,
    "body-missing": HEAD + "Content-Length: 100\r\n\r\n",
    "body-halved": HEAD + 'Content-Length: 100\r\n\r\n{"model":',
    "chunk-missing": HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "own-route": HEAD.replace(CHATS, "/conversations/")
    + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
}

NOT_TOLD = {
    "nothing": "",
    "only-line-ends": "\r\n",
    "idle-afterwards": HEAD + f"Content-Length: {len(chat('hi'))}\r\n\r\n" + chat("hi").decode(),
    "refused-body": HEAD.replace(KEY, "wrong") + "Content-Length: 100\r\n\r\n{",
}


def test_slow_clients_are_closed_at_their_deadlines_and_others_served(
    strict: RunningProxy, behind: ScriptedUpstream
) -> None:
    """Half a head, half a body, silence: each gets its 408 or its end, while calls go on."""
    with ExitStack() as stack, strict.client() as client:
        wires = {name: stack.enter_context(Wire(strict)) for name in (*TOLD, *NOT_TOLD)}
        for name, sent in {**TOLD, **NOT_TOLD}.items():
            wires[name].send(sent.encode())
        deadline = time.monotonic() + PATIENT
        assert client.post(CHATS, content=chat("hi")).content == completion("echo: hi")
        came = {name: closed_by(wire, deadline) for name, wire in wires.items()}

    assert {name: refusal(came[name]) for name in TOLD} == dict.fromkeys(
        TOLD, (408, "request_timeout")
    )
    assert came["nothing"] == came["only-line-ends"] == b""
    assert came["idle-afterwards"].count(b"HTTP/1.1 200 ") == 1
    assert came["idle-afterwards"].endswith(completion("echo: hi"))
    assert (came["refused-body"].count(b"HTTP/1.1"), came["refused-body"][9:12]) == (1, b"401")
    assert "Traceback" not in strict.stderr()


def trickle(wire: Wire, size: int) -> int:
    """Send *size* bytes of a body, one in a tenth of a second; how many went out."""
    for sent in range(size):
        try:
            wire.send(b"1")
            wire.socket.settimeout(0.1)
            if wire.socket.recv(1, 2) == b"H":
                return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return size


def test_a_body_that_trickles_is_refused(strict: RunningProxy) -> None:
    """A byte now and then is no progress: the average over the seconds counts."""
    with Wire(strict) as wire:
        wire.send((HEAD + "Content-Length: 1000\r\n\r\n").encode())
        assert trickle(wire, 100) < 100
        assert refusal(closed_by(wire, time.monotonic() + PATIENT)) == (408, "request_timeout")


def test_a_slow_upstream_is_not_the_clients_fault(
    strict: RunningProxy, behind: ScriptedUpstream
) -> None:
    """A client that waits for its reply far longer than any of its deadlines gets it."""
    late = time.monotonic() + 3 * SECONDS

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        await answer.until_client_closes(max(0.0, late - time.monotonic()))
        await echo(request, answer)

    behind.script = script
    try:
        with Wire(strict) as wire:
            wire.say("hi")
            assert wire.reply()[1] == completion("echo: hi")
    finally:
        behind.script = echo


def test_who_reads_nothing_holds_little_and_not_for_ever(
    strict: RunningProxy, behind: ScriptedUpstream
) -> None:
    """A reply that nobody takes stops at the upstream, and is given up at the deadline."""
    sent: list[int] = []
    ended: list[bool] = []
    piece = b"x" * 65536

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        try:
            for number in range(2000):
                await answer.chunk(piece)
                sent.append(number)
        except ConnectionError:
            ended.append(True)
            raise

    behind.script = script
    try:
        with Wire(strict, receive_buffer=4096) as wire:
            wire.say("hi", stream=True)
            until(lambda: ended, patience=PATIENT + 2)
        assert len(sent) < 500
    finally:
        behind.script = echo
    with strict.client() as client:
        assert client.post(CHATS, content=chat("hi")).status_code == 200


def test_one_connection_too_many_is_told_so(strict: RunningProxy) -> None:
    """A 503 that says why, with Retry-After; and as soon as there is room, service again."""
    with ExitStack() as stack:
        held = [stack.enter_context(Wire(strict)) for _ in range(ROOM)]
        for wire in held:
            wire.send(HEAD[:10].encode())
        with Wire(strict) as extra:
            extra.say("hi")
            head, body = extra.reply()
            assert extra.is_closed()
    assert (head.status, json.loads(body)["error"]["code"]) == (503, "too_many_connections")
    assert int(head.all(b"retry-after")[0]) > 0

    def is_served() -> bool:
        with strict.client() as client:
            return client.post(CHATS, content=chat("hi")).status_code == 200

    assert until(is_served)


@pytest.mark.parametrize(
    "headers",
    [f"X-A: {'v' * 9000}\r\n", "".join(f"X-{number}: v\r\n" for number in range(20))],
    ids=["long", "many"],
)
def test_the_limits_of_a_head_are_those_of_the_settings(strict: RunningProxy, headers: str) -> None:
    """What the settings say counts, not what the program was born with."""
    with Wire(strict) as wire:
        wire.send((HEAD + headers + "\r\n").encode())
        assert wire.reply()[0].status == 431


def test_trailers_become_no_headers(strict: RunningProxy, behind: ScriptedUpstream) -> None:
    """What stands behind a body cannot say who the caller is, and goes no further."""
    body = chat("hi")
    behind.requests.clear()
    with Wire(strict) as wire:
        wire.begin("POST", CHATS, ("Transfer-Encoding", "chunked"))
        wire.chunk(body)
        wire.send(b"0\r\nX-User-ID: mallory\r\nX-Late: 1\r\n\r\n")
        assert wire.reply()[0].status == 200
        wire.say("again")
        assert wire.reply()[0].status == 200

    assert [request.header("x-late") for request in behind.requests] == [None, None]


def test_trailers_without_end_are_431(strict: RunningProxy) -> None:
    """Bytes behind a body have the same limit as bytes before it."""
    with Wire(strict) as wire, suppress(ConnectionError, EOFError):
        wire.begin("POST", CHATS, ("Transfer-Encoding", "chunked"))
        wire.chunk(chat("hi"))
        wire.send(b"0\r\n")
        for number in range(300):
            wire.send(b"X-%d: %s\r\n" % (number, b"v" * 1000))
        status = wire.reply()[0].status
        assert status == 431


def test_the_limit_of_open_files_is_raised(strict: RunningProxy) -> None:
    """Connections up to the setting can be open, as far as the system allows."""
    soft, hard = resource.prlimit(strict.process.pid, resource.RLIMIT_NOFILE)

    assert soft == hard or soft >= 2 * ROOM
