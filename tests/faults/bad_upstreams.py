"""Upstreams that misbehave in every way: the client sees what they did, and the record says so."""

import asyncio
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from tests.faults.report import Row
from tests.faults.sights import Sight, look
from tests.faults.stage import Stage
from tests.faults.vitals import forget_peak, peak_bytes
from tests.journey.wires import record_of
from tests.proxies import RunningProxy
from tests.upstream import (
    Answer,
    ReceivedRequest,
    Script,
    chunk_event,
    completion,
    echo,
    stream_of,
)

EVENTS = stream_of("one two three four")
PATIENCE = {"IDLE_TIMEOUT": "2", "FIRST_BYTE_TIMEOUT": "2", "MAX_RECORDED_MB": "1"}
MEGABYTE = 2**20
BROKEN = {"upstream_error"}
WHOLE = {"complete"}


@dataclass(frozen=True)
class Misbehaviour:
    """What an upstream does, what the client has to see of it, and what the record may say."""

    script: Script
    sees: Callable[[Sight], bool]
    outcomes: set[str]
    stream: bool = True
    at_most: int = MEGABYTE
    growth: int = 48 * MEGABYTE


def events(count: int, then: Callable[[Answer], object]) -> Script:
    """Some events, and then something else."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in EVENTS[:count]:
            await answer.chunk(event)
        await asyncio.sleep(0.02)
        ended = then(answer)
        if asyncio.iscoroutine(ended):
            await ended

    return script


def raw(data: bytes) -> Script:
    """These bytes and nothing more."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.raw(data)
        answer.close()

    return script


async def endless(_: ReceivedRequest, answer: Answer) -> None:
    await answer.begin_events()
    event = chunk_event({"content": "word " * 4000})
    while True:
        await answer.chunk(event)


async def trickle(_: ReceivedRequest, answer: Answer) -> None:
    await answer.begin_events()
    for at, byte in enumerate(b"".join(EVENTS)):
        await answer.chunk(bytes([byte]))
        if at % 50 == 0:
            await asyncio.sleep(0.01)
    await answer.end_chunks()


def whole(body: bytes, *headers: tuple[str, str]) -> Script:
    """One body with its length."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(body, *headers)

    return script


def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join(packed) + packer.flush()


BODY = completion("fine")
NOISE = random.Random(8).randbytes(20_000)
BOMB = _bomb(64)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)


def broken_after(count: int) -> Callable[[Sight], bool]:
    """The client sees as many events and then a break."""
    came = b"".join(EVENTS[:count])
    return lambda sight: (sight.status, sight.body, sight.is_whole) == (200, came, False)


def gets(body: bytes) -> Callable[[Sight], bool]:
    """The client gets exactly this, whole."""
    return lambda sight: (sight.status, sight.body, sight.is_whole) == (200, body, True)


def refused(sight: Sight) -> bool:
    """The client gets an error of ours."""
    return sight.status == 502 and sight.is_whole and b'"error"' in sight.body


def is_cut(sight: Sight) -> bool:
    return (sight.status, sight.is_whole) == (200, False)


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    **{
        f"reset after chunk {n}": Misbehaviour(events(n, Answer.reset), broken_after(n), BROKEN)
        for n in range(len(EVENTS))
    },
    "silence": Misbehaviour(
        events(3, Answer.until_client_closes), broken_after(3), {"upstream_timeout"}
    ),
    "silence from the start": Misbehaviour(
        lambda _, answer: answer.until_client_closes(),  # type: ignore[arg-type,return-value]
        lambda sight: sight.status == 504,
        {"upstream_timeout"},
    ),
    "garbage": Misbehaviour(whole(NOISE), gets(NOISE), BROKEN, stream=False),
    "no HTTP": Misbehaviour(raw(NOISE), refused, BROKEN),
    "endless body": Misbehaviour(
        endless,
        lambda sight: sight.status == 200 and sight.size >= 40 * MEGABYTE,
        {"client_closed", "truncated"},
        at_most=40 * MEGABYTE,
    ),
    "gzip bomb": Misbehaviour(
        whole(BOMB, ("content-encoding", "gzip")),
        gets(BOMB),
        BROKEN,
        stream=False,
        # The record reads a body of up to 256 MB; for a while it is there as bytes and as text.
        growth=4 * 64 * MEGABYTE,
    ),
    "trickle": Misbehaviour(trickle, gets(b"".join(EVENTS)), WHOLE),
    "content-length too long": Misbehaviour(
        raw(OK + b"content-length: 9999\r\n\r\n" + BODY), is_cut, BROKEN, stream=False
    ),
    "content-length too short": Misbehaviour(
        raw(OK + b"content-length: 9\r\n\r\n" + BODY), gets(BODY[:9]), BROKEN, stream=False
    ),
    "CL and TE": Misbehaviour(
        raw(OK + LENGTH + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + BODY),
        refused,
        BROKEN,
        stream=False,
    ),
    "two content-lengths": Misbehaviour(
        raw(OK + LENGTH + b"content-length: 3\r\n\r\n" + BODY), refused, BROKEN, stream=False
    ),
    "one giant header": Misbehaviour(
        raw(OK + b"x-a: " + b"a" * MEGABYTE + b"\r\n" + LENGTH + b"\r\n" + BODY), refused, BROKEN
    ),
    "10,000 headers": Misbehaviour(
        raw(OK + b"x-a: 1\r\n" * 10_000 + LENGTH + b"\r\n" + BODY), refused, BROKEN
    ),
}


def misbehave(stage: Stage, proxy: RunningProxy, name: str, *, times: int = 1) -> Row:
    """Let the upstream of *proxy* do this, so many times; a plain call must work after each."""
    what, row = MISBEHAVIOURS[name], Row(f"upstream: {name}", stage.database)
    before = forget_peak(proxy.process.pid)
    for _ in range(times):
        row.calls += 1
        session = f"bad-{uuid4().hex}"
        stage.upstream.script = what.script
        sight = look(proxy, session, stream=what.stream, at_most=what.at_most)
        row.seen += sight.is_whole
        row.corrupted += not what.sees(sight)
        outcome = str(record_of(proxy, session=session)["outcome"])
        row.expect(outcome in what.outcomes, f"recorded as {outcome}")
        stage.upstream.script = echo
        after = look(proxy, f"good-{uuid4().hex}", stream=False)
        row.expect(after.status == 200, "the next call failed")
    grown = peak_bytes(proxy.process.pid) - before
    row.expect(grown < what.growth, f"memory grew by {grown // MEGABYTE} MB")
    row.notes.append(f"at most {grown / MEGABYTE:+.0f} MB")
    return row
