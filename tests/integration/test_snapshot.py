"""An export is one moment's state, whatever happens while it is read; on both databases."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.factories import an_exchange, assistant, user
from tests.integration.stored import (
    ALICE_ONLY,
    ELSEWHERE,
    HERE,
    NOW,
    find,
    said,
    say,
    start,
)

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import AmbiguousSession, NotFound, Vanished
from officeai_proxy.formats.writing.passages import Passage
from officeai_proxy.model import Caller, Exchange
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import write
from officeai_proxy.storage.conversations import shortening
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.transfer import snapshot as module
from officeai_proxy.storage.transfer import snapshot_queries as queries
from officeai_proxy.storage.transfer.snapshot import Snapshot, Wanted

LATER = NOW + timedelta(hours=1)


async def store(database: Database, *exchanges: Exchange) -> None:
    await write(SqlExchangeStore(database), [read_turn(exchange) for exchange in exchanges])


async def taken(
    database: Database,
    *,
    caller: Caller = HERE,
    tree: bool = False,
    utf8: bool = False,
    **more: Any,
) -> Snapshot:
    session_id = more.pop("session_id", None)
    conversations = ConversationFilter(**more)
    wanted = Wanted(conversations=conversations, session_id=session_id, whole_tree=tree, utf8=utf8)
    return await Snapshot.take(database, caller, wanted)


async def rest(snapshot: Snapshot) -> list[Passage]:
    passages = [passage async for page in snapshot.pages() for passage in page]
    snapshot.close()
    return passages


def told(passages: list[Passage]) -> dict[str, list[str]]:
    """What was said, by session; checks that the passages of each follow one another."""
    sessions: dict[str, list[str]] = {}
    is_open = False
    for passage in passages:
        assert passage.is_first is not is_open
        is_open = not passage.is_last
        lines = sessions.setdefault(passage.conversation.session_id, [])
        assert bool(lines) <= (not passage.is_first)
        lines += [line.content for line in passage.lines]
    assert not is_open
    return sessions


async def read(database: Database, **more: Any) -> dict[str, list[str]]:
    return told(await rest(await taken(database, **more)))


async def erase(database: Database, session: str) -> None:
    async with database.write() as connection:
        conversations = ConversationRepository(connection, HERE)
        await conversations.erase(await conversations.find(session), now=LATER)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three messages, so that little data takes many reads."""
    monkeypatch.setattr(module, "PAGE", 3)


class TestWalls:
    """Whose conversations come out."""

    async def test_no_other_workspace_and_no_other_user(self, database: Database) -> None:
        """A caller gets what they may see, and a bound key its own user only."""
        for user_id, caller in (("alice", HERE), ("bob", HERE), ("alice", ELSEWHERE)):
            session = f"{user_id}-{caller.workspace}"
            conversation = await start(database, session, user=user_id, caller=caller)
            await say(database, conversation, session, caller=caller)

        assert set(await read(database)) == {"alice-default", "bob-default"}
        assert set(await read(database, caller=ELSEWHERE)) == {"alice-other"}
        assert set(await read(database, caller=ALICE_ONLY)) == {"alice-default"}

    async def test_a_session_of_others_is_not_found(self, database: Database) -> None:
        """Neither across the wall nor behind a bound key."""
        await start(database, "s1", user="bob")

        for caller in (ELSEWHERE, ALICE_ONLY):
            with pytest.raises(NotFound):
                await taken(database, caller=caller, session_id="s1")

    async def test_a_session_of_several_is_ambiguous(self, database: Database) -> None:
        """Without a user nobody knows which is meant."""
        await start(database, "s1", user="alice")
        await start(database, "s1", user="bob")

        with pytest.raises(AmbiguousSession):
            await taken(database, session_id="s1")
        [passage] = await rest(await taken(database, session_id="s1", user_identifier="bob"))
        assert passage.conversation.user_identifier == "bob"

    async def test_filters_of_the_list_apply(self, database: Database) -> None:
        """User, model, times and the bin narrow an export down like a list."""
        first = await start(database, "first", user="ann")
        await say(database, first, said("a", model_name="m1"))
        await start(database, "second", user="bob", now=LATER)
        binned = await start(database, "binned", user="bob")
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).bin(binned, now=LATER)

        assert set(await read(database)) == {"first", "second"}
        assert set(await read(database, user_identifier="bob")) == {"second"}
        assert set(await read(database, model="m1")) == {"first"}
        assert set(await read(database, created_before=LATER)) == {"first"}
        assert set(await read(database, deleted=Deleted.ONLY)) == {"binned"}
        assert set(await read(database, deleted=Deleted.WITH)) == {"first", "second", "binned"}


class TestPages:
    """Many short conversations, long ones, empty ones, large messages."""

    @pytest.mark.usefixtures("small_pages")
    @pytest.mark.parametrize("tree", [True, False])
    async def test_every_size_comes_whole(self, database: Database, *, tree: bool) -> None:
        """Conversations of no, few and many messages come by id, all of their messages in order."""
        sizes = [0, 1, 2, 3, 4, 7, 1, 1, 1, 1, 0, 9]
        for number, size in enumerate(sizes):
            conversation = await start(database, f"s{number}")
            await say(database, conversation, *[f"{number}.{n}" for n in range(size)])

        snapshot = await taken(database, tree=tree)
        expected = (snapshot.conversations, snapshot.messages)
        sessions = told(await rest(snapshot))

        assert expected == (len(sizes), sum(sizes))
        assert list(sessions) == [f"s{number}" for number in range(len(sizes))]
        assert sessions == {
            f"s{number}": [f"{number}.{n}" for n in range(size)]
            for number, size in enumerate(sizes)
        }

    @pytest.mark.parametrize("page", [2, 1000])
    async def test_large_messages_come_whole_and_few_at_a_time(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, page: int
    ) -> None:
        """Texts too long for a page are fetched apart, within a bound, none cut and none lost."""
        monkeypatch.setattr(module, "PAGE", page)
        monkeypatch.setattr(module, "LARGE_BYTES", 50_000)
        conversation = await start(database)
        texts = ["small", "大" * 20_000, "b" * 30_000, "c" * 60_000, "small too", "d" * 8193]
        extra = json.dumps({"name": "n" * 20_000})
        noted = said("with metadata", metadata={"note": "n" * 20_000})
        await say(database, conversation, *texts, noted, said("with extra", extra=extra))

        passages = await rest(await taken(database, tree=True))

        assert told(passages) == {"s1": [*texts, "with metadata", "with extra"]}
        lines = [line for passage in passages for line in passage.lines]
        assert [line.metadata for line in lines if line.metadata] == [
            json.dumps(noted.metadata, separators=(",", ":"))
        ]
        assert [line.extra for line in lines if line.extra] == [extra]
        for passage in passages:
            large = [len(line.content) for line in passage.lines if len(line.content) > 8192]
            assert len(large) <= 1 or sum(large) <= 50_000

    async def test_contents_come_as_utf8_where_they_are_wanted_so(self, database: Database) -> None:
        """The bytes of what was said, long or short; all else is as it is."""
        conversation = await start(database)
        texts = ["", "plain", "大\\x41\r\n'\"", "é" * 20_000]
        await say(database, conversation, *texts)

        as_text = await rest(await taken(database))
        as_bytes = await rest(await taken(database, utf8=True))

        rows = [row for passage in as_bytes for row in passage.rows]
        assert [row[4] for row in rows] == [text.encode() for text in texts]
        plain = [line for passage in as_text for line in passage.lines]
        assert [line.content for line in plain] == texts
        assert [(*row[:4], *row[5:]) for row in rows] == [(*line[:4], *line[5:]) for line in plain]

    @pytest.mark.parametrize("size", [40, 1])
    async def test_a_page_has_as_much_text_as_is_good(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        """Many small messages are read at once, and few large ones; never more than a page."""
        monkeypatch.setattr(module, "PAGE", 30)
        monkeypatch.setattr(module, "PAGE_TEXT", 10_000)
        for number in range(80 // size):
            conversation = await start(database, f"s{number}")
            texts = ["x" * (1 if number * size + n < 40 else 1000) for n in range(size)]
            await say(database, conversation, *texts)

        snapshot = await taken(database)
        pages = [page async for page in snapshot.pages()]
        snapshot.close()

        counts = [sum(len(passage.rows) for passage in page) for page in pages]
        assert sum(counts) == 80
        assert counts[0] == 1
        assert max(counts) == 30
        assert counts[-1] <= 11

    @pytest.mark.parametrize("size", [200, 20, 4, 1])
    async def test_long_ones_after_short_ones_end_a_page(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        """However many messages a page may have, it ends where their texts are too much."""
        for number in range(200 // size):
            conversation = await start(database, f"s{number}")
            texts = ["x" * (1 if number * size + n < 100 else 1000) for n in range(size)]
            await say(database, conversation, *texts)

        for tree in (True, False):
            with monkeypatch.context() as narrow:
                narrow.setattr(queries, "PORTION", 3)
                narrow.setattr(queries, "MOST_TEXT", 20_000)
                narrow.setattr(module, "PAGE_TEXT", 20_000)
                snapshot = await taken(database, tree=tree)
                pages = [page async for page in snapshot.pages()]
                snapshot.close()

            sizes = [sum(len(row[4]) for passage in page for row in passage.rows) for page in pages]
            assert sum(sizes) == 100 + 100 * 1000
            assert max(sizes) < 50_000
            assert told([passage for page in pages for passage in page]) == await read(
                database, tree=tree
            )

    async def test_times_and_ids_are_text(self, database: Database) -> None:
        """Moments are ISO 8601 in UTC, with microseconds when there are any; calls are UUIDs."""
        exchange = an_exchange(started_ns=1_700_000_000_000_000_000)
        await store(database, exchange)

        [passage] = await rest(await taken(database))

        assert passage.conversation.created_at == "2023-11-14T22:13:20Z"
        assert passage.conversation.updated_at == "2023-11-14T22:13:20.500000Z"
        assert passage.lines[0].timestamp == "2023-11-14T22:13:20Z"
        assert {line.exchange_id for line in passage.lines} == {str(exchange.id)}
        assert passage.lines[-1].finish_reason == "stop"

    async def test_the_leaf_is_told_by_its_number(self, database: Database) -> None:
        """Of two choices the first is on the path; the second is a message all the same."""
        await store(database, an_exchange(reply=[assistant("one"), assistant("two")]))

        [tree] = await rest(await taken(database, tree=True))
        [path] = await rest(await taken(database))

        assert [line.content for line in tree.lines] == ["hi", "one", "two"]
        assert tree.conversation.leaf_number == 2
        assert [line.content for line in path.lines] == ["hi", "one"]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("tree", [True, False])
class TestMeanwhile:
    """What happens between the moment and the reading of a page."""

    async def a_long_one(self, database: Database, turns: int = 5) -> None:
        for turn in range(turns):
            await store(database, an_exchange([user(f"u{turn}")], [assistant(f"a{turn}")]))

    async def test_more_turns_are_not_seen(self, database: Database, *, tree: bool) -> None:
        """Neither in a conversation that is being read nor in one whose turn comes."""
        await self.a_long_one(database)
        short = await start(database, "short")
        await say(database, short, "x")
        before = await read(database, tree=tree)

        snapshot = await taken(database, tree=tree)
        pages = snapshot.pages()
        seen = await anext(pages)
        await self.a_long_one(database)
        await say(database, await find(database, "short"), "y", "z", "more", "and more")
        await start(database, "new")
        seen += [passage async for page in pages for passage in page]
        snapshot.close()

        assert told(seen) == before
        assert await read(database, tree=tree) != before

    @pytest.mark.parametrize("pages_before", [0, 1, 2])
    @pytest.mark.parametrize("at", [0, 1, 3])
    async def test_a_branch_does_not_tear_the_path(
        self, database: Database, *, tree: bool, pages_before: int, at: int
    ) -> None:
        """However much was read, and wherever the conversation branches off, the old path comes."""
        await self.a_long_one(database)
        before = await read(database, tree=tree)
        history = [
            message for turn in range(at) for message in (user(f"u{turn}"), assistant(f"a{turn}"))
        ]

        snapshot = await taken(database, tree=tree)
        pages = snapshot.pages()
        seen = [passage for _ in range(pages_before) for passage in await anext(pages)]
        await store(
            database,
            an_exchange(
                [
                    *history,
                    user("else"),
                ],
                [assistant("well")],
            ),
        )
        await store(
            database,
            an_exchange([*history, user("else"), assistant("well"), user("on")], [assistant("ok")]),
        )
        seen += [passage async for page in pages for passage in page]
        snapshot.close()

        assert told(seen) == before

    async def test_a_short_one_that_branched(self, database: Database, *, tree: bool) -> None:
        """The same for a conversation that fits into a page."""
        await store(database, an_exchange([user("u")], [assistant("a")]))
        before = await read(database, tree=tree)

        snapshot = await taken(database, tree=tree)
        await store(database, an_exchange([user("u")], [assistant("b"), assistant("c")]))
        await store(database, an_exchange([user("u"), assistant("c"), user("v")], [assistant("d")]))

        assert told(await rest(snapshot)) == before

    async def test_names_and_the_bin_are_those_of_the_moment(
        self, database: Database, *, tree: bool
    ) -> None:
        """A conversation renamed or put into the bin comes as it was."""
        conversation = await start(database, "s1", title="old", metadata={"a": 1})
        await say(database, conversation, "x")

        snapshot = await taken(database, tree=tree)
        async with database.write() as connection:
            conversations = ConversationRepository(connection, HERE)
            await conversations.rename(conversation, title="new", metadata={"b": 2}, now=LATER)
            await conversations.bin(conversation, now=LATER)
        [passage] = await rest(snapshot)

        head = passage.conversation
        assert (head.title, head.metadata, head.deleted_at) == ("old", '{"a":1}', None)
        assert [line.content for line in passage.lines] == ["x"]

    async def test_what_is_erased_before_its_turn_is_left_out(
        self, database: Database, *, tree: bool
    ) -> None:
        """What was deleted for good is handed out to nobody any more."""
        await self.a_long_one(database)
        for session in ("short", "empty", "stays"):
            conversation = await start(database, session)
            await say(database, conversation, *(["x"] if session != "empty" else []))

        snapshot = await taken(database, tree=tree)
        for session in ("s1", "short", "empty"):
            await erase(database, session)

        assert told(await rest(snapshot)) == {"stays": ["x"]}

    async def test_half_a_conversation_is_never_handed_out(
        self, database: Database, *, tree: bool
    ) -> None:
        """One that is erased while it is being read ends the reading with an error."""
        await self.a_long_one(database)
        snapshot = await taken(database, tree=tree)
        pages = snapshot.pages()
        await anext(pages)
        await erase(database, "s1")

        with pytest.raises(Vanished):
            await anext(pages)
        snapshot.close()

    @pytest.mark.parametrize("has_begun", [True, False])
    async def test_what_is_being_erased_counts_as_erased(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, *, tree: bool, has_begun: bool
    ) -> None:
        """A long one goes some messages at a time, the newest first: what is left is not it."""
        monkeypatch.setattr(shortening, "AT_ONCE", 2)
        await self.a_long_one(database)
        snapshot = await taken(database, tree=tree)
        pages = snapshot.pages()
        if has_begun:
            await anext(pages)
        await shortening.shorten(database, HERE, await find(database), now=NOW)

        with pytest.raises(Vanished if has_begun else StopAsyncIteration):
            await anext(pages)
        snapshot.close()


async def test_sealed_contents_are_opened_and_stay_text(prepared_url: str) -> None:
    """Whatever was wanted: what is in the database is no text yet, long or short."""
    database = Database(prepared_url, keys=MasterKeys({"key": b"1" * 32}))
    await prepare(database)
    conversation = await start(database, title="titled")
    texts = ["短い", "long " * 5_000]
    await say(database, conversation, *texts)

    passages = await rest(await taken(database, utf8=True))

    assert told(passages) == {"s1": texts}
    assert passages[0].conversation.title == "titled"
    await database.close()


async def test_nothing_is_held_between_pages(database: Database, small_pages: None) -> None:
    """While nobody reads on there is no open transaction and no connection in use."""
    conversation = await start(database)
    await say(database, conversation, *[str(n) for n in range(20)])
    snapshot = await taken(database)
    pages = snapshot.pages()
    await anext(pages)

    if database.dialect is Dialect.POSTGRESQL:
        async with database.read() as connection:
            open_ones = await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                )
            )
        assert open_ones == 0
    else:
        checkpointer = Database(f"sqlite:///{database.path}", checkpoints=True)
        await say(database, conversation, "more")
        assert await checkpointer.checkpoint()
        await checkpointer.close()
    await pages.aclose()
    snapshot.close()
