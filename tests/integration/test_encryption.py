"""Encryption at rest on both databases: nothing is in the clear, everything works as without."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, select, text, update
from tests.databases import PostgresServer
from tests.factories import an_exchange, assistant, user
from tests.integration.stored import HERE, NOW, contents, find, said, say, start
from tests.integration.test_exchanges import store
from tests.merge_cases import CASES
from tests.nightingale import BIRD, files_with_bird

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    Unopenable,
    UnprocessableInput,
)
from officeai_proxy.exports import Order as ExportOrder
from officeai_proxy.exports import open_export
from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.imports import Importer
from officeai_proxy.model import Caller
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    ConversationSort,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check, prepare
from officeai_proxy.storage.sealing import rotation
from officeai_proxy.storage.sealing.rotation import retire, seal_all
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.storage.search.upkeep import purge, reindex
from officeai_proxy.storage.tables import conversation_messages, conversations, encryption_keys
from officeai_proxy.words.query import Query

OLD = MasterKeys({"old": b"1" * 32})
BOTH = MasterKeys({"new": b"2" * 32, "old": b"1" * 32})
NEW = MasterKeys({"new": b"2" * 32})
WRONG = MasterKeys({"old": b"3" * 32})

CANARY = "a-canary-金丝雀"

"""Said in sealed databases only: one server has all of the tests in its files."""

Open = Callable[..., Awaitable[Database]]


@pytest.fixture
async def open_with(prepared_url: str) -> AsyncIterator[Open]:
    """The same database, opened with some keys or without."""
    opened: list[Database] = []

    async def opener(keys: MasterKeys | None, *, checkpoints: bool = False) -> Database:
        database = Database(prepared_url, keys=keys, checkpoints=checkpoints)
        opened.append(database)
        await prepare(database)
        return database

    yield opener
    for database in opened:
        await database.close()


def ignored(_: int) -> None:
    pass


async def fill(database: Database, canary: str = CANARY) -> None:
    """What can quote somebody, in each of its places."""
    named = await start(database, "named", title=canary, metadata={"note": canary})
    extra = json.dumps({"refusal": canary})
    await say(database, named, said(canary, extra=extra, metadata={"note": canary}), "again")
    reply = assistant(f"{canary} too")
    await store(
        database,
        an_exchange([user(canary)], [reply], session="called"),
        an_exchange([user(canary)], None, session="failed", error=f"Bad request: {canary}"),
    )


async def found(database: Database, query: str, caller: Caller = HERE) -> list[int]:
    async with database.read() as connection:
        wanted = SearchFilter(query=Query.of(query))
        page = await SearchRepository(connection, caller).page(wanted, PageRequest(limit=1000))
    return [hit.message.id for hit in page.items]


async def everything(database: Database) -> bytes:
    """An export of all, which says all that readers can have."""
    order = ExportOrder(
        format="jsonl", options=Options(exported_at=NOW), conversations=ConversationFilter()
    )
    async with open_export(database, HERE, order) as export:
        return b"".join([piece async for piece in export.pieces()])


class TestWrongKeys:
    """A database lets nobody in with keys that do not fit, and is not touched by them."""

    @pytest.mark.parametrize(
        ("keys", "complaint"),
        [
            (None, "is encrypted with the key 'old'"),
            (NEW, "the key 'old' is missing"),
            (WRONG, "the key 'old' is not the one"),
        ],
    )
    async def test_it_stays_shut(
        self, open_with: Open, keys: MasterKeys | None, complaint: str, prepared_url: str
    ) -> None:
        """Neither the preparation, nor a read, nor a write goes through; the setting is named."""
        right = await open_with(OLD)
        await fill(right)
        before = await everything(right)
        refusal = re.escape(f"OFFICEAI_ENCRYPTION_KEYS: {complaint}").replace(
            re.escape(complaint), f".*{re.escape(complaint)}"
        )
        with pytest.raises(ConfigurationError, match=refusal):
            await open_with(keys)
        other = Database(prepared_url, keys=keys)
        for door in (other.read, other.write):
            with pytest.raises(ConfigurationError, match=refusal):
                async with door():
                    pytest.fail("it is open")
        await other.close()

        assert await everything(right) == before
        assert await check(right) == []

    async def test_who_misses_the_present_key_waits(self, open_with: Open) -> None:
        """A process that still has the old key only seals nothing with it any more."""
        late = await open_with(OLD)
        await say(late, await start(late), "before")
        await open_with(BOTH)

        with pytest.raises(DatabaseUnavailable, match="'new'"):
            await say(late, await find(late), "after")

    async def test_who_has_both_follows_at_once(self, open_with: Open) -> None:
        """A process with both keys seals with the present one, whatever comes first in its list."""
        other = MasterKeys({"old": b"1" * 32, "new": b"2" * 32})
        early = await open_with(other)
        await say(early, await start(early), "before")
        late = await open_with(BOTH)
        await say(early, await find(early), "after")

        async with late.read() as connection:
            with_key = select(conversation_messages.c.sealed_with).order_by("id")
            assert (await connection.scalars(with_key)).all() == ["old", "new"]
        assert await contents(late, await find(late)) == ["before", "after"]


class TestTampering:
    """What somebody changes in the tables by hand is told, not shown."""

    async def swap(self, database: Database, table: object, column: str) -> None:
        """Exchange a text between the first two rows of a table."""
        async with database.write() as connection:
            rows = (await connection.execute(select(table).order_by("id").limit(2))).all()  # type: ignore[call-overload]
            change = update(table).where(table.c.id == bindparam("b_id"))  # type: ignore[arg-type,attr-defined]
            values = [
                {"b_id": one.id, "text": getattr(two, column)}
                for one, two in (rows, reversed(rows))
            ]
            await connection.execute(change.values({column: bindparam("text")}), values)

    @pytest.mark.parametrize("column", ["content", "extra", "metadata"])
    async def test_texts_of_messages_stay_in_their_rows(self, open_with: Open, column: str) -> None:
        """Two texts that change places are refused, by readers, exports and the check."""
        database = await open_with(OLD)
        conversation = await start(database)
        about = {"extra": '{"refusal":"no"}', "metadata": {"a": 1}}
        await say(database, conversation, said("one", **about), said("two", **about))
        await self.swap(database, conversation_messages, column)

        with pytest.raises(Unopenable, match=f"conversation_messages.{column}/1/1 "):
            await contents(database, conversation)
        with pytest.raises(Unopenable):
            await everything(database)
        assert sum("cannot be opened" in line for line in await check(database)) == 2

    @pytest.mark.parametrize("column", ["title", "metadata"])
    async def test_texts_of_conversations_stay_in_theirs(
        self, open_with: Open, column: str
    ) -> None:
        """The same for titles and metadata; other conversations can be read."""
        database = await open_with(OLD)
        for name in ("one", "two", "three"):
            await start(database, name, title=name, metadata={"name": name})
        await self.swap(database, conversations, column)

        with pytest.raises(Unopenable, match=f"conversations.{column}/1 "):
            await find(database, "one")
        assert (await find(database, "three")).title == "three"

    async def test_a_text_does_not_fit_another_column(self, open_with: Open) -> None:
        """Within a row, content is content and metadata is metadata."""
        database = await open_with(OLD)
        conversation = await start(database)
        await say(database, conversation, said("one", metadata={"a": 1}))
        async with database.write() as connection:
            await connection.execute(text("UPDATE conversation_messages SET content = metadata"))

        with pytest.raises(Unopenable):
            await contents(database, conversation)

    async def test_a_message_does_not_move_to_another_conversation(self, open_with: Open) -> None:
        """Nobody reads another's words by giving their row to a conversation of their own."""
        database = await open_with(OLD)
        theirs = await start(database, "theirs", user="bob")
        mine = await start(database, "mine")
        await say(database, theirs, "secret")
        async with database.write() as connection:
            moved = {"mine": mine.id}
            await connection.execute(
                text("UPDATE conversation_messages SET conversation_id = :mine"), moved
            )

        with pytest.raises(Unopenable):
            await contents(database, mine)

    async def test_a_plain_text_put_there_is_told(self, open_with: Open) -> None:
        """A database that was empty when encryption began holds nothing plain."""
        database = await open_with(OLD)
        conversation = await start(database)
        await say(database, conversation, "one")
        async with database.write() as connection:
            await connection.execute(text("UPDATE conversation_messages SET content = 'mine'"))

        with pytest.raises(Unopenable, match="is not sealed"):
            await contents(database, conversation)
        faults = await check(database)
        assert "1 text is not encrypted: run `officeai-proxy db rotate`" in faults

    async def test_a_damaged_message_can_be_deleted(self, open_with: Open) -> None:
        """One flipped bit concerns one message, and does not keep its conversation here."""
        database = await open_with(OLD)
        broken, whole = await start(database, "broken"), await start(database, "whole")
        await say(database, broken, "words")
        await say(database, whole, "words")
        async with database.write() as connection:
            change = text("UPDATE conversation_messages SET content = content || 'A' WHERE id = 1")
            await connection.execute(change)
        assert await contents(database, whole) == ["words"]

        async with database.write() as connection:
            await ConversationRepository(connection, HERE).erase(broken, now=NOW)
        assert len(await found(database, "words")) == 1


class TestAsWithout:
    """Whoever uses it sees no difference."""

    async def test_everything_comes_back(self, open_with: Open) -> None:
        """Texts, titles, metadata and errors are read as they were given."""
        database = await open_with(OLD)
        await fill(database)

        one = await find(database, "named")
        assert (one.title, one.metadata) == (CANARY, {"note": CANARY})
        assert await contents(database, one) == [CANARY, "again"]
        assert await contents(database, await find(database, "called")) == [CANARY, f"{CANARY} too"]
        async with database.read() as connection:
            calls = await CallRepository(connection, HERE).page(CallFilter(), PageRequest(limit=9))
            renamed = await ConversationRepository(connection, HERE).find("called")
        assert [call.error for call in calls.items] == [f"Bad request: {CANARY}", None]
        async with database.write() as connection:
            conversations = ConversationRepository(connection, HERE)
            new = await conversations.rename(renamed, title="new", metadata={"b": 2}, now=NOW)
        assert (new.title, new.metadata) == ("new", {"b": 2})
        assert await check(database) == []

    async def test_null_stays_null(self, open_with: Open) -> None:
        """What is not there is not sealed, so that absence stays what it is."""
        database = await open_with(OLD)
        await say(database, await start(database), "one")

        async with database.read() as connection:
            row = (await connection.execute(select(conversation_messages))).one()
        assert (row.extra, row.metadata) == (None, None)

    async def test_every_merge_case(self, open_with: Open) -> None:
        """Messages are recognised through their masks, so that each is stored once."""
        database = await open_with(OLD)
        for case in CASES:
            for request, reply in case.exchanges:
                await store(database, an_exchange(request, reply, session=case.name))

            conversation = await find(database, case.name)
            assert await contents(database, conversation) == case.path
            assert conversation.message_count == case.stored

    async def test_the_database_knows_nothing_that_tells_equal_messages(
        self, open_with: Open
    ) -> None:
        """Neither identities nor the hash of the path can be tried with guesses."""
        database = await open_with(OLD)
        await say(database, await start(database), "yes", "no", "yes", "yes")

        async with database.read() as connection:
            numbers = (await connection.scalars(select(conversation_messages.c.identity))).all()
            chain = await connection.scalar(select(conversations.c.leaf_chain))
        assert len(set(numbers)) == 4
        assert said("yes").identity not in numbers
        assert chain is None

    async def test_what_was_exported_is_imported_once(self, open_with: Open) -> None:
        """Exports are plain, and bring nothing twice to where they came from."""
        database = await open_with(OLD)
        await fill(database)
        exported = await everything(database)
        assert CANARY.encode() in exported
        importer = Importer(database, HERE, user=None)

        for _ in range(2):
            account = await run_import(importer, exported)
            assert (account.skipped, account.imported, account.messages) == (3, 0, 0)

        again = Importer(database, Caller("key-2", "elsewhere"), user=None)
        assert (await run_import(again, exported)).messages == 5
        assert await check(database) == []

    @pytest.mark.parametrize("sort", [ConversationSort.TITLE, ConversationSort.TITLE_BACKWARDS])
    async def test_titles_still_have_an_order(
        self, open_with: Open, sort: ConversationSort
    ) -> None:
        """Pages by title follow one another as in a database that can read them."""
        titles = ["b", None, "a", "数", "B", "长" * 5000, "a", "", "z", "长" * 5000]
        database = await open_with(OLD)
        for number, title in enumerate(titles):
            await start(database, f"s{number}", title=title)
        seen, cursor = [], None
        while True:
            async with database.read() as connection:
                page = await ConversationRepository(connection, HERE).page(
                    ConversationFilter(sort=sort), PageRequest(limit=3, cursor=cursor)
                )
            seen += [(one.title or "", one.id) for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert seen == sorted(seen, reverse=sort.is_descending)
        assert len(seen) == len(titles) == page.total
        async with database.read() as connection:
            with pytest.raises(UnprocessableInput):
                await ConversationRepository(connection, HERE).page(
                    ConversationFilter(sort=sort), PageRequest(limit=3, cursor="bad")
                )


async def run_import(importer: Importer, data: bytes):  # type: ignore[no-untyped-def]
    import io  # noqa: PLC0415 - only here

    reading = Reading(now=NOW, item_bytes=10**6, total_bytes=10**7)
    return await importer.run(io.BytesIO(data), reading)


WORDS = st.sampled_from(
    ["数据", "据库", "数", "library", "LIBRARY", "libraries", "é", "e", "カ", "x1"]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map("".join) | st.lists(
    WORDS, min_size=1, max_size=6
).map(" ".join)
QUERIES = TEXTS | TEXTS.map('"{}"'.format)


class TestSearch:
    """Hashed words find what plain words find."""

    @settings(
        max_examples=5,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(TEXTS, min_size=1, max_size=12), st.lists(QUERIES, min_size=5, max_size=10))
    async def test_the_same_in_the_same_order(
        self, open_with: Open, tmp_path: Path, texts: Sequence[str], queries: Sequence[str]
    ) -> None:
        """Words, phrases and runs of Chinese: same hits, same order, with and without keys."""
        found_by: list[list[list[str]]] = []
        sealed = await open_with(OLD)
        plain = Database(f"sqlite:///{tmp_path}/plain.db")
        await prepare(plain)
        for database in (plain, sealed):
            name = f"s{await count_rows(database)}"
            caller = Caller("k", name)
            await say(database, await start(database, name, caller=caller), *texts, caller=caller)
            found_by.append([await texts_found(database, query, caller) for query in queries])
        await plain.close()

        assert found_by[0] == found_by[1]

    async def test_a_deleted_message_is_found_no_more(self, open_with: Open) -> None:
        """Taking a sealed message out of the index takes its hashed words out."""
        database = await open_with(OLD)
        conversation = await start(database)
        await say(database, conversation, "数据 words", *["words"] * 300)
        assert len(await found(database, "words")) == 301
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).erase(conversation, now=NOW)

        assert await found(database, "words") == []
        assert await check(database) == []

    async def test_the_index_can_be_built_anew(self, open_with: Open) -> None:
        """A new index has hashed words, and finds the same."""
        database = await open_with(OLD)
        await fill(database)
        before = await found(database, "canary")
        await reindex(database)

        assert await found(database, "canary") == before != []
        assert await check(database) == []

    async def test_workspaces_hash_differently(self, open_with: Open) -> None:
        """Nobody sees in the index that two workspaces use the same words."""
        database = await open_with(OLD)
        for name in ("one", "two"):
            caller = Caller("k", name)
            conversation = await start(database, name, caller=caller)
            await say(database, conversation, "sameword", caller=caller)
            assert len(await found(database, "sameword", caller)) == 1


async def count_rows(database: Database) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM conversations")) or 0)


async def texts_found(database: Database, query: str, caller: Caller) -> list[str]:
    async with database.read() as connection:
        wanted = SearchFilter(query=Query.of(query))
        page = await SearchRepository(connection, caller).page(wanted, PageRequest(limit=1000))
    return [hit.message.content for hit in page.items]


class TestRotation:
    """What is stored comes under the present key, whatever goes on meanwhile."""

    async def test_what_is_plain_works_beside_what_is_sealed(self, open_with: Open) -> None:
        """Encryption may be turned on at any time: old and new rows are read, merged, searched."""
        plain = await open_with(None)
        await fill(plain)
        turn = [user("a canary"), assistant("A canary")]
        await store(plain, an_exchange(turn[:1], turn[1:], session="long"))
        await plain.close()

        mixed = await open_with(OLD)
        await store(mixed, an_exchange([*turn, user("b canary")], [assistant("B")], session="long"))
        assert await contents(mixed, await find(mixed, "long")) == [
            "a canary",
            "A canary",
            "b canary",
            "B",
        ]
        assert len(await found(mixed, "canary")) == 7
        problems = await check(mixed)
        assert len(problems) == 1
        assert "not encrypted" in problems[0]

    async def test_all_of_it_is_sealed(self, open_with: Open) -> None:
        """Afterwards nothing is plain, nothing has changed for readers, and again is nothing."""
        plain = await open_with(None)
        await fill(plain)
        before, hits = await everything(plain), await found(plain, "canary")
        await plain.close()
        database = await open_with(OLD)

        assert await seal_all(database, told=ignored) == 5 + 3 + 1
        assert await retire(database) == ()
        assert await purge(database)
        assert await everything(database) == before
        assert await found(database, "canary") == hits
        assert await check(database) == []
        assert await seal_all(database, told=ignored) == 0
        await store(database, an_exchange([user(CANARY)], None, session="failed"))
        assert len(await contents(database, await find(database, "failed"))) == 1

    async def test_a_new_key_takes_over(self, open_with: Open) -> None:
        """Everything is sealed anew, the old key is named, and without it all can be read."""
        database = await open_with(OLD)
        await fill(database)
        before = await everything(database)
        await database.close()
        database = await open_with(BOTH)

        assert await seal_all(database, told=ignored) > 0
        assert await retire(database) == ("old",)
        await database.close()
        database = await open_with(NEW)
        assert await everything(database) == before
        assert len(await found(database, "canary")) == 4
        assert await check(database) == []

    async def test_it_goes_on_where_it_was_stopped(self, open_with: Open) -> None:
        """Half of the work is half of the work; the rest is done by the next run."""
        database = await open_with(OLD)
        await say(database, await start(database), *[f"number {n}" for n in range(250)])
        before = await everything(database)
        await database.close()
        database = await open_with(BOTH)

        class Stopped(Exception):
            pass

        def stop(_: int) -> None:
            raise Stopped

        with pytest.raises(Stopped):
            await seal_all(database, told=stop)
        assert await everything(database) == before
        assert await seal_all(database, told=ignored) == 150 + 1
        assert await retire(database) == ("old",)
        assert await everything(database) == before
        assert await check(database) == []

    @pytest.mark.parametrize("place", ["content", "extra", "metadata"])
    async def test_it_takes_large_messages_a_few_at_a_time(
        self, open_with: Open, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever makes them large: pictures are in `extra`, and no batch has all of them."""
        monkeypatch.setattr(rotation, "LARGE_BYTES", 10_000)
        plain = await open_with(None)
        large = "x" * 4_000
        one = {
            "content": said(large),
            "extra": said("a picture", extra=json.dumps({"content": large})),
            "metadata": said("noted", metadata={"note": large}),
        }[place]
        await say(plain, await start(plain, "s"), *[one] * 5)
        await plain.close()
        database = await open_with(OLD)
        batches: list[int] = []
        await seal_all(database, told=batches.append)
        assert batches == [2, 2, 1, 1]
        assert await check(database) == []

    async def test_nothing_is_lost_under_load(self, open_with: Open) -> None:
        """Calls, deletions and searches go on while it runs; all that was said is there."""
        plain = await open_with(None)
        doomed = await start(plain, "doomed")
        await say(plain, doomed, *[f"doomed {n}" for n in range(110)])
        await say(plain, await start(plain, "s"), *[f"early {n}" for n in range(150)])
        await plain.close()
        worker, rotating = await open_with(OLD), await open_with(OLD)

        async def talk() -> None:
            for n in range(10):
                await store(worker, an_exchange([user(f"late {n}")], None, session="s"))
                assert len(await found(worker, "early")) == 150
            async with worker.write() as connection:
                await ConversationRepository(connection, HERE).erase(doomed, now=NOW)

        await asyncio.gather(talk(), seal_all(rotating, told=ignored))
        await seal_all(rotating, told=ignored)
        await retire(rotating)

        said_there = await contents(worker, await find(worker, "s", user="alice"))
        assert said_there[:150] == [f"early {n}" for n in range(150)]
        assert len(await found(worker, "late")) == 10
        assert await found(worker, "doomed") == []
        assert await check(rotating) == []


class TestFiles:
    """Nobody who gets hold of the files reads what was said."""

    async def test_no_word_is_in_the_files_of_sqlite(self, tmp_path: Path) -> None:
        """Neither in the database nor in its log, before and after a checkpoint."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db", keys=OLD, checkpoints=True)
        await prepare(database)
        await fill(database, BIRD)
        assert files_with_bird(tmp_path) == []
        await database.checkpoint()
        await database.close()
        assert files_with_bird(tmp_path) == []

    async def test_turning_it_on_clears_the_files_of_sqlite(self, tmp_path: Path) -> None:
        """Once all is sealed, words from before are in no file, and in no corner of one."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db", checkpoints=True)
        await prepare(database)
        await fill(database, BIRD)
        await database.checkpoint()
        await database.close()
        assert files_with_bird(tmp_path)

        database = Database(f"sqlite:///{tmp_path}/officeai.db", keys=OLD, checkpoints=True)
        await prepare(database)
        await seal_all(database, told=ignored)
        assert await purge(database)
        await database.checkpoint()
        assert files_with_bird(tmp_path) == []
        await database.close()

    async def test_no_word_is_in_the_files_of_postgresql(
        self, postgres_server: PostgresServer
    ) -> None:
        """Neither in the tables, nor in the indexes, nor in the server's log of changes."""
        name = "test_no_bird"
        database = Database(postgres_server.create(name, template="officeai_template"), keys=OLD)
        await prepare(database)
        await fill(database, BIRD)
        await database.close()
        postgres_server.execute("CHECKPOINT")
        assert files_with_bird(postgres_server._data) == []
        postgres_server.drop(name)


async def test_the_stored_row_has_no_key(open_with: Open) -> None:
    """The table of keys holds none of them, nor anything that opens without one."""
    database = await open_with(BOTH)
    async with database.read() as connection:
        (row,) = (await connection.execute(select(encryption_keys))).all()

    assert (row.key_id, row.is_current, row.takes_plain) == ("new", True, False)
    assert "222222" not in row.wrapped
