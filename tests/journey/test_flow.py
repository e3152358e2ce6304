"""Callers who read slowly or leave: they cost their own upstream time, and nobody memory."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import PATIENCE, Wire, chat, until
from tests.proxies import RunningProxy
from tests.timing import soon
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, echo, said, stream_of

MEGABYTE = 2**20
HUGE = 200 * MEGABYTE

pytestmark = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


class Fountain:
    """A script that writes a huge reply and tells how much of it was taken."""

    def __init__(self) -> None:
        self.taken = 0
        self.is_blocked = threading.Event()
        self.is_over = threading.Event()

    async def __call__(self, request: ReceivedRequest, answer: Answer) -> None:
        if request.target.endswith("/chat/completions") and said(request) == "quick":
            await answer.begin_events()
            for event in stream_of("quickly"):
                await answer.chunk(event)
            await answer.end_chunks()
            return
        answer.writer.transport.set_write_buffer_limits(high=MEGABYTE // 4)
        await answer.begin_events()
        piece = b": " + b"x" * (MEGABYTE // 4 - 4) + b"\n\n"
        try:
            while self.taken < HUGE:
                await self._one(answer, piece)
            await answer.end_chunks()
        finally:
            self.is_over.set()

    async def _one(self, answer: Answer, piece: bytes) -> None:
        writing = asyncio.ensure_future(answer.chunk(piece))
        done, _ = await asyncio.wait([writing], timeout=1.0)
        if not done:
            self.is_blocked.set()
        await writing
        self.taken += len(piece)


def resident(proxy: RunningProxy) -> int:
    """The memory of the program that is in RAM, in bytes (proc(5), VmRSS)."""
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("named", ["s1", None])
def test_a_caller_that_reads_nothing_stops_its_upstream_and_no_other_call(
    start_proxy: StartProxy, upstream: ScriptedUpstream, named: str | None
) -> None:
    """A reply of 200 MB to a stopped reader waits at the upstream, not in the proxy's memory, and
    other calls go on meanwhile.
    """
    fountain = Fountain()
    upstream.script = fountain
    proxy = start_proxy()
    quick = chat("quick", stream=True)
    with proxy.client() as client:
        client.post("/v1/chat/completions", content=quick)
        before = resident(proxy)
        with Wire(proxy, receive_buffer=64 * 1024) as stopped:
            stopped.say("much", named, stream=True)
            assert fountain.is_blocked.wait(PATIENCE)
            for _ in range(20):
                reply = client.post("/v1/chat/completions", content=quick)
                assert reply.content == b"".join(stream_of("quickly"))
            assert resident(proxy) - before < 40 * MEGABYTE
            assert fountain.taken < 40 * MEGABYTE
        assert fountain.is_over.wait(PATIENCE)


def test_a_caller_that_reads_slowly_gets_everything(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """After a stop of its reader the reply goes on where it was, and no byte is missing."""
    fountain = Fountain()
    upstream.script = fountain
    proxy = start_proxy(MAX_RECORDED_MB="1")
    with Wire(proxy, receive_buffer=64 * 1024) as slow:
        slow.say("much", "s1", stream=True)
        assert fountain.is_blocked.wait(PATIENCE)
        before = resident(proxy)
        slow.head()
        size = sum(len(piece) for piece in iter(slow.piece, b""))
        assert size == fountain.taken >= HUGE
        assert resident(proxy) - before < 40 * MEGABYTE


@pytest.mark.parametrize("begun", [True, False])
def test_aborted_calls_leave_no_upstream_connection_open(
    start_proxy: StartProxy, upstream: ScriptedUpstream, begun: bool
) -> None:
    """Of 20 calls given up at once every connection to the upstream is closed, within a second."""
    closed: list[bool] = []

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        if begun:
            await answer.begin_events()
            await answer.chunk(stream_of("x")[0])
        closed.append(await answer.until_client_closes(PATIENCE))

    upstream.script = script
    proxy = start_proxy()

    def seconds_to_close() -> float:
        closed.clear()
        upstream.requests.clear()
        wires = [Wire(proxy) for _ in range(20)]
        for number, wire in enumerate(wires):
            wire.say("hello", f"s{number}", stream=True)
        until(lambda: len(upstream.requests) == 20)
        for wire in wires:
            if begun:
                wire.head()
                wire.piece()
        left = time.monotonic()
        for wire in wires:
            wire.socket.close()
        until(lambda: len(closed) == 20)
        took = time.monotonic() - left
        assert all(closed)
        return took

    soon(seconds_to_close, within=1.0)
    upstream.script = echo
    with proxy.client() as client:
        assert client.post("/v1/chat/completions", content=chat("quick")).status_code == 200
