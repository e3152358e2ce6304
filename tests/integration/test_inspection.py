"""`db check` finds each kind of damage, on both databases."""

import pytest
from sqlalchemy import text
from tests.integration.stored import said, say, start

from officeai_proxy.storage.conversations.models import note_forgotten
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.schema.inspection import TOLD, Damage
from officeai_proxy.storage.schema.migrations import check


async def damage(database: Database, statement: str) -> None:
    """Change rows behind the back of the repositories, foreign keys resting."""
    async with database.alter() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text(statement))


async def test_sound_database(database: Database) -> None:
    """An ordinary database has no problem."""
    await say(database, await start(database, "s1"), "a", "b", "c")
    await start(database, "empty")

    assert await check(database) == []


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM conversations", "belongs to the conversation 1, which does not exist"),
        (
            "UPDATE conversation_messages SET parent_id = 3 WHERE id = 2",
            "message 2 has the parent 3, which is no earlier message",
        ),
        (
            "UPDATE conversation_messages SET parent_id = 99 WHERE id = 2",
            "message 2 has the parent 99, which is no earlier message",
        ),
        (
            "UPDATE conversation_messages SET parent_id = 1 WHERE id = 4",
            "message 4 has the parent 1, which is no earlier message",
        ),
        ("UPDATE conversations SET message_count = 7 WHERE id = 1", "says 7 messages"),
        ("UPDATE conversations SET path_count = 7 WHERE id = 1", "7 on its path"),
        ("UPDATE conversations SET leaf_id = 1 WHERE id = 1", "newest message is 1"),
        ("UPDATE conversations SET leaf_id = NULL WHERE id = 1", "newest message is None"),
        (
            "UPDATE conversation_messages SET on_path = false WHERE id = 2",
            "the path is broken at message 3: its parent 2",
        ),
        (
            "UPDATE conversation_messages SET parent_id = NULL WHERE id = 3",
            "the path is broken at message 3: its parent None",
        ),
        ("DELETE FROM conversation_models", "conversation 1 has a message of the model 'gpt-x'"),
    ],
)
async def test_damage_is_told(database: Database, statement: str, sentence: str) -> None:
    """Each broken rule is a sentence that names the row."""
    await say(database, await start(database, "s1"), "a", "b", said("c", model_name="gpt-x"))
    await say(database, await start(database, "s2"), "d")
    await damage(database, statement)

    assert any(sentence in problem for problem in await check(database))


def test_a_damaged_search_index_is_no_damaged_file() -> None:
    """SQLite tells of both in one list since 3.44, each version in other words."""
    of_index = (
        'fts5: corruption found reading blob 137438953473 from table "message_search"',
        "malformed inverted index for FTS5 table main.message_search",
    )
    of_file = ("Tree 5 page 5: btreeInitPage() returns error code 11",)

    assert Damage.told_by(["ok"]) == Damage()
    assert Damage.told_by([*of_index, *of_file]) == Damage(of_file, of_index)


async def test_models_that_were_not_listed_are(database: Database) -> None:
    """What an older version wrote beside this one is told, and an upgrade lists it, once."""
    long = said("long", model_name="m" * 300)
    await say(database, await start(database, "s1"), said("c", model_name="gpt-x"), "d", long)
    await say(database, await start(database, "s2"), *[said("e", model_name="gpt-x")] * 2)
    await damage(database, "DELETE FROM conversation_models WHERE model_name = 'gpt-x'")
    await damage(database, "DELETE FROM conversation_models WHERE conversation_id = 1")

    (problem, *_) = await check(database)
    assert "`officeai-proxy db upgrade`" in problem
    assert await note_forgotten(database) == 3
    assert await check(database) == []
    assert await note_forgotten(database) == 0


async def test_much_damage_stays_readable(database: Database) -> None:
    """A thousand faults of one kind are told as a few."""
    await say(database, await start(database), *(str(number) for number in range(60)))
    await damage(database, "UPDATE conversation_messages SET parent_id = NULL")

    assert len(await check(database)) == TOLD
