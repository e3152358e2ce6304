"""Reading one conversation in parts: the path, other branches, walls; on both databases."""

import pytest
from sqlalchemy import update
from tests.integration.stored import ALICE_ONLY, BOB_ONLY, ELSEWHERE, HERE, log_call, say, start

from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller, Conversation
from officeai_proxy.storage.conversations.transcripts import TranscriptRepository, Tree, Window
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import conversation_messages, conversations

_m, _c = conversation_messages.c, conversations.c


async def window(
    database: Database,
    conversation: Conversation,
    *,
    at: int | None = None,
    below: int | None = None,
    above: int | None = None,
    line: list[int] | None = None,
    limit: int = 3,
    caller: Caller = HERE,
) -> Window:
    """A part of *conversation*, as it is asked for."""
    async with database.read() as connection:
        repository = TranscriptRepository(connection, caller)
        if at is not None:
            return await repository.around(conversation, line, message=at, limit=limit)
        if above is not None:
            return await repository.after(conversation, line, above=above, limit=limit)
        return await repository.newest(conversation, line, below=below, limit=limit)


def texts(part: Window) -> list[str]:
    """What is said in *part*."""
    return [one.line.content for one in part.messages]


async def branched(database: Database) -> tuple[Conversation, dict[str, int]]:
    """A conversation a-b-c with a second branch a-d-e that is the path; the ids by text."""
    conversation = await start(database)
    stored = await say(database, conversation, "a", "b", "c", "d", "e")
    ids = {one.content: one.id for one in stored}
    async with database.write() as connection:
        for text, parent, on_path in (("b", "a", False), ("c", "b", False), ("d", "a", True)):
            changed = update(conversation_messages).where(_m.id == ids[text])
            await connection.execute(changed.values(parent_id=ids[parent], on_path=on_path))
        count = update(conversations).where(_c.id == conversation.id)
        await connection.execute(count.values(path_count=3))
    async with database.read() as connection:
        return await TranscriptRepository(connection, HERE).find(conversation.id), ids


@pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY])
async def test_walls(database: Database, caller: Caller) -> None:
    """Whoever may not see a conversation does not find it, nor a message of it."""
    conversation = await start(database)
    [said] = await say(database, conversation, "secret")
    async with database.read() as connection:
        repository = TranscriptRepository(connection, caller)
        with pytest.raises(NotFound):
            await repository.find(conversation.id)
        assert not await repository.has(conversation, said.id)
        assert await repository.first(conversation, None) == 0
        assert (await repository.tree(conversation)).parents == {}
        assert (await repository.totals(conversation)).tokens == 0
    assert texts(await window(database, conversation, caller=caller)) == []


async def test_its_own_user_finds_it(database: Database) -> None:
    """A key that is bound to the user of a conversation sees it."""
    conversation = await start(database, user="alice")
    async with database.read() as connection:
        found = await TranscriptRepository(connection, ALICE_ONLY).find(conversation.id)
    assert found.session_id == conversation.session_id


async def test_the_newest_come_first_and_the_rest_by_scrolling(database: Database) -> None:
    """A conversation opens at its end and is read upwards without a gap or a repetition."""
    conversation = await start(database)
    await say(database, conversation, *"abcdefg")
    end = await window(database, conversation)
    assert (texts(end), end.has_older) == (["e", "f", "g"], True)
    middle = await window(database, conversation, below=end.messages[0].line.id)
    assert (texts(middle), middle.has_older) == (["b", "c", "d"], True)
    begin = await window(database, conversation, below=middle.messages[0].line.id)
    assert (texts(begin), begin.has_older) == (["a"], False)
    later = await window(database, conversation, above=begin.messages[0].line.id)
    assert (texts(later), later.has_newer) == (["b", "c", "d"], True)


async def test_around_a_message(database: Database) -> None:
    """A message that was found stands among its neighbours."""
    conversation = await start(database)
    stored = await say(database, conversation, *"abcdefg")
    part = await window(database, conversation, at=stored[3].id, limit=4)
    assert texts(part) == ["b", "c", "d", "e"]
    assert part.has_older
    assert part.has_newer


async def test_one_line_needs_no_tree(database: Database) -> None:
    """Of a conversation without branches nobody reads the tree."""
    conversation = await start(database)
    [said] = await say(database, conversation, "a")
    async with database.read() as connection:
        repository = TranscriptRepository(connection, HERE)
        tree = await repository.tree(await repository.find(conversation.id))
    assert tree.parents == {}
    assert tree.siblings(said.id) == (said.id,)


async def test_branches(database: Database) -> None:
    """Each branch can be read to its end, and every message knows what stands in its place."""
    conversation, ids = await branched(database)
    assert texts(await window(database, conversation, limit=10)) == ["a", "d", "e"]
    async with database.read() as connection:
        repository = TranscriptRepository(connection, HERE)
        tree = await repository.tree(conversation)
        assert await repository.first(conversation, None) == ids["a"]
        assert await repository.first(conversation, [ids["b"], ids["c"]]) == ids["b"]
    assert tree.siblings(ids["d"]) == [ids["b"], ids["d"]]
    line = tree.line_through(ids["b"])
    assert line == [ids["a"], ids["b"], ids["c"]]
    part = await window(database, conversation, line=line, limit=10)
    assert texts(part) == ["a", "b", "c"]
    part = await window(database, conversation, line=line, below=ids["c"], limit=1)
    assert (texts(part), part.has_older) == (["b"], True)
    part = await window(database, conversation, line=line, above=ids["a"], limit=1)
    assert (texts(part), part.has_newer) == (["b"], True)


def test_where_a_branch_leads_to() -> None:
    """To what was said last below it, past choices and answers that nobody went on with."""
    # 1 has the answers 2 and 3, of which 2 was gone on with by 4; 5 and 6 are the path.
    parents = {1: None, 2: 1, 3: 1, 4: 2, 5: None, 6: 5}
    tree = Tree(parents=parents, on_path=frozenset({5, 6}), children={None: [1, 5], 1: [2, 3]})

    assert tree.line_through(1) == [1, 2, 4]
    assert tree.line_through(3) == [1, 3]
    assert tree.line_through(5) == [5, 6]


async def test_what_a_call_has_measured(database: Database) -> None:
    """A message comes with how long its call took and how it went."""
    conversation = await start(database)
    [said] = await say(database, conversation, "a")
    async with database.write() as connection:
        row = await log_call(connection, 1, ttft_ms=3.5, status_code=429, error="too much")
        changed = update(conversation_messages).where(_m.id == said.id)
        await connection.execute(changed.values(exchange_id=row))
    [one] = (await window(database, conversation)).messages
    assert (one.latency_ms, one.ttft_ms, one.status, one.error) == (12.5, 3.5, 429, "too much")
