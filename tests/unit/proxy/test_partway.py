"""Which calls get a part-way record, and when."""

from itertools import pairwise
from uuid import UUID

import pytest

from officeai_proxy.errors import ProxyError
from officeai_proxy.model import NANOSECONDS, Caller, Exchange, Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import Capture
from officeai_proxy.proxy.captures import Captures
from officeai_proxy.proxy.partway import AT_ONCE, PartWay
from officeai_proxy.proxy.upstream import UpstreamRequest


class NoCounter:
    """Counts nothing."""

    def began(self) -> None:
        """A call is on its way."""

    def over(self) -> None:
        """It is not any more."""

    def ended(self, exchange: Exchange, *, sent: int, received: int) -> None:
        """It ended."""

    def refused(self, error: ProxyError) -> None:
        """It was refused."""


class FakePieces:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def write(self, call: Capture) -> None:
        self.told.append(("write", call.id.int))

    def ended(self, call_id: UUID) -> None:
        self.told.append(("ended", call_id.int))

    def tidy(self) -> None:
        """Nothing is kept."""


class Desk:
    """A worker's calls and a clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.is_keeping = True
        self.kept: list[Exchange] = []
        self.captures = Captures("u", limit=100, append=self.kept.append, counter=NoCounter())
        self.pieces = FakePieces()
        self.part_way = PartWay(
            self.captures.running,
            self.pieces,
            is_keeping=lambda: self.is_keeping,
            clock=lambda: int(self.now * NANOSECONDS),
        )

    def call(self, number: int, *, is_recorded: bool = True) -> Capture:
        return self.captures.of(
            Call(
                id=UUID(int=number),
                caller=Caller("k"),
                method="POST",
                path="/v1/chat/completions",
                client_ip="::1",
                started_ns=0,
                started_mono=int(self.now * NANOSECONDS),
                request=UpstreamRequest(b"POST", b"/", [], b"{}"),
                is_recorded=is_recorded,
                session="s",
                body=b"{}",
            )
        )

    async def at(self, moment: float) -> list[tuple[str, int]]:
        """What is told at *moment*."""
        self.now = moment
        self.pieces.told.clear()
        await self.part_way.look()
        return list(self.pieces.told)


async def test_short_calls_and_unrecorded_ones_are_never_looked_at() -> None:
    """What is over within two seconds, and what is not recorded, leaves nothing."""
    desk = Desk()
    short = desk.call(1)
    desk.call(2, is_recorded=False)

    early = await desk.at(1.9)
    short.settle(Outcome.COMPLETE)
    late = await desk.at(60)

    assert (early, late) == ([], [])
    assert not desk.captures.running


async def test_a_call_that_lasts_is_written_every_two_seconds_until_it_ends() -> None:
    """Never more than two seconds between two pieces, and one word when it has ended."""
    desk = Desk()
    call = desk.call(1)
    moments = [t / 10 for t in range(100) if ("write", 1) in await desk.at(t / 10)]
    call.settle(Outcome.COMPLETE)

    assert moments[0] == 2.0
    assert max(b - a for a, b in pairwise(moments)) <= 2.0
    assert await desk.at(10) == [("ended", 1)]
    assert await desk.at(20) == []


@pytest.mark.parametrize("ends", [True, False])
async def test_pieces_stay_while_the_journal_takes_nothing(ends: bool) -> None:
    """The end of a call may be in memory only; what the disk has of it is worth more then."""
    desk = Desk()
    call = desk.call(1)
    await desk.at(2)
    if ends:
        call.settle(Outcome.COMPLETE)
    desk.is_keeping = False

    assert ("ended", 1) not in await desk.at(3)
    desk.is_keeping = True
    assert (("ended", 1) in await desk.at(3.1)) is ends


async def test_a_young_call_hides_no_old_one() -> None:
    """Calls of all ages are on their way; each is due in its own time."""
    desk = Desk()
    for second in range(5):
        desk.now = float(second)
        desk.call(second)

    assert await desk.at(4) == [("write", 0), ("write", 1), ("write", 2)]
    assert await desk.at(5) == [("write", 3)]
    assert await desk.at(6) == [("write", 0), ("write", 1), ("write", 2), ("write", 4)]


async def test_it_sleeps_until_there_is_something_to_do() -> None:
    """An idle worker is not woken ten times a second."""
    desk = Desk()
    idle = await desk.part_way.look()
    desk.call(1)
    desk.now = 0.5

    assert idle == 2.0
    assert await desk.part_way.look() == 1.5


def test_other_work_has_its_turn() -> None:
    """A thousand calls at once do not hold up the loop for all of them."""
    desk = Desk()
    calls = [desk.call(number) for number in range(AT_ONCE + 9)]
    desk.now = 2.0
    look = desk.part_way.look()

    look.send(None)
    first = len(desk.pieces.told)
    for call in calls:
        call.settle(Outcome.COMPLETE)
    with pytest.raises(StopIteration):
        look.send(None)

    assert first == AT_ONCE
    assert [word for word, _ in desk.pieces.told].count("write") == AT_ONCE


async def test_what_is_told_of_a_call_is_its_beginning() -> None:
    """The exchange so far is interrupted, and has what came after the pieces that are known."""
    desk = Desk()
    call = desk.call(1)
    call.head(200, [(b"content-type", b"text/event-stream")])
    for piece in (b"a", b"b", b"c"):
        call.take(piece)

    assert call.came == 3
    assert (call.so_far(0).reply, call.so_far(2).reply) == (b"abc", b"c")
    assert call.so_far(0).outcome is Outcome.INTERRUPTED
    call.settle(Outcome.COMPLETE)
    assert [(e.outcome, e.reply) for e in desk.kept] == [(Outcome.COMPLETE, b"abc")]
