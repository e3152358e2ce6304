"""The index holds what is stored, no more and no less, whatever happens to the messages."""

import sqlite3
import string
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection, event, text
from tests.integration.stored import ELSEWHERE, HERE, NOW, go_to, say, start
from tests.integration.test_search import found

from officeai_proxy.model import Conversation
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.schema.migrations import check, prepare
from officeai_proxy.storage.search import documents
from officeai_proxy.storage.search import index as search_index
from officeai_proxy.storage.search.documents import Document
from officeai_proxy.storage.search.upkeep import purge, reindex
from officeai_proxy.words.tokens import Tokens, tokens_of


async def erase(database: Database, conversation: Conversation) -> None:
    async with database.write() as connection:
        await ConversationRepository(connection, HERE).erase(conversation, now=NOW)


async def indexed(database: Database) -> Sequence[int]:
    """The ids that the index has."""
    query = "SELECT message_id FROM message_search ORDER BY 1"
    if database.dialect is Dialect.SQLITE:
        query = "SELECT id FROM message_search_docsize ORDER BY 1"
    async with database.read() as connection:
        return (await connection.execute(text(query))).scalars().all()


async def definitions(database: Database) -> Sequence[str]:
    """How the index's tables and indexes are made."""
    query = """
        SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, collation_name)
        FROM information_schema.columns WHERE table_name = 'message_search'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'message_search' ORDER BY 1
    """
    if database.dialect is Dialect.SQLITE:
        query = "SELECT sql FROM sqlite_master WHERE tbl_name LIKE 'message_search%' ORDER BY 1"
    async with database.read() as connection:
        return (await connection.execute(text(query))).scalars().all()


class TestSameTransaction:
    """What is in the index is what is in the table, at every moment."""

    async def test_a_write_that_fails_leaves_nothing(self, database: Database) -> None:
        """Messages that are rolled back are not in the index either."""
        conversation = await start(database)
        document = Document(99, "default", "alice", "user", "lost")
        with suppress(LookupError):
            async with database.write() as connection:
                await connection.run_sync(search_index.add, [document])
                raise LookupError

        assert await indexed(database) == []
        await say(database, conversation, "kept")
        assert len(await indexed(database)) == 1
        assert await check(database) == []

    async def test_an_erasure_that_fails_leaves_everything(self, database: Database) -> None:
        """A conversation that could not be erased is still found."""
        conversation = await start(database)
        await say(database, conversation, "word")
        with suppress(LookupError):
            async with database.write() as connection:
                await ConversationRepository(connection, HERE).erase(conversation, now=NOW)
                raise LookupError

        assert await found(database, "word") == ["word"]
        assert await check(database) == []

    async def test_erased_is_not_found(self, database: Database) -> None:
        """What was erased is out of the index at once, and its neighbours are in it."""
        gone, stays = await start(database, "gone"), await start(database, "stays")
        await say(database, gone, *(f"word 数据库 {n}" for n in range(450)))
        await say(database, stays, "word 数据库")
        await erase(database, gone)

        assert await found(database, "word") == await found(database, "数") == ["word 数据库"]
        assert len(await indexed(database)) == 1
        assert await check(database) == []

    async def test_renaming_touches_nothing(self, database: Database) -> None:
        """A new title is no business of the index."""
        conversation = await start(database, title="old")
        await say(database, conversation, "word")
        statements: list[str] = []
        async with database.write() as connection:

            def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
                statements.append(statement)

            event.listen(connection.sync_connection, "before_cursor_execute", note)
            await ConversationRepository(connection, HERE).rename(
                conversation, title="new", metadata=None, now=NOW
            )

        assert statements
        assert not [statement for statement in statements if "search" in statement]

    async def test_others_go_on_while_a_long_text_is_cut(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long text is cut into words in another thread than the one that serves, also when it
        is deleted.
        """
        threads: list[int] = []

        def noted(content: str) -> Tokens:
            threads.append(threading.get_ident())
            return tokens_of(content)

        monkeypatch.setattr(documents, "tokens_of", noted)
        conversation = await start(database)
        long = "long " * 100_000 + "end"
        await say(database, conversation, "short")
        await say(database, conversation, long)

        assert threads[0] == threading.get_ident() != threads[1]
        assert await found(database, "end") == [long]
        assert await check(database) == []
        threads.clear()
        await erase(database, conversation)
        assert threading.get_ident() not in threads
        assert await check(database) == []

    async def test_many_at_once(self, database: Database) -> None:
        """A batch over many conversations is indexed with each message under its own owner."""
        for n in range(3):
            await say(database, await start(database, f"s{n}", user=f"u{n}"), "word")
        await say(database, await start(database, caller=ELSEWHERE), "word", caller=ELSEWHERE)

        assert len(await found(database, "word")) == 3
        assert len(await found(database, "word", user_identifier="u1")) == 1


class TestCheckAndReindex:
    """`db check` finds each way in which index and messages differ, and `db reindex` mends it."""

    async def damage(self, database: Database, kind: str) -> None:
        async with database.write() as connection:
            if kind == "emptied":
                await connection.run_sync(search_index.clear)
            elif kind == "orphaned":
                document = Document(99, "default", "alice", "user", "lost")
                await connection.run_sync(search_index.add, [document])
            else:
                await connection.execute(
                    text("UPDATE conversation_messages SET content = 'other' WHERE id = 2")
                )

    @pytest.mark.parametrize(
        ("kind", "sentence"),
        [
            ("emptied", "message 1 is not in the search index"),
            ("orphaned", "the search index has a message 99, which does not exist"),
            ("changed", "the search index has other words than message 2"),
        ],
    )
    async def test_each_fault_is_told_and_mended(
        self, database: Database, kind: str, sentence: str
    ) -> None:
        """The fault is a sentence that says what to do, and doing it helps."""
        conversation = await start(database)
        await say(database, conversation, "one", "two", "数据库")
        await self.damage(database, kind)

        (problem, *_) = await check(database)
        assert problem.startswith(sentence)
        assert problem.endswith("run `officeai-proxy db reindex`")
        assert await reindex(database) == 3
        assert await check(database) == []
        assert await found(database, "数据") == ["数据库"]

    @pytest.mark.parametrize(
        ("dialect", "statement", "sentence"),
        [
            (Dialect.SQLITE, "DROP TABLE message_search", "the search index lacks message_search"),
            (Dialect.SQLITE, "DROP TABLE message_search_purges", "the search index lacks"),
            (
                Dialect.SQLITE,
                "DELETE FROM message_search_data WHERE id > 10",
                "The search index is damaged",
            ),
            (
                Dialect.POSTGRESQL,
                "DROP TABLE message_search",
                "the search index lacks message_search",
            ),
            (Dialect.POSTGRESQL, "DROP INDEX ix_message_search_words", "the search index lacks ix"),
            (
                Dialect.POSTGRESQL,
                "DROP INDEX ix_message_search_long_words",
                "the search index lacks ix",
            ),
        ],
    )
    async def test_its_tables_are_made_anew(
        self, database: Database, dialect: Dialect, statement: str, sentence: str
    ) -> None:
        """What somebody dropped or damaged is told, and is as the migrations made it afterwards."""
        if database.dialect is not dialect:
            pytest.skip("the other database's index")
        conversation = await start(database)
        await say(database, conversation, "one", "数据库")
        before = await definitions(database)
        async with database.write() as connection:
            await connection.execute(text(statement))

        (problem, *_) = await check(database)
        assert problem.startswith(sentence)
        assert "`officeai-proxy db reindex`" in problem
        assert await reindex(database) == 2
        assert await definitions(database) == before
        assert await check(database) == []
        await say(database, conversation, "数据")
        assert await found(database, "数据") == ["数据", "数据库"]

    async def test_much_damage_stays_readable(self, database: Database) -> None:
        """Hundreds of missing messages are told as a few."""
        await say(database, await start(database), *["word"] * 300)
        await self.damage(database, "emptied")

        assert len(await check(database)) < 50

    async def test_what_is_said_meanwhile_is_indexed_once(self, database: Database) -> None:
        """Messages that come while the index is built are in it, and what is erased is not."""
        gone = await start(database, "gone")
        await say(database, gone, *["word"] * 450)
        conversation = await start(database)
        async with database.write() as connection:
            await connection.run_sync(search_index.clear)
        async with database.write() as connection:
            first = await connection.run_sync(search_index.fill, 0)
        await say(database, conversation, "word new")
        await erase(database, gone)
        async with database.write() as connection:
            assert await connection.run_sync(search_index.fill, first[-1]) == []

        assert await found(database, "word") == ["word new"]
        assert await check(database) == []


class TestPurge:
    """SQLite: what was erased is in no file."""

    @pytest.fixture
    async def keeper(self, tmp_path: Path):  # type: ignore[no-untyped-def]
        """A database that may checkpoint."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db", checkpoints=True)
        await prepare(database)
        yield database
        await database.close()

    def files_with(self, folder: Path, canary: str) -> list[str]:
        return [file.name for file in folder.iterdir() if canary.encode() in file.read_bytes()]

    @pytest.mark.parametrize("batches", [1, 2, 40])
    async def test_no_word_is_left(self, keeper: Database, tmp_path: Path, batches: int) -> None:
        """After erasing and a purge, no word of the message is left in the index's segments."""
        dice = Random(batches)
        gone = await start(keeper, "gone")
        stays = await start(keeper, "stays")
        for number in range(batches):
            words = ["".join(dice.choices(string.ascii_lowercase, k=6)) for _ in range(2000)]
            await say(keeper, stays, " ".join(words))
            if number == batches // 2:
                await say(keeper, gone, "qqqxcanaryxqqq 麒麟臂")
        assert await purge(keeper)
        assert await keeper.checkpoint()
        assert self.files_with(tmp_path, "麒麟臂")
        await erase(keeper, gone)
        while not await purge(keeper, seconds=0.001):
            await say(keeper, stays, "meanwhile")
        assert await keeper.checkpoint()

        for part in ("xcanaryx", "麒麟", "麟臂"):
            assert self.files_with(tmp_path, part) == []
        assert await check(keeper) == []

    async def test_nothing_to_do(self, keeper: Database) -> None:
        """Without an erasure a purge writes nothing."""
        await say(keeper, await start(keeper), "word")
        changes = keeper.path.stat().st_size + Path(f"{keeper.path}-wal").stat().st_size

        assert await purge(keeper)
        assert keeper.path.stat().st_size + Path(f"{keeper.path}-wal").stat().st_size == changes

    async def test_postgresql_does_it_by_itself(self, postgres_server) -> None:  # type: ignore[no-untyped-def]
        """PostgreSQL's vacuum needs no help."""
        assert await purge(Database(postgres_server.url()))


class TestMigration:
    """A database of the first revision gets its index with everything in it."""

    async def test_old_messages_are_found(self, database: Database) -> None:
        """Every message that was there before is found afterwards, for its owner only."""
        for n in range(3):
            caller = ELSEWHERE if n == 2 else HERE
            conversation = await start(database, f"s{n}", caller=caller)
            await say(database, conversation, *["旧的数据 old"] * 250, caller=caller)
        await go_to(database, "0001")
        assert await prepare(database)

        assert len(await found(database, "旧 数据 old")) == 500
        assert await check(database) == []
        await say(database, await start(database, "new"), "old and new")
        assert len(await found(database, "old")) == 501

    async def test_what_older_code_indexed_is_indexed_anew(self, database: Database) -> None:
        """Entries made by other rules are replaced, so that they can be taken out again."""
        conversation = await start(database)
        await say(database, conversation, "the " * 300 + "end", "short")
        await go_to(database, "0007")
        assert await indexed(database) == []
        older = "INSERT INTO message_search (message_id, words) VALUES (:id, 'the')"
        if database.dialect is Dialect.SQLITE:
            older = "INSERT INTO message_search (rowid, words) VALUES (:id, '_w1 the _ the')"
        async with database.write() as connection:
            await connection.execute(text(older), [{"id": 1}, {"id": 2}])
        assert await prepare(database)

        assert len(await found(database, '"the end"')) == 1
        assert await check(database) == []
        await erase(database, conversation)
        assert await indexed(database) == []
        assert await check(database) == []

    async def test_long_messages_do_not_stop_it(self, database: Database) -> None:
        """Texts that no `tsvector` could hold do not stop the migration, and are found."""
        conversation = await start(database)
        await say(
            database,
            conversation,
            *[" ".join(f"w{n}x{m}" for n in range(150_000)) for m in range(3)],
        )
        await go_to(database, "0001")
        assert await prepare(database)

        assert len(await found(database, "w7x1")) == 1
        assert len(await found(database, '"w149998x2 w149999x2"')) == 1
        assert await check(database) == []


def test_this_sqlite_has_what_is_needed() -> None:
    """The SQLite of this Python has FTS5, as all usual builds have."""
    with closing(sqlite3.connect(":memory:")) as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}

    assert "ENABLE_FTS5" in options
