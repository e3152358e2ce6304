"""The recorder's batches in a real database: what is stored, once, and in its place."""

import json
from pathlib import Path

from sqlalchemy import func, select
from tests.factories import an_exchange, assistant, user
from tests.merge_cases import CASES

from officeai_proxy.model import Caller, Conversation, Exchange, Message
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import write
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.conversations.messages import MessageRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check, prepare
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.storage.tables import (
    call_hours,
    conversation_messages,
    conversations,
    exchanges,
)
from officeai_proxy.words.query import Query

CALLER = Caller("test")
ALL = PageRequest(limit=1000)


async def store(database: Database, *exchanges: Exchange) -> None:
    await write(SqlExchangeStore(database), [read_turn(exchange) for exchange in exchanges])


async def stored(
    database: Database, session: str = "s1", *, whole_tree: bool = False, **which: str
) -> tuple[Conversation, list[Message]]:
    async with database.read() as connection:
        conversation = await ConversationRepository(connection, CALLER).find(session, **which)
        messages = MessageRepository(connection, CALLER)
        page = await messages.page(conversation, ALL, whole_tree=whole_tree)
        assert page.total == len(page.items)
        return conversation, page.items


async def told(database: Database) -> dict[str, tuple[list[str], int, int]]:
    """What is stored of each merge case: its path, its tree, and what its conversation counts."""
    found = {}
    for case in CASES:
        conversation, path = await stored(database, case.name)
        _, tree = await stored(database, case.name, whole_tree=True)
        contents = [message.content for message in path]
        found[case.name] = contents, len(tree), conversation.message_count
    return found


WANTED = {case.name: (case.path, case.stored, case.stored) for case in CASES}


async def test_every_merge_case_on_a_real_database(database: Database) -> None:
    """Turn by turn, each message is stored once, and the check of the database finds nothing."""
    for case in CASES:
        for request, reply in case.exchanges:
            await store(database, an_exchange(request, reply, session=case.name))

    assert await told(database) == WANTED
    assert await check(database) == []


async def test_every_merge_case_in_one_batch(database: Database) -> None:
    """A batch after an outage gives what turn by turn would have given."""
    for case in CASES:
        batch = [an_exchange(*exchange, session=case.name) for exchange in case.exchanges]
        await store(database, *batch)

    assert await told(database) == WANTED
    assert await check(database) == []


async def test_a_second_reading_of_the_journal_changes_nothing(database: Database) -> None:
    """Replays are free: rows, counts and times stay as they are."""
    batch = [an_exchange(), an_exchange([user("2")]), an_exchange(is_recorded=False, request=b"")]
    await store(database, *batch)
    before = await stored(database)

    for _ in range(3):
        await store(database, *batch)

    assert await stored(database) == before
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(exchanges)) == 3
        assert await connection.scalar(select(func.count()).select_from(conversation_messages)) == 4


async def test_what_was_deleted_for_good_stays_deleted(database: Database) -> None:
    """A journal that is read again after an erasure brings nothing back."""
    exchange = an_exchange()
    await store(database, exchange)
    async with database.write() as connection:
        conversations = ConversationRepository(connection, CALLER)
        found = await conversations.find("s1")
        await conversations.erase(found, now=exchange.ended_at)

    await store(database, exchange)

    async with database.read() as connection:
        page = await ConversationRepository(connection, CALLER).page(ConversationFilter(), ALL)
        calls = await CallRepository(connection, CALLER).page(CallFilter(), ALL)
    assert page.items == []
    assert calls.items == []


async def test_a_call_into_a_session_in_the_bin_begins_a_new_conversation(
    database: Database,
) -> None:
    """What was put into the bin stays there, and the new call is not lost in it."""
    await store(database, an_exchange())
    async with database.write() as connection:
        conversations = ConversationRepository(connection, CALLER)
        await conversations.bin(await conversations.find("s1"), now=an_exchange().ended_at)

    await store(database, an_exchange([user("again")], [assistant("yes")]))

    _, path = await stored(database)
    assert [message.content for message in path] == ["again", "yes"]


async def test_messages_of_hands_and_of_calls_share_one_line(database: Database) -> None:
    """A message added through the API is one that a later call goes on from."""
    await store(database, an_exchange([user("a")], [assistant("A")]))
    async with database.write() as connection:
        found = await ConversationRepository(connection, CALLER).find("s1")
        turn = read_turn(an_exchange([user("b")], [assistant("B")]))
        messages = MessageRepository(connection, CALLER)
        await messages.append(found, [*turn.request, *turn.replies], now=found.updated_at)
    whole = [user("a"), assistant("A"), user("b"), assistant("B"), user("c")]

    await store(database, an_exchange(whole, [assistant("C")]))

    _, path = await stored(database)
    assert [message.content for message in path] == ["a", "A", "b", "B", "c", "C"]
    assert await check(database) == []


async def test_poison_for_postgresql_is_stored_and_comes_back_whole(database: Database) -> None:
    """NUL bytes and half characters are shown as signs and kept as they were in `raw`."""
    words = "nul \x00 half \ud800 end"
    body = b'{"model":"m","messages":[{"role":"user","content":"nul \\u0000 half \\ud800 end"}]}'
    choice = b'{"delta":{"content":"fine"},"finish_reason":"\\u0000\\ud800"}'
    stream = b'data: {"choices":[%b]}\n\ndata: [DONE]\n\n' % choice

    await store(database, an_exchange(body, stream))

    _, path = await stored(database)
    assert path[0].content == "nul \u2400 half \ufffd end"
    assert path[0].raw == {"role": "user", "content": words}
    assert path[1].metadata["finish_reason"] == "\u2400\ufffd"


async def test_huge_numbers_and_texts_are_stored(database: Database) -> None:
    """A text of two million characters and counts beyond any column lose no call."""
    usage = {"prompt_tokens": 2**70, "completion_tokens": -1, "total_tokens": "many"}
    text = "长" * 1_000_000 + "x" * 1_000_000
    # Nothing repeats in it, so that PostgreSQL cannot make it short enough for an index.
    model = "".join(chr(0x4E00 + 7 * number % 9001) for number in range(5000))
    reply = {"choices": [{"message": assistant(text)}], "usage": usage, "model": model}

    await store(database, an_exchange(reply=json.dumps(reply).encode()))

    _, path = await stored(database)
    assert path[1].content == text
    assert path[1].token_count is None
    assert path[1].model_name == model
    async with database.read() as connection:
        calls = await CallRepository(connection, CALLER).page(CallFilter(model=model), ALL)
    assert [call.model_served for call in calls.items] == [model[:255]]


async def test_the_call_log_has_names_numbers_and_no_content(database: Database) -> None:
    """Every call is a line: the user it was given to, the model, how it ended."""
    await store(database, an_exchange(user="ann"), an_exchange(user=None, reply=None))

    async with database.read() as connection:
        calls = await CallRepository(connection, CALLER).page(CallFilter(), ALL)
    failed, complete = calls.items
    assert (failed.user, failed.outcome.value, failed.status) == ("ann", "upstream_error", 502)
    assert (complete.user, complete.outcome.value, complete.model_served) == (
        "ann",
        "complete",
        "served",
    )


async def test_branches_of_a_long_conversation_keep_the_path_sound(database: Database) -> None:
    """A hundred regenerations and edits in batches of any size leave one unbroken line."""
    history = []
    for number in range(30):
        history.append(user(f"q{number}"))
        again = [an_exchange(list(history), [assistant(f"a{number}.{n}")]) for n in range(3)]
        if number % 2:
            await store(database, *again)
        else:
            for one in again:
                await store(database, one)
        history.append(assistant(f"a{number}.{number % 3}"))

    _, path = await stored(database)
    expected = [message["content"] for message in history[:-1]] + ["a29.2"]
    assert [message.content for message in path] == expected
    assert await check(database) == []


async def test_names_that_look_alike_in_one_batch(database: Database) -> None:
    """Many sessions are looked for at once, whatever they are called, and each is found again."""
    names = ["s1", "S1", "s1 ", "s'1", 's"1', "s[1]", "s%", "й", "1", "null"]
    for _ in range(2):
        await store(database, *(an_exchange([user(name)], session=name) for name in names))

    for name in names:
        conversation, path = await stored(database, name)
        assert conversation.message_count == len(path) == 4
        assert {message.content for message in path} == {name, "hello"}
    assert await check(database) == []


async def test_messages_of_a_batch_are_numbered_as_they_were_said(database: Database) -> None:
    """Who searches finds the newest first, also where several sessions went on at one time."""
    said = [("s1", "1"), ("s2", "2"), ("s1", "3"), ("s3", "4"), ("s2", "5"), ("s1", "6")]
    calls = [an_exchange([user(text)], session=name) for name, text in said]
    await store(database, *calls[:2])
    await store(database, *calls[2:])

    wanted = SearchFilter(query=Query.of("hello"), role="assistant")
    async with database.read() as connection:
        found = await SearchRepository(connection, CALLER).page(wanted, ALL)
    assert [hit.conversation.session_id for hit in found.items] == [
        name for name, _ in reversed(said)
    ]
    assert await check(database) == []


async def test_inline_stores_the_same(tmp_path: Path) -> None:
    """A database without threads holds, row by row, what one with threads holds."""
    held: list[list[tuple[object, ...]]] = []
    calls = [an_exchange(request, reply) for case in CASES for request, reply in case.exchanges]
    for is_inline in (False, True):
        database = Database(f"sqlite:///{tmp_path}/{is_inline}.db", inline=is_inline)
        await prepare(database)
        for at in range(0, len(calls), 7):
            await store(database, *calls[at : at + 7])
        async with database.read() as connection:
            held.append(
                [
                    tuple(row)
                    for table in (conversations, conversation_messages, exchanges, call_hours)
                    for row in await connection.execute(select(table))
                ]
            )
        await database.close()

    assert held[0] == held[1]
    assert len(held[0]) > len(calls)
