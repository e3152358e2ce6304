"""Which models the messages of a conversation name: kept, so that nobody has to read them all.

Rows are written in the transaction that writes the messages, and go with their conversation. An
older version, which may still write beside this one for a while, writes none.
"""

from collections.abc import Iterable
from functools import cache

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from officeai_proxy.model import LISTED_NAME
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.engine.bulk import BulkStatement
from officeai_proxy.storage.engine.upsert import upsert
from officeai_proxy.storage.tables import conversation_messages, conversation_models, conversations

_c = conversations.c
_m = conversation_messages.c
_kept = conversation_models.c

_COLUMNS = ("conversation_id", "model_name")

_MESSAGES_A_STEP = 5000


def note_models(connection: Connection, named: Iterable[tuple[int, str | None]]) -> None:
    """Remember the models of new messages, each with the id of its conversation."""
    rows = {(place, model[:LISTED_NAME]) for place, model in named if model is not None}
    _note(connection.dialect.name).run(connection, sorted(rows))


async def note_forgotten(database: Database) -> int:
    """Remember the models of messages that an older version wrote; how many it had not.

    Goes in short transactions, while others read and write.

    Raises:
        DatabaseUnavailable: the database cannot be reached right now.
    """
    async with database.read() as connection:
        newest = await connection.scalar(select(func.max(_m.id))) or 0
    count = 0
    for last in range(0, newest, _MESSAGES_A_STEP):
        forgotten = _forgotten(last, last + _MESSAGES_A_STEP)
        async with database.read() as connection:
            if (await connection.execute(forgotten.limit(1))).first() is None:
                continue
        # Whoever erases one of these conversations in this moment waits for us, or we for them.
        locked = forgotten.with_for_update(read=True, key_share=True, of=conversations)
        new = upsert(conversation_models, database.dialect.value).from_select(_COLUMNS, locked)
        async with database.write() as connection:
            count += (await connection.execute(new.on_conflict_do_nothing())).rowcount
    return count


def has_model(model: str) -> ColumnElement[bool]:
    """Whether a conversation has a message of *model*.

    The conversations of a model are looked for once, and not the models of each conversation.
    """
    named = _c.id.in_(select(_kept.conversation_id).where(_kept.model_name == model[:LISTED_NAME]))
    if len(model) < LISTED_NAME:
        return named
    return and_(named, exists().where(_m.conversation_id == _c.id, _m.model_name == model))


@cache
def _note(dialect: str) -> BulkStatement:
    new = upsert(conversation_models, dialect).on_conflict_do_nothing()
    return BulkStatement(new, _COLUMNS)


def _forgotten(last: int, up_to: int) -> Select[tuple[int, str]]:
    """The rows that are missing for messages behind the id *last* up to *up_to*."""
    name = func.substr(_m.model_name, 1, LISTED_NAME)
    is_kept = exists().where(_kept.conversation_id == _m.conversation_id, _kept.model_name == name)
    return (
        select(_m.conversation_id, name)
        .join(conversations, _c.id == _m.conversation_id)
        .where(_m.id > last, _m.id <= up_to, _m.model_name.is_not(None), ~is_kept)
    )
