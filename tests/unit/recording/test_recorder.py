"""The recorder outlives everything: a store that is away, a turn that nobody can store, rivals."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.factories import an_exchange, assistant, reply_body, user
from tests.fakes import FakeCall, InMemoryExchangeStore, InMemoryTransaction, StoreAway
from tests.packages import a_brotli, a_zstandard, no_packages, pack
from tests.timing import until

from officeai_proxy.burials import burials_of
from officeai_proxy.model import CallRecord, Exchange, Outcome
from officeai_proxy.recording import frames, segments, setaside
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.recorder import Leadership, Pace, Recorder
from officeai_proxy.recording.writer import LoggedCall
from officeai_proxy.tree import Thread

QUICK = Pace(poll=0.005, lock_poll=0.005, first_backoff=0.005, last_backoff=0.01, tidy_every=0.0)


async def nothing() -> bool:
    """Tidy up nothing, and be done with it."""
    return True


def a_recorder(
    directory: Path,
    store: InMemoryExchangeStore,
    *,
    tidy: Callable[[], Awaitable[bool]] = nothing,
    pace: Pace = QUICK,
) -> Recorder:
    return Recorder(
        directory,
        store,
        is_transient=lambda error: isinstance(error, StoreAway),
        tidy=tidy,
        pace=pace,
    )


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run())
        yield
        recorder.stop()


async def test_stopping_stores_what_is_in_the_journal(tmp_path: Path) -> None:
    """What was appended before the stop is in the store when `run` returns, and freed."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    for number in range(20):
        journal.append(an_exchange([user(f"q{number}")], session=f"s{number}"))
    journal.close()
    recorder = a_recorder(tmp_path, store)

    recorder.stop()
    await recorder.run()

    assert len(store.conversations) == 20
    assert segments.sizes(tmp_path) == {}


async def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """Nothing is lost and nothing is stored twice, however often the store fails."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    store.away_for = 5
    journal.append(an_exchange())

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 1)

    assert store.transactions >= 6
    assert len(store.only().messages) == 2


@pytest.mark.parametrize(("times", "told"), [(1, 0), (2, 1), (5, 1)])
async def test_an_outage_is_told_once_and_one_refusal_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: int, told: int
) -> None:
    """Another writer may have been a moment faster; the next try finds what it wrote."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    store.away_for = times
    journal.append(an_exchange())

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 1)

    assert caplog.text.count("the database is away") == told
    assert caplog.text.count("the database is back") == told


async def test_stopping_while_the_store_is_away_keeps_the_journal(tmp_path: Path) -> None:
    """The program can end during an outage; the next one stores what waits."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    store.away_for = 10**9
    journal.append(an_exchange())
    recorder = a_recorder(tmp_path, store)

    async with running(recorder):
        await until(lambda: store.transactions > 1)
    journal.close()
    kept = segments.sizes(tmp_path)
    store.away_for = 0
    after = a_recorder(tmp_path, store)
    after.stop()
    await after.run()

    assert len(kept) == 1
    assert len(store.calls) == 1


async def test_one_bad_turn_is_set_aside_and_its_neighbours_are_stored(tmp_path: Path) -> None:
    """Of a batch of forty only the two that can never be stored are missing, whole, with why."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    store.refused_words = {"poison"}
    exchanges = [
        an_exchange([user("poison" if n in (7, 30) else f"q{n}")], session=f"s{n}")
        for n in range(40)
    ]
    for exchange in exchanges:
        journal.append(exchange)

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 38 and setaside.count(tmp_path) == 2)

    kept = tmp_path / setaside.FOLDER / f"{exchanges[7].id}.frame"
    assert frames.decode(kept.read_bytes()) == exchanges[7]
    assert "poison" in orjson.loads(kept.with_suffix(".json").read_bytes())["reason"]


@pytest.mark.parametrize(("encoding", "install"), [("br", a_brotli), ("zstd", a_zstandard)])
async def test_a_reply_that_cannot_be_unpacked_is_set_aside_until_it_can(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    install: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """It is kept whole and not without its answer; with the package for it a retry stores it."""
    no_packages(monkeypatch)
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    packed = pack(reply_body([assistant("forty-two")]))
    kept = an_exchange([user("why?")], packed, session="a", content_encoding=encoding)
    for exchange in (kept, an_exchange(session="b")):
        journal.append(exchange)

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 1 and setaside.count(tmp_path) == 1)
    (aside,) = setaside.SetAsideFolder(tmp_path).all()
    install(monkeypatch)
    setaside.SetAsideFolder(tmp_path).retry(aside.name, Journal(tmp_path))
    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 2)

    assert aside.exchange == kept
    assert f"content encoding '{encoding}' is not supported" in aside.reason
    said = [message.content for message in store.conversations[-1].path()]
    assert said == ["why?", "forty-two"]
    assert setaside.count(tmp_path) == 0


async def test_a_frame_of_another_version_is_set_aside(tmp_path: Path) -> None:
    """It is kept for the program that can read it, and holds up nobody."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    journal.append(an_exchange())
    (path,) = tmp_path.glob("*.seg")
    data = path.read_bytes().replace(b'"outcome"', b'"outc0me"')
    payload = data[frames.HEADER_SIZE :]
    crc = frames.crc32(payload, frames.crc32(data[4:24])).to_bytes(4)
    (tmp_path / "other-00000001.seg").write_bytes(data[:24] + crc + payload)

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 1 and setaside.count(tmp_path) == 1)


async def test_only_one_of_several_recorders_works(tmp_path: Path) -> None:
    """The others wait, and one of them goes on when the first has ended."""
    first, second = InMemoryExchangeStore(), InMemoryExchangeStore()
    journal = Journal(tmp_path)

    async with running(a_recorder(tmp_path, second)):
        leading = a_recorder(tmp_path, first)
        async with running(leading):
            journal.append(an_exchange(session="a"))
            await until(lambda: len(first.calls) + len(second.calls) == 1)
            worked, rested = (first, second) if first.calls else (second, first)
            journal.append(an_exchange(session="b"))
            await until(lambda: len(worked.calls) == 2)
            seen_by_the_other = len(rested.calls)
        journal.append(an_exchange(session="c"))
        await until(lambda: len(first.calls) + len(second.calls) == 3)

    assert seen_by_the_other == 0


async def test_a_recorder_that_waits_ends_when_all_is_stored(tmp_path: Path) -> None:
    """Stopping does not wait for the lock when another one has done the work."""
    other = Leadership(tmp_path)
    assert other.taken()
    recorder = a_recorder(tmp_path, InMemoryExchangeStore())

    recorder.stop()
    async with asyncio.timeout(60):
        await recorder.run()
    other.close()


async def test_a_long_outage_is_made_up_for_in_order(tmp_path: Path) -> None:
    """A conversation of a hundred turns, stored in batches of seven, is one line."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path, segment_bytes=5000)
    for number in range(100):
        journal.append(an_exchange([user(f"q{number}")], [assistant(f"a{number}")]))
    journal.close()
    recorder = a_recorder(tmp_path, store, pace=Pace(max_entries=7))

    recorder.stop()
    await recorder.run()

    said = [message.content for message in store.only().path()]
    assert said == [f"{who}{n}" for n in range(100) for who in "qa"]


async def test_it_rests_until_somebody_asks(tmp_path: Path) -> None:
    """After a small batch the next one waits; asking, here or in another process, ends the wait."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    asking: list[Callable[[], None]] = []
    recorder = a_recorder(tmp_path, store, pace=replace(QUICK, rest=3600))
    asking += [recorder.poke, lambda: segments.hurry(tmp_path)]
    async with asyncio.timeout(60), running(recorder):
        journal.append(an_exchange())
        await until(lambda: len(store.calls) == 1)
        for number, ask in enumerate(asking, start=2):
            journal.append(an_exchange())
            await asyncio.sleep(10 * QUICK.poll)
            assert len(store.calls) == number - 1
            ask()
            await until(lambda wanted=number: len(store.calls) == wanted)
    journal.close()


@pytest.mark.parametrize("limit", [{"max_entries": 5}, {"max_bytes": 2000}], ids=str)
async def test_it_does_not_rest_while_more_is_waiting(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    """Full batches follow each other at once, whatever the rest is and whatever filled them."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    for _ in range(10):
        journal.append(an_exchange())
    async with (
        asyncio.timeout(60),
        running(a_recorder(tmp_path, store, pace=replace(QUICK, rest=3600, **limit))),
    ):
        await until(lambda: len(store.calls) == 10)
    journal.close()


async def test_tidying_fails_now_and_then_without_harm(tmp_path: Path) -> None:
    """A store that cannot be tidied up at the moment is tidied up later."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    tidied = 0

    async def tidy() -> bool:
        nonlocal tidied
        tidied += 1
        if tidied < 3:
            raise StoreAway
        return True

    journal.append(an_exchange())
    async with running(a_recorder(tmp_path, store, tidy=tidy)):
        await until(lambda: tidied >= 3 and len(store.calls) == 1)


async def test_tidying_that_is_not_done_goes_on_soon(tmp_path: Path) -> None:
    """A long clean-up goes on in short pieces until it is done, and then rests."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    tidied = 0

    async def tidy() -> bool:
        nonlocal tidied
        tidied += 1
        return tidied == 5

    pace = replace(QUICK, tidy_every=3600, tidy_again=0.001)
    async with running(a_recorder(tmp_path, store, tidy=tidy, pace=pace)):
        await until(lambda: tidied == 5)
        journal.append(an_exchange())
        await until(lambda: len(store.calls) == 1)

    assert tidied == 5


async def test_costs_are_told_when_a_call_is_stored(tmp_path: Path) -> None:
    """Each call gets its cost on its way into the store, and is heard of once it is there; of one
    that was erased meanwhile nobody hears.
    """
    store, journal, heard = InMemoryExchangeStore(), Journal(tmp_path), list[CallRecord]()
    erased, kept = an_exchange(session="s1"), an_exchange(session="s2")
    store.buried = dict.fromkeys(burials_of("default", "ann", "s1"), erased.started_at)
    journal.append(erased)
    journal.append(kept)
    journal.close()
    recorder = Recorder(
        tmp_path,
        store,
        is_transient=lambda error: isinstance(error, StoreAway),
        tidy=nothing,
        pace=QUICK,
        cost_of=lambda call: 0.25 if call.model_served == "served" else None,
        on_stored=heard.extend,
    )
    store.away_for = 1
    async with running(recorder):
        await until(lambda: bool(heard))

    assert [call.cost for call in store.calls.values()] == [0.25]
    assert list(store.calls) == [kept.id]
    assert heard == list(store.calls.values())


def cut_off(directory: Path, *exchanges: Exchange) -> Journal:
    """A worker's journal whose *exchanges* were on their way when it died."""
    journal = Journal(directory)
    for exchange in exchanges:
        journal.pieces.write(FakeCall(replace(exchange, reply=b"")).says(exchange.reply))
    return journal


def kill(journal: Journal) -> None:
    """Let the worker die: the kernel frees its locks, and nothing else happens."""
    journal.pieces.close(is_kept=True)
    journal.close()


async def test_a_call_that_a_kill_cut_off_is_stored_as_interrupted(tmp_path: Path) -> None:
    """The question and what came of the answer are there, once, however often it is read."""
    store = InMemoryExchangeStore()
    stream = b'data: {"choices": [{"index": 0, "delta": {"content": "half an ans"}}]}\n\n'
    half = an_exchange(
        [user("why?")], stream, content_type="text/event-stream", outcome=Outcome.INTERRUPTED
    )
    kill(cut_off(tmp_path, half))
    files = {file: file.read_bytes() for file in tmp_path.glob("*.pieces")}

    for _ in range(2):
        async with running(a_recorder(tmp_path, store)):
            await until(lambda: not list(tmp_path.glob("*.pieces")))
        for file, data in files.items():
            file.write_bytes(data)

    assert [m.content for m in store.only().path()] == ["why?", "half an ans"]
    assert store.only().path()[1].outcome is Outcome.INTERRUPTED
    assert [call.outcome for call in store.calls.values()] == [Outcome.INTERRUPTED]


async def test_the_end_of_a_call_wins_over_its_pieces(tmp_path: Path) -> None:
    """A kill between the end of a call and the wiping of its pieces leaves the whole call."""
    store, whole = InMemoryExchangeStore(), an_exchange()
    journal = cut_off(tmp_path, replace(whole, reply=whole.reply[:9], outcome=Outcome.INTERRUPTED))
    journal.append(whole)
    kill(journal)

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: not list(tmp_path.glob("*.pieces")))

    assert [call.outcome for call in store.calls.values()] == [Outcome.COMPLETE]
    assert [m.content for m in store.only().path()] == ["hi", "hello"]


async def test_what_was_cut_off_comes_before_what_was_said_later(tmp_path: Path) -> None:
    """A client that asks again after the restart gets its answer behind the question."""
    store = InMemoryExchangeStore()
    half = an_exchange([user("why?")], b"", status=None, outcome=Outcome.INTERRUPTED)
    kill(cut_off(tmp_path, half))
    minute_ago = time.time() - 60
    for file in tmp_path.glob("*.pieces"):
        os.utime(file, (minute_ago, minute_ago))
    Journal(tmp_path).append(an_exchange([user("why?")], [assistant("because")]))

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 2)

    assert [message.content for message in store.only().path()] == ["why?", "because"]


async def test_what_was_cut_off_comes_behind_what_was_said_before(tmp_path: Path) -> None:
    """Also behind what another worker has written and nobody has stored yet."""
    store = InMemoryExchangeStore()
    Journal(tmp_path).append(an_exchange([user("hi")], [assistant("hello")]))
    half = an_exchange([user("why?")], b"", status=None, outcome=Outcome.INTERRUPTED)
    kill(cut_off(tmp_path, half))

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 2)

    assert [message.content for message in store.only().path()] == ["hi", "hello", "why?"]


async def test_what_was_cut_off_waits_for_the_store_too(tmp_path: Path) -> None:
    """Its files stay until it is stored; ending the program meanwhile changes nothing."""
    store = InMemoryExchangeStore()
    store.away_for = 10**9
    kill(cut_off(tmp_path, an_exchange()))
    async with running(a_recorder(tmp_path, store)):
        await until(lambda: store.transactions > 2)
    kept = list(tmp_path.glob("*.pieces"))
    store.away_for = 0
    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 1)

    assert len(kept) == 1


async def test_a_worker_that_dies_is_noticed_while_others_live(tmp_path: Path) -> None:
    """The recorder of a worker that lives takes over what another one left, and not before."""
    store = InMemoryExchangeStore()
    half, other = an_exchange([user("half")], session="a"), an_exchange(session="b")
    dying, living = cut_off(tmp_path, half), Journal(tmp_path)
    async with running(a_recorder(tmp_path, store)):
        living.append(other)
        await until(lambda: len(store.calls) == 1)
        kill(dying)
        await until(lambda: len(store.calls) == 2)

    assert list(store.calls) == [other.id, half.id]
    assert not list(tmp_path.glob("*.pieces"))


async def test_a_batch_that_is_too_much_is_stored_in_smaller_ones(tmp_path: Path) -> None:
    """A database that stops long statements gets shorter ones, and nothing is set aside."""
    journal = Journal(tmp_path)
    for number in range(20):
        journal.append(an_exchange([user(f"q{number}")], session=f"s{number}"))
    store = ImpatientStore(most=3)
    recorder = Recorder(
        tmp_path,
        store,
        is_transient=lambda error: isinstance(error, StoreAway),
        is_too_much=lambda error: isinstance(error, StoreAway),
        tidy=nothing,
        pace=QUICK,
    )
    async with running(recorder):
        await until(lambda: len(store.calls) == 20)
        # One alone cannot be made smaller: it waits.
        store.away_for = 3
        journal.append(an_exchange(session="s20"))
        await until(lambda: len(store.calls) == 21)

    assert setaside.count(tmp_path) == 0
    assert [call.session for call in store.calls.values()] == [f"s{n}" for n in range(21)]


class ImpatientStore(InMemoryExchangeStore):
    """A store that takes only so many calls in one transaction."""

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self._most = most

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[InMemoryTransaction]:
        async with super().transaction() as transaction:
            yield ImpatientTransaction(self, transaction, self._most)


class ImpatientTransaction(InMemoryTransaction):
    """One of its transactions."""

    def __init__(self, store: ImpatientStore, _: InMemoryTransaction, most: int) -> None:
        super().__init__(store)
        self._most = most

    async def save(self, threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> None:
        if len(calls) > self._most:
            raise StoreAway
        await super().save(threads, calls)


async def test_a_full_disk_does_not_stop_the_recorder(tmp_path: Path) -> None:
    """How far the journal is stored need not be noted for its segments to be freed."""
    store, journal = InMemoryExchangeStore(), Journal(tmp_path)
    (tmp_path / f"{segments.STORED}.new").mkdir()
    for number in range(3):
        journal.append(an_exchange(session=f"s{number}"))
    journal.close()

    async with running(a_recorder(tmp_path, store)):
        await until(lambda: len(store.calls) == 3 and not segments.sizes(tmp_path))


async def test_damage_is_set_aside_once_before_its_segment_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A recorder that dies in between leaves one file of it, and it is said loudly."""
    store = InMemoryExchangeStore()
    frame = frames.encode(an_exchange())
    damaged = bytearray(frame)
    damaged[100] ^= 1
    segment = tmp_path / "dead-00000001.seg"
    for _ in range(2):
        segment.write_bytes(damaged + frame)
        (tmp_path / segments.STORED).unlink(missing_ok=True)
        recorder = a_recorder(tmp_path, store)
        recorder.stop()
        await recorder.run()

    (kept,) = setaside.SetAsideFolder(tmp_path).all()
    assert kept.is_damage
    assert setaside.SetAsideFolder(tmp_path).damaged_bytes(kept.name) == damaged
    assert setaside.count_damage(tmp_path) == 1
    assert len(store.calls) == 1
    assert not segment.exists()
    assert "dead-00000001.seg is damaged from byte 0" in caplog.text
