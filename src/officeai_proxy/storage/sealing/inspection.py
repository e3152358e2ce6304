"""Whether all that is stored opens and nothing of it is plain, in sentences; changes nothing.

It opens every text of the database, in parts, so it takes as long as reading all of it.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, func, select

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import Unopenable
from officeai_proxy.model import counted
from officeai_proxy.storage.rows import AnyRow, fitting
from officeai_proxy.storage.sealing.sealed_rows import (
    ALL_CONVERSATION_TEXTS,
    MESSAGE_TEXTS,
    conversation_place,
    error_place,
    message_place,
)
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges

PART = 200
"""Rows whose texts are in memory at once."""

LARGE_BYTES = 16 * 1024 * 1024
"""How long the texts of these rows may be together, unless it is one row."""

_c, _m, _x = conversations.c, conversation_messages.c, exchanges.c

Place = tuple[str, str | None]
"""Where a text stands, and the text."""


def sealing_faults(connection: Connection, *, told: int) -> list[str]:
    """What is wrong with what is sealed, a sentence each, *told* of each kind at most."""
    sealer = sealer_of(connection)
    if sealer is None:
        return []
    plain, broken = 0, []
    for place, stored in _places(connection):
        if stored is None:
            continue
        if sealer.key_of(stored) is None:
            plain += 1
        elif (fault := _fault(sealer, stored, place)) is not None:
            broken.append(fault)
    faults = broken[:told]
    if len(broken) > told:
        faults.append(f"and {len(broken) - told} more that cannot be opened")
    if plain:
        verb = "is" if plain == 1 else "are"
        faults.append(
            f"{counted(plain, 'text')} {verb} not encrypted: run `officeai-proxy db rotate`"
        )
    return faults


def _fault(sealer: Sealer, stored: str, place: str) -> str | None:
    try:
        sealer.open(stored, place)
    except Unopenable as exc:
        return exc.message
    return None


def _places(connection: Connection) -> Iterator[Place]:
    sizes = func.length(_m.content) + func.coalesce(func.length(_m.extra), 0)
    messages = (_m.id, _m.conversation_id, *(_m[name] for name in MESSAGE_TEXTS))
    for row in _rows(connection, select(_m.id, sizes.label("size")), select(*messages), _m.id):
        for name in MESSAGE_TEXTS:
            yield message_place(name, row.conversation_id, row.id), getattr(row, name)
    names = ALL_CONVERSATION_TEXTS
    heads = select(_c.id, func.length(_c.metadata).label("size"))
    for row in _rows(connection, heads, select(_c.id, *(_c[name] for name in names)), _c.id):
        for name in names:
            yield conversation_place(name, row.id), getattr(row, name)
    errors = select(_x.id, func.length(_x.error).label("size")).where(_x.error.is_not(None))
    for row in _rows(connection, errors, select(_x.id, _x.error), _x.id):
        yield error_place(row.id), row.error


def _rows(
    connection: Connection, sizes: Select[Any], texts: Select[Any], key: Any
) -> Iterator[AnyRow]:
    """All rows by *key*, as *texts* has them; as many at once as *sizes* allows."""
    last = 0
    while found := connection.execute(sizes.where(key > last).order_by(key).limit(PART)).all():
        ids = fitting(found, LARGE_BYTES)
        yield from connection.execute(texts.where(key.in_(ids)).order_by(key)).all()
        last = ids[-1]
