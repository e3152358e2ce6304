"""Callers that leave at any moment: the upstream's places are free again, nobody's words mix."""

import asyncio
import json
import random
import time
from itertools import count

from tests.faults.history import History, Seen, judge
from tests.faults.report import Row
from tests.faults.stage import Stage
from tests.faults.stored import stored_calls, wait_until_stored
from tests.faults.vitals import vitals, with_probe
from tests.proxies import KEY, RunningProxy
from tests.upstream import DONE, Answer, ReceivedRequest, Script, chunk_event, said

PLACES = 10
AFTERWARDS = 20
PIECES = 12
PATIENCE = 60.0
LOST = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, OSError)


def asking(text: str, session: str) -> bytes:
    """A request for a stream."""
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
    ).encode()
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nx-user-id: chaos\r\n"
        f"content-type: application/json\r\nauthorization: Bearer {KEY}\r\n"
        f"x-session-id: {session}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def few_places() -> Script:
    """An upstream that serves ten at once; who says `stay` holds a place until the caller goes."""
    places = asyncio.Semaphore(PLACES)

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        async with places:
            await answer.begin_events()
            await answer.chunk(chunk_event({"content": said(request)}))
            if said(request) == "stay":
                await answer.until_client_closes(PATIENCE)
                return
            await answer.chunk(chunk_event({}, finish="stop"))
            await answer.chunk(DONE)
            await answer.end_chunks()

    return script


def storm(stage: Stage, *, cancels: int) -> Row:
    """*cancels* callers leave in the middle, and then 20 of 20 calls must work."""
    row = Row("random cancels", stage.database, calls=cancels + AFTERWARDS)
    stage.upstream.script = few_places()
    proxy = with_probe(stage.proxy(stage.url()))
    with proxy:
        before = vitals(proxy)
        asyncio.run(_storm(proxy.port, cancels))
        row.seen = asyncio.run(_afterwards(proxy.port))
        _expect_the_same(row, proxy, before.descriptors, before.tasks)
    row.expect(row.seen == AFTERWARDS, f"{row.seen} of {AFTERWARDS} calls work afterwards")
    row.notes.append(f"{row.seen} of {AFTERWARDS} afterwards")
    return row


def crosstalk(stage: Stage, *, streams: int) -> Row:
    """So many streams at once, each with words of its own, given up by callers and by upstreams."""
    row, chance, history = Row("crosstalk", stage.database), random.Random(30), History()
    url = stage.url()
    stage.upstream.script = _repeating(chance)
    with stage.proxy(url) as proxy:
        row.corrupted += asyncio.run(_streams(proxy.port, streams, history))
        wait_until_stored(proxy)
    answers = {question: f"{question}, " * PIECES for question in history.seen}
    row.add(judge(history, stored_calls(url), answer_to=answers))
    return row


async def _storm(port: int, cancels: int) -> None:
    chance, left = random.Random(16), count()

    async def caller() -> None:
        while next(left) < cancels:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(asking("stay", f"storm-{chance.randrange(50)}"))
            try:
                async with asyncio.timeout(chance.choice((0, 0.001, 0.003, 0.02))):
                    await reader.readuntil(b"stay")
            except LOST:
                pass
            writer.transport.abort() if chance.random() < 0.5 else writer.close()

    await asyncio.gather(*(caller() for _ in range(3 * PLACES)))


async def _afterwards(port: int) -> int:
    async def caller(number: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(asking("go", f"afterwards-{number}"))
            async with asyncio.timeout(PATIENCE):
                await reader.readuntil(DONE)
        except LOST:
            return False
        finally:
            writer.close()
        return True

    return sum(await asyncio.gather(*(caller(number) for number in range(AFTERWARDS))))


def _expect_the_same(row: Row, proxy: RunningProxy, descriptors: int, tasks: int) -> None:
    """Files and tasks come back to what they were, but for upstream connections that are kept."""
    deadline = time.monotonic() + PATIENCE
    room = AFTERWARDS + 5
    while (now := vitals(proxy)).descriptors > descriptors + room or now.tasks > tasks + 5:
        if time.monotonic() > deadline:
            row.problems.append(f"descriptors {descriptors} before, {now.descriptors} after")
            row.problems.append(f"tasks {tasks} before, {now.tasks} after")
            return
        time.sleep(0.1)


def _repeating(chance: random.Random) -> Script:
    async def script(request: ReceivedRequest, answer: Answer) -> None:
        words = f"{said(request)}, "
        await answer.begin_events()
        for _ in range(PIECES):
            await answer.chunk(chunk_event({"content": words}))
            await asyncio.sleep(chance.choice((0, 0.001, 0.01)))
            if chance.random() < 0.01:
                answer.reset()
                return
        await answer.chunk(chunk_event({}, finish="stop"))
        await answer.chunk(DONE)
        await answer.end_chunks()

    return script


async def _streams(port: int, streams: int, history: History) -> int:
    """How many clients saw words of somebody else."""
    chance = random.Random(31)

    async def caller(number: int) -> bool:
        question = f"token-{number:06}-{chance.randrange(10**9):09}"
        history.invoke(question)
        patience = chance.choice((None, None, 0.01, 0.05, 0.2))
        body = b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(asking(question, f"crosstalk-{number}"))
            async with asyncio.timeout(patience or 60):
                while DONE not in body and (came := await reader.read(65536)):
                    body += came
            if DONE in body:
                history.end(question, Seen.OK)
        except LOST:
            pass
        writer.transport.abort()
        # The last piece may have been cut in the middle of a word.
        whole = body[: body.rfind(b"\n\n") + 1]
        return whole.count(b"token-") != whole.count(question.encode())

    return sum(await asyncio.gather(*(caller(number) for number in range(streams))))
