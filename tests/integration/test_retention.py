"""Retention on both databases, with a clock that stands still: what goes, what stays, and how."""

import asyncio
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import an_exchange, assistant, user
from tests.integration.stored import ELSEWHERE, HERE, MINUTE, NOW, find, log_call, said, say, start
from tests.integration.test_audit import rows
from tests.integration.test_exchanges import store

from officeai_proxy.exports import Order, open_export
from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.imports import Importer
from officeai_proxy.model import Caller, Conversation
from officeai_proxy.retention import pruning
from officeai_proxy.retention.archive import ArchiveNotWritten
from officeai_proxy.retention.keeper import Keeper
from officeai_proxy.retention.pruning import Plan, Pruning, plan_of
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.log import AuditFilter, detail_of
from officeai_proxy.storage.audit.verification import verify
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.retention import Amount, Due
from officeai_proxy.storage.schema.migrations import check

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def pruner(database: Database, *, now: datetime = NOW) -> Pruning:
    return Pruning(database, actor="retention", clock=lambda: now, rest=0)


def older_than(days: int, **more: Any) -> Plan:
    return Plan(due=Due(before=NOW - days * DAY), **more)


async def sessions(database: Database, *, caller: Caller = HERE) -> set[str]:
    async with database.read() as connection:
        page = await ConversationRepository(connection, caller).page(
            ConversationFilter(deleted=Deleted.WITH), PageRequest(limit=1000)
        )
    return {one.session_id for one in page.items}


async def to_the_bin(database: Database, session_id: str, *, now: datetime) -> Conversation:
    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        conversation = await repository.find(session_id)
        await repository.bin(conversation, now=now)
        return conversation


async def spoken(database: Database, session_id: str, *, now: datetime, count: int = 2) -> None:
    conversation = await start(database, session_id, now=now)
    await say(database, conversation, *(said(f"{session_id} {n}") for n in range(count)), now=now)


async def everything(database: Database, *sessions: str) -> list[dict[str, Any]]:
    """What an export has of some conversations, without the numbers of rows."""
    order = Order(
        format="jsonl",
        options=Options(exported_at=NOW),
        conversations=ConversationFilter(deleted=Deleted.WITH),
    )
    async with open_export(database, HERE, order) as export:
        data = b"".join([piece async for piece in export.pieces()])
    lines = sorted(map(plain, data.splitlines()), key=lambda one: str(one["session_id"]))
    return [one for one in lines if one["session_id"] in sessions]


def plain(line: bytes) -> dict[str, Any]:
    """A conversation with messages numbered by their place in it."""
    conversation: dict[str, Any] = json.loads(line)
    numbers = {message["id"]: n for n, message in enumerate(conversation["messages"])}
    for message in conversation["messages"]:
        message["id"] = numbers[message["id"]]
        message["parent_id"] = numbers.get(message["parent_id"])
    return conversation


async def test_the_boundary_is_exact(database: Database) -> None:
    """Exactly as old as allowed stays; a microsecond more goes, in every workspace."""
    for name, moment in (("stays", NOW - 30 * DAY), ("goes", NOW - 30 * DAY - TICK)):
        await spoken(database, name, now=moment)
    await start(database, "theirs", caller=ELSEWHERE, now=NOW - 31 * DAY)

    done = await pruner(database).run(older_than(30))

    assert await sessions(database) == {"stays"}
    assert await sessions(database, caller=ELSEWHERE) == set()
    assert done == [
        Amount(workspace="default", conversations=1, messages=2, calls=0),
        Amount(workspace="other", conversations=1, messages=0, calls=0),
    ]
    assert await check(database) == []


async def test_the_bin_has_a_time_of_its_own(database: Database) -> None:
    """What was in the bin for long enough goes, however young it is; the rest of it stays."""
    for name, moment in (("stays", NOW - 30 * DAY), ("goes", NOW - 30 * DAY - TICK)):
        await spoken(database, name, now=NOW)
        await to_the_bin(database, name, now=moment)
    await spoken(database, "old and live", now=NOW - 999 * DAY)

    await pruner(database).run(Plan(due=Due(binned_before=NOW - 30 * DAY)))

    assert await sessions(database) == {"stays", "old and live"}


async def test_nothing_goes_by_default_but_the_old_bin() -> None:
    """Without settings only what was thrown away a month ago goes; with zeroes nothing does."""
    plan = plan_of(load_settings(_env_file=None), NOW)
    nothing = plan_of(load_settings(bin_days=0, _env_file=None), NOW)

    assert plan == Plan(due=Due(binned_before=NOW - 30 * DAY))
    assert nothing == Plan(due=Due())


async def test_a_plan_without_anything_changes_nothing(database: Database) -> None:
    """No rule, no deletion, and no row of the log either."""
    await spoken(database, "old", now=NOW - 999 * DAY)

    assert await pruner(database).run(Plan(due=Due())) == []

    assert await sessions(database) == {"old"}
    assert (await verify(database)).rows == 0


async def test_looking_changes_nothing(database: Database) -> None:
    """The amounts are those that a run deletes, and looking at them deletes none."""
    await spoken(database, "old", now=NOW - 31 * DAY, count=3)
    async with database.write() as connection:
        await log_call(connection, 1, started_at=NOW - 31 * DAY)

    looked = await pruner(database).amounts(older_than(30))

    assert await sessions(database) == {"old"}
    assert (await verify(database)).rows == 0
    assert looked == await pruner(database).run(older_than(30))
    assert looked == [Amount(workspace="default", conversations=1, messages=3, calls=1)]
    assert await pruner(database).run(older_than(30)) == []


@pytest.mark.parametrize("in_bin", [False, True])
async def test_calls_of_conversations_are_counted(database: Database, in_bin: bool) -> None:
    """Looking and deleting count the calls that go with conversations, and no others."""
    for session in ("old", "old", "older"):
        await store(database, an_exchange(session=session))
    plan = Plan(due=Due(before=NOW + 999 * DAY))
    if in_bin:
        await to_the_bin(database, "old", now=NOW - DAY)
        plan = Plan(due=Due(binned_before=NOW))
    async with database.write() as connection:
        await log_call(connection, 1)

    looked = await pruner(database).amounts(plan)

    expected = {"conversations": 1, "messages": 4, "calls": 2}
    if not in_bin:
        expected = {"conversations": 2, "messages": 6, "calls": 4}
    assert looked == [Amount(workspace="default", **expected)]
    assert await pruner(database).run(plan) == looked
    [ended, _] = (await rows(database, AuditFilter(action="workspace.prune"))).items
    assert detail_of(ended)["calls"] == expected["calls"]


async def test_calls_go_with_their_conversation_or_by_their_age(database: Database) -> None:
    """The log keeps the calls of what is kept; the others go when they are too old by a tick."""
    await store(database, an_exchange(session="kept"))
    async with database.write() as connection:
        await log_call(connection, 1, started_at=NOW - 30 * DAY)
        await log_call(connection, 2, started_at=NOW - 30 * DAY - TICK)
        await connection.execute(
            text("UPDATE conversations SET updated_at = :now"), {"now": as_stored(database, NOW)}
        )

    await pruner(database).run(older_than(30))

    async with database.read() as connection:
        left = await connection.execute(text("SELECT COUNT(*) FROM exchanges"))
        assert left.scalar_one() == 2
        gone = await connection.execute(text("SELECT COUNT(*) FROM tombstones"))
        assert gone.scalar_one() == 1


def as_stored(database: Database, moment: datetime) -> Any:
    if database.path is None:
        return moment
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


async def test_a_journal_that_is_read_again_brings_nothing_back(database: Database) -> None:
    """What retention deleted stays deleted when its exchange is stored a second time."""
    exchange = an_exchange([user("hello")], assistant("hi"))
    await store(database, exchange)

    await pruner(database).run(Plan(due=Due(before=NOW + 999 * DAY)))
    await store(database, exchange)

    assert await sessions(database) == set()


async def test_the_archive_is_what_was_deleted(database: Database, tmp_path: Path) -> None:
    """Every due conversation is in the file with all its branches; imported, it is as it was."""
    await store(database, an_exchange([user("q")], assistant("a"), session="recorded"))
    await store(database, an_exchange([user("q")], assistant("b"), session="recorded"))
    await spoken(database, "old", now=NOW - 31 * DAY)
    await spoken(database, "young", now=NOW)
    before = await everything(database, "old", "recorded")
    assert len(before) == 2

    await pruner(database).run(older_than(30, archive_dir=tmp_path / "archive"))

    assert await sessions(database) == {"young"}
    [file] = (tmp_path / "archive").iterdir()
    assert file.suffix == ".jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    data = file.read_bytes()
    archived = sorted(map(plain, data.splitlines()), key=lambda one: str(one["session_id"]))
    assert archived == before
    reading = Reading(now=NOW, item_bytes=2**30, total_bytes=2**30)
    account = await Importer(database, HERE, user=None).run(io.BytesIO(data), reading)
    assert (account.imported, account.failed) == (2, 0)
    assert await everything(database, "old", "recorded") == before


async def test_what_is_in_the_bin_is_not_archived(database: Database, tmp_path: Path) -> None:
    """What somebody threw away is not kept by a way round, however old it is."""
    await spoken(database, "thrown away", now=NOW - 31 * DAY)
    await spoken(database, "old", now=NOW - 31 * DAY)
    await to_the_bin(database, "thrown away", now=NOW - DAY)

    await pruner(database).run(older_than(30, archive_dir=tmp_path))

    assert await sessions(database) == set()
    [file] = tmp_path.glob("*.jsonl")
    assert "thrown away" not in file.read_text("utf-8")


async def test_without_an_archive_nothing_is_deleted(database: Database, tmp_path: Path) -> None:
    """A disk that does not take the file keeps everything in the database, and leaves no part."""
    await spoken(database, "old", now=NOW - 31 * DAY)
    in_the_way = tmp_path / "archive"
    in_the_way.write_text("a file", "utf-8")

    with pytest.raises(ArchiveNotWritten, match="nothing was deleted"):
        await pruner(database).run(older_than(30, archive_dir=in_the_way))

    assert await sessions(database) == {"old"}


async def test_a_file_that_reads_back_short_deletes_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what can be read back from the file counts as archived."""
    await spoken(database, "old", now=NOW - 31 * DAY)
    monkeypatch.setattr("officeai_proxy.retention.archive.read_items", lambda *_: iter(()))

    with pytest.raises(ArchiveNotWritten, match="cannot be read back"):
        await pruner(database).run(older_than(30, archive_dir=tmp_path))

    assert await sessions(database) == {"old"}
    assert list(tmp_path.glob("*.jsonl*")) == []


async def test_what_changes_meanwhile_stays(database: Database, tmp_path: Path) -> None:
    """A conversation that somebody goes on with while it is archived is not deleted."""
    await spoken(database, "old", now=NOW - 31 * DAY)
    await spoken(database, "goes on", now=NOW - 31 * DAY)
    pruning_ = pruner(database)
    erase = pruning_._erase

    async def meanwhile(some):  # type: ignore[no-untyped-def]
        conversation = await find(database, "goes on")
        # As an import does: a message from before, so that it is as old as it was.
        await say(database, conversation, "one more", now=NOW - 31 * DAY)
        return await erase(some)

    pruning_._erase = meanwhile  # type: ignore[method-assign]
    await pruning_.run(older_than(30, archive_dir=tmp_path))

    assert await sessions(database) == {"goes on"}


async def test_it_goes_on_where_it_was_stopped(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two batches, what went is archived, and the next run does the rest."""
    monkeypatch.setattr(pruning, "CONVERSATIONS_AT_ONCE", 2)
    for number in range(5):
        await spoken(database, f"old {number}", now=NOW - 31 * DAY)
    plan = older_than(30, archive_dir=tmp_path)
    stopped = pruner(database)
    erase, batches = stopped._erase, 0

    async def once(some):  # type: ignore[no-untyped-def]
        nonlocal batches
        batches += 1
        if batches == 2:
            raise asyncio.CancelledError
        return await erase(some)

    stopped._erase = once  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await stopped.run(plan)

    assert len(await sessions(database)) == 3
    [file] = tmp_path.glob("*.jsonl")
    assert len(file.read_bytes().splitlines()) == 5
    later = pruner(database, now=NOW + MINUTE)
    assert [one.conversations for one in await later.run(plan)] == [3]
    assert await sessions(database) == set()
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


async def test_many_go_in_several_archives(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, each is in exactly one file, in order."""
    monkeypatch.setattr(pruning, "ARCHIVED_AT_ONCE", 2)
    for number in range(5):
        await spoken(database, f"old {number}", now=NOW - 31 * DAY)

    await pruner(database).run(older_than(30, archive_dir=tmp_path))

    files = sorted(tmp_path.glob("*.jsonl"))
    names = [json.loads(line)["session_id"] for f in files for line in f.read_bytes().splitlines()]
    assert names == [f"old {number}" for number in range(5)]
    assert len(files) == 3


async def test_each_run_leaves_its_rows(database: Database) -> None:
    """A run is written down when it begins and when it ends, for each workspace, with numbers."""
    await spoken(database, "old", now=NOW - 31 * DAY)

    await pruner(database).run(older_than(30))

    ended, begun = (await rows(database, AuditFilter(action="workspace.prune"))).items
    assert detail_of(begun) == {"stage": "begun"}
    assert detail_of(ended) == {
        "stage": "ended",
        "conversations": 1,
        "messages": 2,
        "calls": 0,
        "archives": 0,
    }
    assert (ended.actor, ended.workspace) == ("retention", "default")


async def test_the_audit_log_has_a_time_of_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows go only when that is asked for, in batches, and the chain holds."""
    monkeypatch.setattr(pruning, "AUDIT_ROWS_AT_ONCE", 2)
    await spoken(database, "old", now=NOW - 31 * DAY)
    await pruner(database, now=NOW - 3 * DAY).run(older_than(30))
    await spoken(database, "old", now=NOW - 31 * DAY)
    await pruner(database).run(older_than(30))
    assert (await verify(database)).rows == 4

    await pruner(database).run(Plan(due=Due(), audit_before=NOW - DAY))
    await pruner(database).run(Plan(due=Due(), audit_before=NOW - DAY))

    verdict = await verify(database)
    assert (verdict.fault, verdict.rows, verdict.head.count) == (None, 3, 5)


async def test_one_of_all_prunes_and_once_an_hour(database: Database) -> None:
    """Whoever asks first does it; nobody again before an hour has gone, not after a restart."""
    settings = load_settings(retention_days=30, _env_file=None)
    now = NOW

    def keeper() -> Keeper:
        return Keeper(database, settings, clock=lambda: now)

    await spoken(database, "old", now=NOW - 31 * DAY)
    assert await keeper().prune_if_due()
    assert await sessions(database) == set()
    now += timedelta(minutes=59)
    assert not await keeper().prune_if_due()
    now += timedelta(minutes=1)
    done = await asyncio.gather(*(keeper().prune_if_due() for _ in range(4)))
    assert sorted(done) == [False, False, False, True]


async def test_a_clock_that_was_far_ahead_stops_nothing(database: Database) -> None:
    """An hour of difference is what hosts have; years are a clock that was set right since."""
    settings = load_settings(bin_days=30, _env_file=None)

    def keeper(now: datetime) -> Keeper:
        return Keeper(database, settings, clock=lambda: now)

    assert await keeper(NOW + 3000 * DAY).prune_if_due()
    assert await keeper(NOW).prune_if_due()
    assert not await keeper(NOW - timedelta(minutes=5)).prune_if_due()


async def test_what_failed_is_tried_again_soon(database: Database, tmp_path: Path) -> None:
    """A disk that was full for a moment does not put it off for an hour."""
    in_the_way = tmp_path / "archive"
    in_the_way.write_text("a file", "utf-8")
    settings = load_settings(retention_days=30, archive_dir=in_the_way, _env_file=None)
    keeper = Keeper(database, settings, clock=lambda: NOW)
    await spoken(database, "old", now=NOW - 31 * DAY)

    with pytest.raises(ArchiveNotWritten):
        await keeper.prune_if_due()
    in_the_way.unlink()

    assert await keeper.prune_if_due()
    assert await sessions(database) == set()
    assert not await keeper.prune_if_due()


async def test_a_keeper_that_does_not_lead_does_nothing(database: Database) -> None:
    """Only where the recorder works is anything deleted."""
    settings = load_settings(retention_days=30, _env_file=None)
    await spoken(database, "old", now=NOW - 31 * DAY)
    keeper = Keeper(database, settings, clock=lambda: NOW)

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run())
        await asyncio.sleep(0)
        assert await sessions(database) == {"old"}
        keeper.lead()
        async with asyncio.timeout(60):
            while await sessions(database):  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
