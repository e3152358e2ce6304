"""No list and no page reads a whole table, whatever the database's size."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.integration.stored import (
    ALICE_ONLY,
    ELSEWHERE,
    HERE,
    MINUTE,
    NOW,
    log_call,
    said,
    say,
    start,
)

from officeai_proxy.formats.reading.imported import ImportedConversation
from officeai_proxy.model import Caller
from officeai_proxy.recording.writer import SessionName
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.calls.stats import GroupBy, StatsRepository
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    ConversationSort,
    Deleted,
)
from officeai_proxy.storage.conversations.messages import MessageRepository, Order
from officeai_proxy.storage.conversations.users import UserRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.exchanges import SqlExchangeTransaction
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.storage.transfer.imports import ImportRepository, Owned
from officeai_proxy.storage.transfer.snapshot import Snapshot, Wanted
from officeai_proxy.storage.transfer.snapshot_queries import SnapshotQueries
from officeai_proxy.words.query import Query

_SQLITE_SCAN = re.compile(r"\bSCAN (conversations|conversation_messages|exchanges)\b")
_POSTGRESQL_SCAN = re.compile(r"Seq Scan on (conversations|conversation_messages|exchanges)\b")

Statement = tuple[str, Any]


@asynccontextmanager
async def plans(
    database: Database, *, is_writing: bool = False
) -> AsyncIterator[tuple[AsyncConnection, list[str]]]:
    """A connection, and the plans of what ran on it, ready when the block ends."""
    seen: list[Statement] = []
    lines: list[str] = []

    def note(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        seen.append((statement, parameters))

    async with database.write() if is_writing else database.read() as connection:
        is_sqlite = database.dialect is Dialect.SQLITE
        if not is_sqlite:
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        yield connection, lines
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        for statement, parameters in tuple(seen):
            plan = await connection.exec_driver_sql(explain + statement, parameters)
            lines += [str(row[-1]) for row in plan]


def scans(lines: list[str]) -> list[str]:
    assert lines, "nothing was explained"
    return [line for line in lines if _SQLITE_SCAN.search(line) or _POSTGRESQL_SCAN.search(line)]


async def test_a_scan_would_be_seen(database: Database) -> None:
    """This way of looking does see a query without an index."""
    async with plans(database) as (connection, lines):
        await connection.execute(text("SELECT * FROM conversations WHERE title = 'x'"))

    assert scans(lines)


@pytest.mark.parametrize("caller", [HERE, ALICE_ONLY], ids=["workspace", "user"])
@pytest.mark.parametrize("sort", list(ConversationSort))
async def test_list_of_conversations(
    database: Database, sort: ConversationSort, caller: Caller
) -> None:
    """Every order of the list stays within the workspace, with and without a cursor."""
    for number in range(3):
        await start(database, f"s{number}")
    wanted = ConversationFilter(sort=sort, model="gpt-x" if sort.is_descending else None)
    async with plans(database) as (connection, lines):
        repository = ConversationRepository(connection, caller)
        first = await repository.page(ConversationFilter(sort=sort), PageRequest(1))
        await repository.page(wanted, PageRequest(1, cursor=first.next_cursor))
        await repository.page(
            ConversationFilter(sort=sort, user_identifier="alice"), PageRequest(1)
        )

    assert scans(lines) == []


async def test_a_model_is_found_without_its_messages(database: Database) -> None:
    """The conversations of a model are listed and counted, and no message is looked at."""
    await say(database, await start(database), said("a", model_name="gpt-x"))
    async with plans(database) as (connection, lines):
        repository = ConversationRepository(connection, HERE)
        page = await repository.page(ConversationFilter(model="gpt-x"), PageRequest(1))
        assert page.total == 1

    assert lines
    assert not [line for line in lines if "conversation_messages" in line]
    if database.dialect is Dialect.SQLITE:
        # Which conversations those are is asked once, and not of each conversation.
        assert not [line for line in lines if "CORRELATED" in line], lines


async def test_lists_by_time_are_not_sorted(database: Database) -> None:
    """The default list, of a workspace and of a user, comes out of its index in order; and so do
    the newest conversations.
    """
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL sorts three rows faster than it walks an index")
    for number in range(3):
        await start(database, f"s{number}")
    async with plans(database) as (connection, lines):
        repository = ConversationRepository(connection, HERE)
        first = await repository.page(ConversationFilter(), PageRequest(1))
        await repository.page(ConversationFilter(), PageRequest(1, cursor=first.next_cursor))
        await repository.page(ConversationFilter(user_identifier="alice"), PageRequest(1))
        newest = ConversationFilter(sort=ConversationSort.NEWEST)
        first = await repository.page(newest, PageRequest(1))
        await repository.page(newest, PageRequest(1, cursor=first.next_cursor))

    assert not [line for line in lines if "TEMP B-TREE" in line]


async def test_conversations_of_a_day_are_found_by_it(database: Database) -> None:
    """Those that began in a stretch of time are listed and counted without looking at others."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL reads 100,000 rows faster than it would keep an index up")
    await start(database)
    async with plans(database) as (connection, lines):
        day = ConversationFilter(created_after=NOW, created_before=NOW + MINUTE)
        await ConversationRepository(connection, HERE).page(day, PageRequest(1))

    found = [line for line in lines if "conversations" in line and "binned" not in line]
    assert found
    assert all("created_at>?" in line for line in found), lines


async def test_counting_reads_no_row(database: Database) -> None:
    """How many conversations there are is counted in indexes alone: a row each would take long."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL reads three rows faster than an index")
    for number in range(3):
        await start(database, f"s{number}")
    async with plans(database) as (connection, lines):
        repository = ConversationRepository(connection, HERE)
        await repository.page(ConversationFilter(), PageRequest(1))

    counted = [line for line in lines[1:] if "conversations" in line]
    assert all("COVERING" in line or "binned" in line for line in counted), lines
    assert len(counted) == 2


@pytest.mark.parametrize("others", [0, 9], ids=["most", "few"])
async def test_users_of_most_conversations_are_read_in_their_order(
    database: Database, others: int
) -> None:
    """All users of a large workspace in one walk; those of a small one, and some, by an index."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL knows how many there are, and chooses by itself")
    for number in range(others):
        await start(database, f"o{number}", caller=ELSEWHERE)
    for number in range(3):
        await start(database, f"s{number}", user=f"user{number}")
    async with plans(database) as (connection, lines):
        page = await UserRepository(connection, HERE).page(PageRequest(3))
        assert (page.total, len(page.items), page.has_more) == (3, 3, False)
    async with plans(database) as (connection, by_index):
        page = await UserRepository(connection, HERE).page(PageRequest(2))
        assert (page.total, len(page.items), page.has_more) == (3, 2, True)

    assert bool(scans(lines)) == (not others)
    assert [line for line in scans(by_index) if "USING" not in line] == []


@pytest.mark.parametrize("deleted", list(Deleted))
async def test_find(database: Database, deleted: Deleted) -> None:
    """One session is looked up by its name, also in the bin."""
    conversation = await start(database)
    if deleted is not Deleted.NO:
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).bin(conversation, now=NOW)
    async with plans(database) as (connection, lines):
        await ConversationRepository(connection, HERE).find("s1", deleted=deleted)

    assert scans(lines) == []
    if database.dialect is Dialect.SQLITE:
        assert all("session" in line for line in lines if "SEARCH conversations" in line), lines


@pytest.mark.parametrize("count", [1, 5])
async def test_batch_of_the_recorder(database: Database, count: int) -> None:
    """What a batch asks before it is written is looked up by its ids and names."""
    await say(database, await start(database), "a")
    ids = [UUID(int=n) for n in range(count)]
    async with plans(database, is_writing=True) as (connection, lines):
        transaction = SqlExchangeTransaction(connection)
        await transaction.already_stored(ids)
        await transaction.buried(ids)
        (thread,) = await transaction.threads([SessionName("default", f"s{n}") for n in range(3)])
        await transaction.path_end(thread, 5)

    assert scans(lines) == []
    assert not [line for line in lines if "SCAN tombstones" in line]


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_messages(database: Database, order: Order) -> None:
    """A page of a path or a tree walks the index of its conversation, and is not sorted."""
    conversation = await start(database)
    await say(database, conversation, "a", "b", "c")
    async with plans(database) as (connection, lines):
        repository = MessageRepository(connection, HERE)
        first = await repository.page(conversation, PageRequest(1), order=order)
        wanted = PageRequest(1, cursor=first.next_cursor)
        await repository.page(conversation, wanted, order=order)
        await repository.page(conversation, PageRequest(1), order=order, whole_tree=True)

    assert scans(lines) == []
    assert not [line for line in lines if "TEMP B-TREE" in line]


async def test_pages_of_calls(database: Database) -> None:
    """A page of the call log walks its index, newest first."""
    async with database.write() as connection:
        for number in range(3):
            await log_call(connection, number, started_at=NOW + number * MINUTE)
    async with plans(database) as (connection, lines):
        repository = CallRepository(connection, HERE)
        first = await repository.page(CallFilter(), PageRequest(1))
        await repository.page(CallFilter(user="alice"), PageRequest(1, cursor=first.next_cursor))

    assert scans(lines) == []
    assert not [line for line in lines if "TEMP B-TREE" in line]


@pytest.mark.parametrize(
    ("by", "column"), [(GroupBy.USER, "user_identifier"), (GroupBy.SESSION, "session_id")]
)
async def test_statistics_of_names(database: Database, by: GroupBy, column: str) -> None:
    """Users and sessions are counted along their index, and timed only if they are shown."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL reads no row faster by one index than by another")
    async with database.write() as connection:
        for number in range(3):
            await log_call(connection, number, **{column: f"n{number}"})
    async with plans(database) as (connection, lines):
        await StatsRepository(connection, HERE).page(CallFilter(), PageRequest(2), by=by)

    counted, *timed = [line for line in lines if "exchanges" in line]
    assert f"ix_exchanges_workspace_{column}" in counted
    assert len(timed) == 2
    assert all(f"{column}=?" in line for line in timed), timed


async def test_audit_log(database: Database) -> None:
    """What somebody did, and who did something, is found without reading what all others did."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL reads no row faster by one index than by another")
    async with plans(database) as (connection, lines):
        log = AuditRepository(connection, HERE)
        for wanted in (AuditFilter(action="key.create"), AuditFilter(actor="key-1")):
            await log.page(wanted, PageRequest(1))
        await log.page(AuditFilter(user="alice"), PageRequest(1))

    by_workspace_alone = re.compile(r"audit_log USING (COVERING )?INDEX \S+ \(workspace=\?\)")
    assert not [line for line in lines if by_workspace_alone.search(line)], lines
    assert not [line for line in lines if line.startswith("SCAN audit_log")], lines


async def test_erasing_calls_of_a_user(database: Database) -> None:
    """Calls that name a person are found by the name, and those that do not by having none."""
    async with database.write() as connection:
        await log_call(connection, 1, user_identifier="alice")
        await log_call(connection, 2, client_ip="10.0.0.9")
    async with plans(database, is_writing=True) as (connection, lines):
        users = UserRepository(connection, HERE)
        assert await users.erase_calls("alice", limit=5, now=NOW) == 1
        unnamed = await users.unnamed_calls("10.0.0.9", behind=None, limit=5)
        assert await users.erase_unnamed(unnamed, now=NOW) == 1
        assert await users.unnamed_calls("10.0.0.9", behind=unnamed[-1], limit=5) == []

    assert scans(lines) == []
    if database.dialect is Dialect.SQLITE:
        looked = [line for line in lines if "exchanges" in line]
        assert all("user_identifier=?" in line or "PRIMARY KEY" in line for line in looked), looked
        assert not [line for line in lines if "TEMP B-TREE" in line]


@pytest.mark.parametrize("q", ["word", "a b", '"a b"', "数据库", "数"])
async def test_search(database: Database, q: str) -> None:
    """A search looks words up in the index, and messages up by their ids."""
    conversation = await start(database)
    await say(database, conversation, "word a b 数据库", "a b", "c")
    async with plans(database) as (connection, lines):
        repository = SearchRepository(connection, HERE)
        wanted = SearchFilter(query=Query.of(q), user_identifier="alice", role="user")
        page = await repository.page(wanted, PageRequest(1))
        assert page.items

    assert scans(lines) == []
    if database.dialect is Dialect.POSTGRESQL:
        assert any("Bitmap Index Scan on ix_message_search_words" in line for line in lines)
        assert not [line for line in lines if "Seq Scan on message_search" in line]
    else:
        assert any("message_search VIRTUAL TABLE INDEX 192:M1" in line for line in lines), lines


@pytest.mark.parametrize("hits", [1, 60, 300])
async def test_a_search_reads_what_was_found(database: Database, hits: int) -> None:
    """However many there are: found messages by their ids, and their conversations by theirs."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL counts its rows, and joins few of them in any order")
    conversation = await start(database)
    await say(database, conversation, *(f"word {number}" for number in range(hits)))
    async with plans(database) as (connection, lines):
        wanted = SearchFilter(query=Query.of("word"))
        page = await SearchRepository(connection, HERE).page(wanted, PageRequest(500))
        assert len(page.items) == hits

    assert scans(lines) == []
    assert not [line for line in lines if "USING INDEX" in line], lines


@pytest.mark.parametrize("count", [1, 60])
async def test_an_import_looks_for_its_own(database: Database, count: int) -> None:
    """However many come together: conversations by their names, messages by conversations' ids."""
    if database.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL counts its rows, and reads few of them in any way")
    talk = ImportedConversation(
        session_id="",
        created_at=NOW,
        updated_at=NOW,
        messages=(said("a"),),
        parents=(None,),
        leaf=0,
    )
    owned = [Owned(replace(talk, session_id=f"s{n}"), "alice") for n in range(count)]
    async with database.write() as connection:
        await ImportRepository(connection, HERE).add(owned)
    async with plans(database, is_writing=True) as (connection, lines):
        again = await ImportRepository(connection, HERE).add(owned)
        assert not any(outcome.has_changed for outcome in again)

    assert scans(lines) == []
    assert not [line for line in lines if "ix_conversations_workspace" in line], lines


@pytest.mark.parametrize("whole_tree", [True, False])
async def test_an_export_reads_what_it_writes_and_no_more(
    database: Database, *, whole_tree: bool
) -> None:
    """A page of an export finds its messages by an index, and their conversations by id."""
    conversation = await start(database)
    await say(database, conversation, "a", "b")
    wanted = Wanted(conversations=ConversationFilter(), whole_tree=whole_tree)
    snapshot = await Snapshot.take(database, HERE, wanted)
    assert snapshot.first is not None
    heads = [snapshot.first, snapshot.first._replace(leaf_id=None)]
    snapshot.close()
    queries = SnapshotQueries(database.dialect, HERE, whole_tree=whole_tree)

    async with plans(database) as (connection, lines):
        await queries.leaves(connection, heads)
        await queries.messages(connection, heads, until=2**40)
        await queries.page(connection, heads[0], above=0, limit=1000)
        await queries.at(connection, heads[0], [1, 2])
        await queries.sizes(connection, heads[0], [1, 2])
        await queries.parents(connection, heads[0], below=2**40, limit=1000)
        await queries.number_of(connection, heads[0])

    assert not scans(lines)
    if database.dialect is Dialect.SQLITE:
        # PostgreSQL takes whichever is cheaper, and knows how many rows there are.
        assert not [line for line in lines if "ix_conversations" in line]
