"""Which models the messages of a conversation name: kept, so that nobody has to read them all.

Rows are written in the transaction that writes the messages, and go with their conversation.
"""

from collections.abc import Iterable
from functools import cache

from sqlalchemy import ColumnElement, Connection, and_, exists, select

from officeai_proxy.model import LISTED_NAME
from officeai_proxy.storage.bulk import BulkStatement
from officeai_proxy.storage.tables import conversation_messages, conversation_models, conversations
from officeai_proxy.storage.upsert import upsert

_c = conversations.c
_m = conversation_messages.c
_kept = conversation_models.c


def note_models(connection: Connection, named: Iterable[tuple[int, str | None]]) -> None:
    """Remember the models of new messages, each with the id of its conversation."""
    rows = {(place, model[:LISTED_NAME]) for place, model in named if model is not None}
    _note(connection.dialect.name).run(connection, sorted(rows))


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
    return BulkStatement(new, ("conversation_id", "model_name"))
