"""Very many short calls, some given up by their callers, some failing upstream: nothing grows."""

import asyncio
import math
import random
import time
from dataclasses import dataclass, field

from tests.faults.cancels import LOST, asking
from tests.faults.report import Row
from tests.faults.stage import Stage
from tests.faults.stored import reasons_for_setting_aside, wait_until_stored
from tests.faults.vitals import Vitals, resident, vitals, with_probe
from tests.proxies import RunningProxy
from tests.upstream import DONE, Answer, ReceivedRequest, Script, echo

CALLERS = 16
LEAVING = 0.05
FAILING = 0.02
RATE = 600.0
"""Calls a second: two million in an hour. The recorder keeps up, so that nothing waits for it."""
HOUR = 3600.0
MEGABYTE = 2**20
WARM_UP = 0.3
"""The share of a run in which pools, caches and the allocator may still grow."""
SETTLING = 60.0
"""Seconds; free upstream connections are kept for 15."""
ENOUGH_FOR_A_SLOPE = 600.0
MORE_BLOCKS = 1.05


@dataclass
class Tally:
    """What the callers have done."""

    calls: int = 0
    seen: int = 0
    refused: int = 0
    samples: list[tuple[float, int]] = field(default_factory=list)


def soak(stage: Stage, *, calls: int, seconds: float) -> Row:
    """Make *calls* calls, or as many as go in *seconds*."""
    row, tally = Row("soak", stage.database), Tally()
    stage.upstream.script = _sometimes_failing(stage)
    proxy = with_probe(stage.proxy(stage.url()))
    with proxy:
        warming = _Callers(proxy, Tally(), calls=max(200, calls // 20), seconds=seconds)
        asyncio.run(warming.run())
        wait_until_stored(proxy, patience=300)
        before = _settled(proxy, None)
        asyncio.run(_Callers(proxy, tally, calls=calls, seconds=seconds, rate=RATE).run())
        wait_until_stored(proxy, patience=300)
        after = _settled(proxy, before)
        health = proxy.get("/health").json()
        row.problems += reasons_for_setting_aside(proxy)[:3]
        row.expect(proxy.stop() == 0, "it did not end with exit code 0")
    row.calls, row.seen = tally.calls, tally.seen
    row.lost = health["recorder"]["dropped"]
    row.orphaned = health["recorder"]["set_aside"]
    row.expect(after.tasks <= before.tasks + 3, f"tasks {before.tasks} -> {after.tasks}")
    row.expect(
        after.descriptors <= before.descriptors + 5,
        f"descriptors {before.descriptors} -> {after.descriptors}",
    )
    row.notes.append(f"blocks {before.blocks:,} -> {after.blocks:,}")
    # What leaks takes blocks long before it takes pages. Caches are full, and some lists are
    # cleared only every few hundred times.
    row.expect(after.blocks < before.blocks * MORE_BLOCKS, f"blocks -> {after.blocks:,}")
    _judge_memory(row, tally.samples)
    return row


def _judge_memory(row: Row, samples: list[tuple[float, int]]) -> None:
    """Under 1 MB per hour after warm-up; of a short run, which has no slope, how much it grew."""
    steady = samples[int(len(samples) * WARM_UP) :]
    lasted = steady[-1][0] - steady[0][0]
    slope = _slope(steady) * HOUR / MEGABYTE
    grown = (steady[-1][1] - steady[0][1]) / MEGABYTE
    quarters = [samples[at * (len(samples) - 1) // 4][1] // MEGABYTE for at in range(5)]
    row.notes.append(f"memory {', '.join(map(str, quarters))} MB in {lasted:.0f} s")
    if lasted >= ENOUGH_FOR_A_SLOPE:
        row.notes.append(f"{slope:+.2f} MB/h")
        row.expect(slope < 1, f"memory grows by {slope:.2f} MB/h")
    else:
        row.expect(grown < 32, f"memory grew by {grown:.0f} MB")


def _slope(samples: list[tuple[float, int]]) -> float:
    """Least squares, in bytes per second."""
    count = len(samples)
    middle = sum(at for at, _ in samples) / count
    level = sum(size for _, size in samples) / count
    above = sum((at - middle) * (size - level) for at, size in samples)
    return above / (sum((at - middle) ** 2 for at, _ in samples) or 1.0)


def _settled(proxy: RunningProxy, wanted: Vitals | None) -> Vitals:
    """The vitals of the idle program, once they are as *wanted* or it has had its time."""
    deadline = time.monotonic() + (SETTLING if wanted else 0.0)
    while True:
        now = vitals(proxy)
        is_back = wanted and now.descriptors <= wanted.descriptors + 5
        if is_back or time.monotonic() > deadline:
            return now
        time.sleep(0.2)


def _sometimes_failing(stage: Stage) -> Script:
    chance = random.Random(2)

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        stage.upstream.requests.clear()
        if chance.random() < FAILING:
            await answer.whole(b'{"error": {"message": "overloaded"}}', status=500)
        else:
            await echo(request, answer)

    return script


class _Callers:
    """Calls until there were enough, or the time is over."""

    def __init__(
        self,
        proxy: RunningProxy,
        tally: Tally,
        *,
        calls: int,
        seconds: float,
        rate: float = math.inf,
    ) -> None:
        self._proxy = proxy
        self._tally = tally
        self._calls = calls
        self._rate = rate
        self._every = max(0.2, seconds / 500)
        self._began = time.monotonic()
        self._end = self._began + seconds
        self._chance = random.Random(5)

    async def run(self) -> None:
        await asyncio.gather(self._watch(), *(self._caller(n) for n in range(CALLERS)))
        self._sample()

    @property
    def _is_over(self) -> bool:
        return self._tally.calls >= self._calls or time.monotonic() > self._end

    def _sample(self) -> None:
        self._tally.samples.append((time.monotonic(), resident(self._proxy.process.pid)))

    async def _watch(self) -> None:
        while not self._is_over:
            self._sample()
            await asyncio.sleep(self._every)

    async def _caller(self, number: int) -> None:
        while not self._is_over:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._proxy.port)
            try:
                await self._calls_on(reader, writer, number)
            except LOST:
                pass
            finally:
                writer.transport.abort()

    async def _calls_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        """Call on one connection, and now and then leave without the answer."""
        tally = self._tally
        while not self._is_over:
            tally.calls += 1
            writer.write(asking(f"call {tally.calls}", f"soak-{number}-{tally.calls % 97}"))
            if self._chance.random() < LEAVING:
                return
            await _answer(reader, tally)
            await self._until_due()

    async def _until_due(self) -> None:
        """Wait until another call may be made; all callers together keep to the rate."""
        early = self._tally.calls / self._rate - (time.monotonic() - self._began)
        if early > 0:
            await asyncio.sleep(early)


async def _answer(reader: asyncio.StreamReader, tally: Tally) -> None:
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            body = await reader.readuntil(b"0\r\n\r\n")
            tally.seen += DONE in body
        else:
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            tally.refused += 1
