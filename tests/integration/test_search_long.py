"""Long messages on both databases: every word is found, and deleting them leaves nothing."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.integration.stored import ALICE_ONLY, BOB_ONLY, ELSEWHERE, HERE, said, say, start
from tests.integration.test_search import LETTERS, _skip_ids, _words, brute_force, found, hits
from tests.integration.test_search_index import erase, go_to, indexed

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import SearchTooSlow
from officeai_proxy.model import Caller
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check, prepare
from officeai_proxy.storage.sealing.rotation import retire, seal_all
from officeai_proxy.storage.search import documents as search_documents
from officeai_proxy.storage.search import hits as search
from officeai_proxy.storage.search import index as search_index
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.storage.search.upkeep import purge, reindex
from officeai_proxy.words import parts, query, tokens
from officeai_proxy.words.query import Query

END = "endzzz 结尾专有词 the last café, 用Python写的 孤. ｶﾞ"

LONG = {
    "chinese": "字" * 100_000 + END,
    "english": "the word " * 100_000 + END,
    "distinct": " ".join(f"w{number}" for number in range(300_000)) + f" {END}",
    "signs": "слово é ... नमस्ते 数, " * 20_000 + END,
    "often": "the " * 300 + END,
    "hashes": "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(200_000)) + END,
}


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit so low that a sentence passes it."""
    monkeypatch.setattr(parts, "PART", 3)
    monkeypatch.setattr(tokens, "PART", 3)
    monkeypatch.setattr(query, "PART", 3)
    monkeypatch.setattr(tokens, "MAX_DISTINCT", 6)
    monkeypatch.setattr(search_documents, "MAX_PLACES", 4)
    monkeypatch.setattr(search_documents, "MAX_REPEATS", 2)
    monkeypatch.setattr(search_index, "BATCH_TEXT", 10)
    monkeypatch.setattr(search, "LONG_TEXT", 8)
    monkeypatch.setattr(search, "PAGE_TEXT", 20)


@pytest.fixture
async def sound(database: Database, tight: None) -> AsyncIterator[Database]:
    """A database that has to be sound when the test is over."""
    yield database
    assert await check(database) == []


class TestFound:
    """What is said far back in a message."""

    @pytest.mark.parametrize("content", LONG.values(), ids=LONG)
    async def test_to_the_last_word(self, database: Database, content: str) -> None:
        """Words, phrases, runs, single characters and all of them together are found."""
        await say(database, await start(database), "short", content, "the end")
        for q in (
            "endzzz",
            "结尾专有词",
            "孤",
            "尾",
            "ガ",
            '"the last CAFE"',
            "写的",
            'Python写 "endzzz 结尾" 孤 last',
            '"专有词 the last cafe 用 python 写的 孤"',
        ):
            assert await found(database, q) == [content], q
        for q in ('"last the"', "尾结", "专有 endzzy", '"cafe python"', "ast", '"endzzz the"'):
            assert await found(database, q) == [], q

        assert await check(database) == []

    async def test_among_the_others(self, database: Database) -> None:
        """Long ones and short ones come in their order, page by page, wherever their ids are."""
        conversation = await start(database)
        said = []
        for number in range(4):
            said += [f"word {number}", "the " * 300 + f"word {number}"]
            await say(database, conversation, *said[-2:])
            await _skip_ids(database, 5000 * 30**number)
        newest = said[::-1]

        for limit in (1, 3, 100):
            assert await found(database, "word", limit=limit) == newest
        assert await found(database, "word 2", limit=1) == newest[2:4]

    async def test_the_wall(self, database: Database) -> None:
        """Nobody finds a long message of another workspace, user or role."""
        content = LONG["often"]
        for caller, who in ((HERE, "alice"), (HERE, "bob"), (ELSEWHERE, "alice")):
            await say(
                database,
                await start(database, user=who, caller=caller),
                f"{content} {who}",
                caller=caller,
            )

        assert await found(database, "endzzz", caller=ALICE_ONLY) == [f"{content} alice"]
        assert await found(database, "endzzz alice", caller=BOB_ONLY) == []
        assert len(await hits(database, "endzzz", caller=HERE)) == 2
        assert await hits(database, "endzzz", role="assistant") == []

    async def test_too_many_different_words(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What no index takes is found by its text, inside the wall, and nothing else is."""
        monkeypatch.setattr(tokens, "MAX_DISTINCT", 50_000)
        await say(database, await start(database), LONG["distinct"], "endzzz")

        assert await found(database, "endzzz") == ["endzzz", LONG["distinct"]]
        assert await found(database, '"w299999 endzzz 结尾" 孤') == [LONG["distinct"]]
        assert await found(database, "w300000") == []
        assert await found(database, "endzzz", caller=ELSEWHERE) == []
        assert await found(database, "endzzz", caller=BOB_ONLY) == []
        assert await check(database) == []


class TestPages:
    """How much one answer reads and holds."""

    async def test_a_page_ends_before_it_is_too_long(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page has as many hits as it has room for, one at least, and the next goes on there."""
        monkeypatch.setattr(search, "PAGE_TEXT", 2500)
        monkeypatch.setattr(search, "LONG_TEXT", 900)
        said = ["word " * 200, "word " * 200, "word " * 700, "word", "word " * 200]
        await say(database, await start(database), *said)
        sizes = []
        cursor = None
        while cursor is not None or not sizes:
            async with database.read() as connection:
                page = await SearchRepository(connection, HERE).page(
                    SearchFilter(query=Query.of("word")), PageRequest(3, cursor=cursor)
                )
            sizes.append([len(hit.message.content) for hit in page.items])
            cursor = page.next_cursor

        assert sizes == [[1000, 4], [3500], [1000, 1000]]

    @pytest.mark.parametrize(
        ("room", "first_look", "expected"),
        [(2500, 4, [[6, 5, 4, 3, 2], [1, 0]]), (500, 1, [[6], [5], [4], [3], [2], [1], [0]])],
    )
    async def test_pictures_count_as_well(
        self,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        room: int,
        first_look: int,
        expected: list[list[int]],
    ) -> None:
        """A page ends before its pictures are too many, and the next goes on there."""
        monkeypatch.setattr(search, "PAGE_TEXT", room)
        monkeypatch.setattr(search, "FIRST_LOOK", first_look)
        picture = json.dumps({"content": "x" * 1000})
        shown = [said(f"word {n}", extra=picture if n % 2 else None) for n in range(7)]
        await say(database, await start(database), *shown)
        pages: list[list[str]] = []
        cursor = None
        while cursor is not None or not pages:
            async with database.read() as connection:
                page = await SearchRepository(connection, HERE).page(
                    SearchFilter(query=Query.of("word")), PageRequest(100, cursor=cursor)
                )
            pages.append([hit.message.content for hit in page.items])
            cursor = page.next_cursor

        assert pages == [[f"word {n}" for n in page] for page in expected]

    async def test_what_is_too_slow(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time is looked at before each long text."""
        await say(database, await start(database), *["the " * 300 + "word"] * 3)
        monkeypatch.setattr(search, "LONG_TEXT", 900)
        monkeypatch.setattr(search, "TIME_LIMIT", 0.3)
        monkeypatch.setattr(Query, "matches", lambda _query, _text: time.sleep(0.4))

        with pytest.raises(SearchTooSlow):
            await hits(database, "word")


class TestDeleting:
    """Long messages out of the index."""

    async def test_nothing_is_left(self, database: Database) -> None:
        """Deleted for good is gone, and what is left is as it was."""
        gone, stays = await start(database, "gone"), await start(database, "stays")
        await say(database, gone, *LONG.values(), "endzzz gone")
        await say(database, stays, "endzzz stays", LONG["often"])
        await erase(database, gone)

        assert await found(database, "endzzz") == [LONG["often"], "endzzz stays"]
        assert len(await indexed(database)) == 2
        assert await check(database) == []
        if database.dialect is Dialect.SQLITE:
            async with database.write() as connection:
                await connection.execute(
                    text("INSERT INTO message_search (message_search) VALUES ('integrity-check')")
                )

    async def test_no_word_is_left_in_the_file(self, tmp_path: Path) -> None:
        """SQLite: what was far back in a deleted message is in no file."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db", checkpoints=True)
        await prepare(database)
        gone, stays = await start(database, "gone"), await start(database, "stays")
        await say(database, gone, "the " * 300 + "qqqxcanaryxqqq 麒麟臂")
        await say(database, stays, "the rest")
        await erase(database, gone)
        assert await purge(database)
        assert await database.checkpoint()
        await database.close()

        for file in tmp_path.iterdir():
            for part in ("xcanaryx", "麒麟"):
                assert part.encode() not in file.read_bytes()

    async def test_anew(self, database: Database) -> None:
        """An index that is built anew has all of it again."""
        await say(database, await start(database), *LONG.values())
        await reindex(database)

        assert len(await found(database, "endzzz")) == len(LONG)
        assert await check(database) == []

    async def test_a_changed_set_is_told(self, database: Database) -> None:
        """`db check` compares long messages like any others."""
        await say(database, await start(database), LONG["often"])
        async with database.write() as connection:
            await connection.execute(
                text("UPDATE conversation_messages SET content = replace(content, 'the', 'thy')")
            )

        assert len(await check(database)) == 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    said=st.lists(st.text(LETTERS, max_size=24), max_size=8),
    asked=st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=6),
    limit=st.integers(1, 5),
)
async def test_both_databases_find_what_the_rules_say(
    sound: Database, said: list[str], asked: list[str], limit: int
) -> None:
    """Whatever passes which limit, the hits and their order are those of a plain matcher."""
    caller = Caller("key", str(uuid4()))
    conversation = await start(sound, caller=caller)
    await say(sound, conversation, *said, caller=caller)
    for q in asked:
        if _words(q):
            expected = [content for content in reversed(said) if brute_force(q, content)]
            assert await found(sound, q, caller=caller, limit=limit) == expected, (q, said)


async def test_random_long_texts(database: Database) -> None:
    """Messages as long as they really are, asked for pieces of one another from anywhere."""
    dice = Random(7)
    units = ["a", "ab", "é", "数", "据库", "数据，", "。", "-", "カｶ", "한1", *map(str, range(400))]
    said = [
        "".join(dice.choice(units) + dice.choice(["", " "]) for _ in range(length))
        for length in (40, 9_000, 30_000, 30_000)
    ]
    await say(database, await start(database), *said)
    number_of_hits = 0
    for _ in range(60):
        content = dice.choice(said)
        place = dice.randrange(len(content))
        q = content[place : place + dice.randrange(1, 14)]
        q = dice.choice([q, f'"{q}"', q + dice.choice(units)])
        if _words(q):
            expected = [one for one in reversed(said) if brute_force(q, one)]
            number_of_hits += len(expected)
            assert await found(database, q) == expected, q

    assert number_of_hits > 50


async def test_sealed(prepared_url: str) -> None:
    """Long messages that are sealed, at once or later, are found and deleted like others."""
    plain = Database(prepared_url)
    before = await start(plain, "before")
    await say(plain, before, LONG["often"])
    await plain.close()
    database = Database(prepared_url, keys=MasterKeys({"key": b"1" * 32}))
    await prepare(database)
    await say(database, await start(database, "after"), LONG["english"])
    expected = [LONG["english"], LONG["often"]]

    assert await found(database, '"the last cafe" 结尾专 孤') == expected
    assert await seal_all(database, told=lambda _: None) > 0
    await retire(database)
    assert await found(database, '"the last cafe" 结尾专 孤') == expected
    assert await check(database) == []
    await go_to(database, "0007")
    assert await prepare(database)
    assert await found(database, '"the last cafe" 结尾专 孤') == expected
    assert await check(database) == []
    await erase(database, before)
    assert await found(database, "endzzz") == expected[:1]
    assert await check(database) == []
    await database.close()


async def test_sets_are_looked_up_in_their_index(database: Database) -> None:
    """PostgreSQL looks sets up in their index, among many messages and few."""
    if database.dialect is Dialect.SQLITE:
        pytest.skip("SQLite has one index for all")
    conversation = await start(database)
    for count in (1, 300):
        await say(database, conversation, *[LONG["often"], "endzzz"] * count)
        async with database.write() as connection:
            await connection.execute(text("ANALYZE message_search"))
        given = {"sets": ["endzzz"], "before": 10**9, "count": 5}
        async with database.read() as connection:
            await connection.execute(search.PREPARE_POSTGRESQL, {"milliseconds": "2000"})
            plan = await connection.execute(
                text(f"EXPLAIN {search.NEWEST_SETS_POSTGRESQL.text}"), given
            )
            lines = plan.scalars().all()

        assert any("Bitmap Index Scan on ix_message_search_long_words" in line for line in lines)
        assert not any("Seq Scan" in line for line in lines)
