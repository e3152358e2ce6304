"""Search on both databases: refusals first, then what is found, what is not, and the walls."""

import asyncio
import re
import unicodedata
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.integration.stored import (
    ALICE_ONLY,
    BOB_ONLY,
    ELSEWHERE,
    HERE,
    NOW,
    said,
    say,
    start,
)

from officeai_proxy.errors import SearchTooSlow, UnprocessableInput
from officeai_proxy.model import Caller
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.search import hits as search
from officeai_proxy.storage.search.hits import Hit, SearchFilter, SearchRepository
from officeai_proxy.words.query import Query


async def hits(
    database: Database, q: str, *, caller: Caller = HERE, limit: int = 100, **more: object
) -> list[Hit]:
    """All hits, by as many pages of *limit* as it takes."""
    wanted = SearchFilter(query=Query.of(q), **more)  # type: ignore[arg-type]
    found: list[Hit] = []
    cursor = None
    while True:
        async with database.read() as connection:
            repository = SearchRepository(connection, caller)
            page = await repository.page(wanted, PageRequest(limit, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        assert page.has_more == (cursor is not None)
        if cursor is None:
            return found


async def found(database: Database, q: str, **more: object) -> list[str]:
    return [hit.message.content for hit in await hits(database, q, **more)]  # type: ignore[arg-type]


class TestRefusals:
    """What cannot be answered."""

    @pytest.mark.parametrize("cursor", ["x", "WzFd", ""])
    async def test_foreign_cursor(self, database: Database, cursor: str) -> None:
        """A cursor of another list is refused."""
        async with database.read() as connection:
            with pytest.raises(UnprocessableInput, match="cursor"):
                await SearchRepository(connection, HERE).page(
                    SearchFilter(query=Query.of("a")), PageRequest(1, cursor=cursor)
                )

    async def test_too_slow(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """A search that takes too long is given up with words, and its connection stays usable."""
        conversation = await start(database)
        for _ in range(8):
            await say(database, conversation, *["slow words"] * 250)
        monkeypatch.setattr(search, "TIME_LIMIT", 0.0001)
        if database.dialect is Dialect.POSTGRESQL:
            slow = text(
                "SELECT 1 FROM pg_sleep(2), CAST(:query AS text), CAST(:before AS bigint), "
                "CAST(:count AS int)"
            )
            monkeypatch.setattr(search, "NEWEST_POSTGRESQL", slow)
            monkeypatch.setattr(search, "TIME_LIMIT", 0.05)
        with pytest.raises(SearchTooSlow, match="rarer words"):
            await hits(database, "slow words", limit=1000)
        monkeypatch.undo()

        assert len(await hits(database, "slow words", limit=1000)) == 2000

    async def test_a_cancelled_search_leaves_no_limit_behind(self, tmp_path: Path) -> None:
        """Who leaves in the middle of a search does not make later reads fail."""
        database = Database(f"sqlite:///{tmp_path}/officeai.db", pool_size=1)
        await prepare(database)
        await say(database, await start(database), *["words"] * 50)
        for _ in range(10):
            task = asyncio.ensure_future(hits(database, "words"))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        assert len(await hits(database, "words")) == 50
        await database.close()


PLAIN = [
    '"',
    'foo"bar',
    "multi-agent",
    "don't",
    "(",
    "NEAR(a b, 2)",
    "-x",
    "*",
    "a*",
    "^a",
    "words:a",
    "{words} : a",
    "a AND b",
    "a OR b",
    "NOT a",
    "a + b",
    "a & b | !c <-> d:*",
    "'a'",
    "\\a",
    "a:1A,2B",
    "%",
    "_",
    "a%b",
    "; DROP TABLE conversations; --",
    "$1 ? :q %s {0}",
    ".*[a-z]+(?=b)",
    "the of and",
    "a\u2400b",
    "👍",
    "用户:密码",
    "rowid:1",
    "message_search",
]


class TestPlainText:
    """User text is never engine syntax."""

    @pytest.mark.parametrize("q", PLAIN)
    async def test_found_as_it_is(self, database: Database, q: str) -> None:
        """Every string finds the message that says just that, or is refused for having no word."""
        await say(database, await start(database), f"before {q} after", "something else entirely")
        if not any(char.isalnum() for char in q):
            with pytest.raises(UnprocessableInput):
                await found(database, q)
        else:
            assert await found(database, q) == [f"before {q} after"]
            assert await found(database, f'"{q}"') == [f"before {q} after"]

    async def test_percent_signs(self, database: Database) -> None:
        """A pattern of LIKE is no pattern here."""
        await say(database, await start(database), "a b", "100")

        assert await found(database, "%_%_" * 200 + "100") == ["100"]
        with pytest.raises(UnprocessableInput):
            await found(database, "%" * 1000)

    async def test_scope_tokens_cannot_be_asked_for(self, database: Database) -> None:
        """Nobody reaches the tokens that build the wall."""
        await say(database, await start(database), "secret")
        for q in ("_w", "_r", "w", "r", "_n0", "n0", "_f0", "f0"):
            try:
                assert await found(database, q) == []
            except UnprocessableInput:
                continue


class TestWords:
    """What is found, in all scripts."""

    SAID = (
        "用Python写一个数据库连接池",
        "GPT-4模型很好",
        "Le Café du coin",
        "concatenate strings",
        "ＦＵＬＬ　ＷＩＤＴＨ ｶﾀｶﾅ",
        "ガラスとカラス",
        "한국어 학교에서",
        "สวัสดีครับ โลก",
        "𠮷野家で食べる",
        "数 据",
        "数据，据库",
        "the quick brown fox",
        "brown quick the",
        "नमस्ते दुनिया",
        "naïve ÆSIR straße",
    )

    @pytest.mark.parametrize(
        ("q", "numbers"),
        [
            ("用Python写", [0]),
            ("python", [0]),
            ("pyth", []),
            ("据", [10, 9, 0]),
            ("数据", [10, 0]),
            ("数据库", [0]),
            ("据库", [10, 0]),
            ("数据库连接池", [0]),
            ("数据库链接", []),
            ("连接 一个", [0]),
            ("GPT-4模型", [1]),
            ("gpt4", []),
            ("模型 4 gpt", [1]),
            ("cafe", [2]),
            ("CAFÉ", [2]),
            ("cafe\u0301", [2]),
            ("cat", []),
            ("concatenate", [3]),
            ("full width", [4]),
            ("カタカナ", [4]),
            ("ﾀ", [4]),
            ("カ", [5, 4]),
            ("ガ", [5]),
            ("학교", [6]),
            ("국", [6]),
            ("สวัสดีครับ", [7]),
            ("สวัสดี", []),
            ("𠮷", [8]),
            ("𠮷野", [8]),
            ("quick brown", [12, 11]),
            ('"quick brown"', [11]),
            ('"brown quick"', [12]),
            ('"数据，据库"', [10]),
            ('"gpt 4 模型"', [1]),
            ('"用 python"', [0]),
            ('"python 个"', []),
            ("दुनिया", [13]),
            ("naive æsir STRASSE", [14]),
        ],
    )
    async def test_found(self, database: Database, q: str, numbers: list[int]) -> None:
        """Each query finds exactly these messages, newest first, alone or page by page."""
        await say(database, await start(database), *self.SAID)

        assert await found(database, q) == [self.SAID[number] for number in numbers]
        assert await found(database, q, limit=1) == [self.SAID[number] for number in numbers]

    async def test_a_message_without_words(self, database: Database) -> None:
        """Messages that say nothing are stored and never found."""
        await say(database, await start(database), "", "👍", "…", "word")

        assert await found(database, "word") == ["word"]


class TestFilters:
    """Where is searched."""

    async def test_role_and_time(self, database: Database) -> None:
        """A role and a span of time narrow the search down; the end of the span is outside."""
        conversation = await start(database)
        await say(database, conversation, said("word", role="user"), said("word", role="assistant"))

        assert len(await hits(database, "word", role="assistant")) == 1
        assert await hits(database, "word", role="system") == []
        assert len(await hits(database, "word", after=NOW)) == 2
        assert await hits(database, "word", after=NOW + timedelta(microseconds=1)) == []
        assert await hits(database, "word", before=NOW) == []

    async def test_time_behind_many_others(self, database: Database) -> None:
        """Hits of another time are passed over, however many there are, and each page is full."""
        conversation = await start(database)
        old = NOW - timedelta(days=9)
        one = said("word")
        await say(database, conversation, *[_at(one, old)] * 30, *[one] * 700)

        assert len(await hits(database, "word", before=NOW, limit=7)) == 30

    async def test_user(self, database: Database) -> None:
        """One user's messages only."""
        await say(database, await start(database, "a", user="alice"), "word")
        await say(database, await start(database, "b", user="bob"), "word")

        (hit,) = await hits(database, "word", user_identifier="bob")
        assert hit.conversation.session_id == "b"

    async def test_bin(self, database: Database) -> None:
        """What is in the bin is not found, and found again when it is back."""
        conversation = await start(database)
        await say(database, conversation, "word")
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).bin(conversation, now=NOW)
        assert await hits(database, "word") == []
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).restore(conversation, now=NOW)

        assert len(await hits(database, "word")) == 1


def _at(message, moment):  # type: ignore[no-untyped-def]
    return type(message)(
        role=message.role, content=message.content, identity=message.identity, timestamp=moment
    )


class TestWalls:
    """Whose messages are found."""

    async def test_workspaces_and_users(self, database: Database) -> None:
        """Nobody finds, or learns of, a message of another workspace or of another user."""
        texts = {"here": HERE, "there": ELSEWHERE}
        for name, caller in texts.items():
            for user in ("alice", "bob"):
                conversation = await start(database, "s", user=user, caller=caller)
                await say(database, conversation, f"word {name} {user}", caller=caller)

        assert await found(database, "word", caller=HERE) == ["word here bob", "word here alice"]
        assert await found(database, "word", caller=ELSEWHERE, user_identifier="bob") == [
            "word there bob"
        ]
        assert await found(database, "word", caller=ALICE_ONLY) == ["word here alice"]
        assert await found(database, "word", caller=BOB_ONLY) == ["word here bob"]
        assert await found(database, "word", caller=BOB_ONLY, user_identifier="alice") == []
        assert await found(database, "there", caller=HERE) == []

    async def test_a_page_is_full_beside_many_others(self, database: Database) -> None:
        """The messages of others cost no place on a page."""
        mine = await start(database)
        theirs = await start(database, caller=ELSEWHERE)
        await say(database, mine, *["word"] * 5)
        await say(database, theirs, *["word"] * 900, caller=ELSEWHERE)
        async with database.read() as connection:
            page = await SearchRepository(connection, HERE).page(
                SearchFilter(query=Query.of("word")), PageRequest(5)
            )

        assert (len(page.items), page.has_more) == (5, False)


LETTERS = 'ab é数据库。 -"カｶ한1'


def brute_force(q: str, content: str) -> bool:
    """The rules of search, written down as simply as possible, one character after the other."""
    words = _words(content)
    for quoted, bare in re.findall(r'"([^"]*)"|([^"]+)', q):
        asked = _words(quoted or bare)
        phrases = [asked] if quoted else [[one] for one in asked]
        if not all(_is_in(phrase, words) for phrase in phrases):
            return False
    return True


def _words(content: str) -> list[str]:
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", content).casefold())
    plain = unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", plain))
    return re.findall("[0-9a-z]+|[数据库カ한]+", plain)


def _is_in(phrase: list[str], words: list[str]) -> bool:
    def fits(asked: str, word: str, *, first: bool, last: bool) -> bool:
        if asked.isascii():
            return asked == word
        if first and last:
            return asked in word
        if first:
            return word.endswith(asked)
        return word.startswith(asked) if last else word == asked

    ends = len(phrase) - 1
    return any(
        all(
            fits(asked, words[start + n], first=n == 0, last=n == ends)
            for n, asked in enumerate(phrase)
        )
        for start in range(len(words) - ends)
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    said=st.lists(st.text(LETTERS, max_size=12), max_size=12),
    asked=st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=6),
    limit=st.integers(1, 5),
)
async def test_both_databases_find_what_the_rules_say(
    database: Database, said: list[str], asked: list[str], limit: int
) -> None:
    """For any messages and any queries, the hits and their order are those of a plain matcher."""
    caller = Caller("key", str(uuid4()))
    conversation = await start(database, caller=caller)
    await say(database, conversation, *said, caller=caller)
    for q in asked:
        if not _words(q):
            continue
        expected = [content for content in reversed(said) if brute_force(q, content)]
        assert await found(database, q, caller=caller, limit=limit) == expected, (q, said)


async def test_common_words_far_back(database: Database) -> None:
    """Hits are found wherever they are: near the newest message, far from it, and at the start."""
    conversation = await start(database)
    await say(database, conversation, "word first")
    await _skip_ids(database, 5000)
    await say(database, conversation, "word second")
    await _skip_ids(database, 300_000)
    await say(database, conversation, "word third")

    assert await found(database, "word", limit=1) == ["word third", "word second", "word first"]
    assert await found(database, "word") == ["word third", "word second", "word first"]


async def _skip_ids(database: Database, count: int) -> None:
    async with database.write() as connection:
        if database.dialect is Dialect.SQLITE:
            skip = (
                "UPDATE sqlite_sequence SET seq = seq + :count WHERE name = 'conversation_messages'"
            )
        else:
            skip = (
                "SELECT setval('conversation_messages_id_seq', "
                "nextval('conversation_messages_id_seq') + :count)"
            )
        await connection.execute(text(skip), {"count": count})
