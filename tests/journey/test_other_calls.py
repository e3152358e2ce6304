"""Calls under /v1 that are no chat: they pass as they are, and only their line is kept."""

import gzip
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import Wire, record_of, until
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream

from officeai_proxy.proxy.admission import SMALL_BODY

DOT_SEGMENTS = [
    "/v1/../keys",
    "/v1/files/../../admin",
    "/v1/%2e%2e/admin",
    "/v1/%2E./admin",
    "/v1/..%2fadmin",
    "/v1/..%5cadmin",
    "/v1/..\\admin",
    "/v1/./models",
    "/v1/models/.",
    "/v1/models/%2e",
    "/v1/files/..",
]


@pytest.mark.parametrize("target", DOT_SEGMENTS)
def test_dot_segments_are_refused(
    shared: RunningProxy, behind: ScriptedUpstream, target: str
) -> None:
    """No path can climb out of the base URL, in whatever spelling."""
    with Wire(shared) as wire:
        wire.ask("GET", target)
        head, body = wire.reply()

    assert head.status in (400, 404)
    assert b'"error"' in body
    assert behind.requests == []


@pytest.mark.parametrize("target", ["/%76%31/models", "/v1%2Fmodels", "/v1%2F..%2Fx", "/%761/chat"])
def test_an_escaped_prefix_is_refused(
    shared: RunningProxy, behind: ScriptedUpstream, target: str
) -> None:
    """What stands in for `/v1/` is written plainly, or the upstream's path would be another."""
    with Wire(shared) as wire:
        wire.ask("GET", target)
        assert wire.reply()[0].status == 404

    assert behind.requests == []


TARGETS = [
    "/v1/models",
    "/v1/models?limit=2&after=a%20b&order=a+b",
    "/v1/files?purpose=a&purpose=b&x[]=1&x[]=2&empty=&flag",
    "/v1/files/a%2Fb/content",
    "/v1/files/%C3%A9?q=%E4%BD%A0",
    "/v1/models/a:b@c;d,e!f*g'(h)~i",
    "/v1/files/...hidden/a..b",
    "/v1//models",
    "/v1/",
    "/v1",
    "/v1?x=1",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_path_and_its_query_pass_as_they_were_written(
    shared: RunningProxy, behind: ScriptedUpstream, target: str
) -> None:
    """Escapes, repeated names, brackets and plus signs reach the upstream unchanged."""
    with Wire(shared) as wire:
        wire.ask("GET", target)
        assert wire.reply()[0].status == 200

    assert [request.target for request in behind.requests] == [target]


@pytest.mark.parametrize("body", [None, b"", b'{"a": 1}', os.urandom(2**20)])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_and_bodies_pass_as_they_are(
    shared: RunningProxy, behind: ScriptedUpstream, method: str, body: bytes | None
) -> None:
    """Every method with any body, and with none, reaches the upstream as it was sent."""
    with Wire(shared) as wire:
        wire.ask(method, "/v1/files/1", ("Content-Type", "application/json"), body=body)
        assert wire.reply()[0].status == 200

    (request,) = behind.requests
    assert (request.method, request.body) == (method, body or b"")
    assert request.header("content-length") == str(len(body or b"")) or (body, method) in (
        (None, "DELETE"),
        (b"", "DELETE"),
    )


def test_a_form_with_a_file_passes_byte_for_byte(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """A multipart upload keeps its boundary and its binary parts."""
    file = os.urandom(300_000) + b"\r\n--looks-like-a-boundary\r\n"
    with shared.client() as client:
        request = client.build_request(
            "POST", "/v1/files", files={"file": ("a.bin", file)}, data={"purpose": "batch"}
        )
        sent = request.read()
        assert client.send(request).status_code == 200

    assert behind.requests[0].body == sent
    assert behind.requests[0].header("content-type") == request.headers["content-type"]


@pytest.mark.parametrize("length", [None, "0", "1234"])
@pytest.mark.parametrize("status", [204, 304])
def test_replies_without_a_body_have_none(
    shared: RunningProxy, behind: ScriptedUpstream, status: int, length: str | None
) -> None:
    """204 and 304 end with their head, whatever length they name, and the connection lives on."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        named = [] if length is None else [("content-length", length)]
        await answer.head(status, ("etag", '"1"'), *named)

    behind.script = script
    with Wire(shared) as wire:
        for _ in range(2):
            wire.ask("GET", "/v1/models")
            head = wire.head()
            assert (head.status, head.all(b"etag")) == (status, [b'"1"'])
            assert head.all(b"transfer-encoding") == []


def test_head_gets_the_head_alone(shared: RunningProxy, behind: ScriptedUpstream) -> None:
    """The reply to HEAD tells the length of a body that does not come."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.head(200, ("content-length", "1234"))

    behind.script = script
    with Wire(shared) as wire:
        for _ in range(2):
            wire.ask("HEAD", "/v1/models")
            head = wire.head()
            assert (head.status, head.all(b"content-length")) == (200, [b"1234"])


def test_a_binary_reply_of_many_chunks_passes(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """A megabyte of noise, sent in chunks, comes out as it went in."""
    noise = os.urandom(2**20)

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_chunks(("content-type", "audio/mpeg"))
        for start in range(0, len(noise), 50_000):
            await answer.chunk(noise[start : start + 50_000])
        await answer.end_chunks()

    behind.script = script
    with shared.client() as client:
        assert client.post("/v1/audio/speech", json={"input": "x"}).content == noise


def test_a_reply_that_ends_with_its_connection_passes(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """A reply without length and chunks ends where the upstream closes (RFC 9112, section 6.3)."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.head(200, ("content-type", "text/plain"))
        await answer.raw(b"until the end")
        answer.close()

    behind.script = script
    with shared.client() as client:
        assert client.get("/v1/models").content == b"until the end"


LAST_CHUNK = b"0\r\n\r\n"


class SlowReader:
    """An upstream that tells what came while it is still coming; answers at each last chunk."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.came = b""
        self._open = [self.listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self._open.append(connection)
                self._start(self._read, connection)

    def _read(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            self.came += data
            if self.came.endswith(LAST_CHUNK):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()


@pytest.fixture
def slow_reader() -> Iterator[SlowReader]:
    reader = SlowReader()
    yield reader
    reader.close()


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_an_upload_reaches_the_upstream_while_it_goes_on(
    start_proxy: StartProxy, slow_reader: SlowReader
) -> None:
    """The first piece of a chunked upload is with the upstream before the last one is sent."""
    proxy = start_proxy(UPSTREAM_BASE_URL=slow_reader.base_url)
    with Wire(proxy) as wire:
        audio = ("Content-Type", "audio/wav")
        wire.begin("POST", "/v1/audio/transcriptions", audio, ("Transfer-Encoding", "chunked"))
        wire.chunk(b"first")
        assert until(lambda: b"first" in slow_reader.came)
        wire.chunk(b"last")
        wire.chunk(b"")
        assert wire.reply()[1] == b"ok"

    assert b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n" in slow_reader.came


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_a_large_upload_behind_a_small_one_is_not_held(
    start_proxy: StartProxy, slow_reader: SlowReader
) -> None:
    """Their heads differ in nothing but the length, which decides."""
    proxy = start_proxy(UPSTREAM_BASE_URL=slow_reader.base_url)
    audio = ("Content-Type", "audio/wav")
    with Wire(proxy) as wire:
        for size in (10, 100_000):
            begun = b"\a" * size
            length = ("Content-Length", str(size + len(LAST_CHUNK)))
            wire.begin("POST", "/v1/audio/transcriptions", audio, length)
            wire.send(begun)
            if size > SMALL_BODY:
                assert until(lambda begun=begun: slow_reader.came.endswith(begun))
            wire.send(LAST_CHUNK)
            assert wire.reply()[1] == b"ok"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_passed_on_and_not_followed(
    shared: RunningProxy, behind: ScriptedUpstream, status: int
) -> None:
    """A redirect is the client's business: the key goes nowhere but to the upstream."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b"", ("location", f"{behind.base_url}/elsewhere"), status=status)

    behind.script = script
    with shared.client() as client:
        reply = client.get("/v1/models")

    assert (reply.status_code, reply.headers["location"]) == (
        status,
        f"{behind.base_url}/elsewhere",
    )
    assert len(behind.requests) == 1


USAGE = b'{"usage": {"prompt_tokens": 4, "total_tokens": 4}}'


async def packs_if_it_may(request: ReceivedRequest, answer: Answer) -> None:
    """Compress a reply for whoever says to read that."""
    if "gzip" in (request.header("accept-encoding") or ""):
        await answer.whole(gzip.compress(USAGE), ("content-encoding", "gzip"))
    else:
        await answer.whole(USAGE)


@pytest.mark.parametrize(
    "path",
    ["/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/responses/", "/v1//responses"],
)
def test_usage_is_read_though_the_client_takes_gzip(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, path: str
) -> None:
    """Calls whose usage is looked for are asked for uncompressed, as chats are."""
    behind.script = packs_if_it_may
    with shared.client(session) as client:
        reply = client.post(path, json={"model": "m"}, headers={"Accept-Encoding": "gzip, br"})

    assert reply.content == USAGE
    assert behind.requests[0].header("accept-encoding") == "identity"
    assert record_of(shared, session=session)["total_tokens"] == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/responses"), ("POST", "/v1/files"), ("POST", "/v1/responses/r/x")],
)
def test_other_calls_may_be_compressed(
    shared: RunningProxy, behind: ScriptedUpstream, method: str, path: str
) -> None:
    """What is not read here comes as the client and the upstream agree."""
    behind.script = packs_if_it_may
    with shared.client() as client:
        reply = client.request(method, path, headers={"Accept-Encoding": "gzip"})

    assert (reply.content, reply.headers["content-encoding"]) == (USAGE, "gzip")


def test_an_upstream_that_compresses_all_the_same_loses_only_the_usage(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """The client gets what was sent; the call log has the call without its tokens."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(gzip.compress(USAGE), ("content-encoding", "gzip"))

    behind.script = script
    with shared.client(session) as client:
        assert client.post("/v1/embeddings", json={"model": "m"}).content == USAGE

    line = record_of(shared, session=session)
    assert (line["outcome"], line["total_tokens"]) == ("complete", None)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completions"])
def test_the_call_log_has_the_upstreams_word_for_an_error(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, path: str
) -> None:
    """Also of a call that is not recorded, of which the message stays with the client."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        error = (
            b'{"error": {"message": "Slow down, you said: secret", "code": "rate_limit_exceeded"}}'
        )
        await answer.whole(error, ("retry-after", "0"), status=429)

    behind.script = script
    with shared.client(session) as client:
        body = {"model": "m", "messages": [], "input": "secret"}
        assert client.post(path, json=body, headers={"X-Record": "off"}).status_code == 429

    assert record_of(shared, session=session)["error"] == "rate_limit_exceeded"


def test_a_session_on_another_call_makes_no_conversation(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Embeddings with a session make a line in the log, with usage, and no conversation."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b'{"data": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}')

    behind.script = script
    with shared.client(session) as client:
        client.post("/v1/embeddings", json={"model": "e", "input": "secret words"})

    line = record_of(shared, session=session)
    assert (line["service_type"], line["model"], line["total_tokens"]) == ("embeddings", "e", 4)
    assert shared.get(f"/conversations/{session}").status_code == 404
