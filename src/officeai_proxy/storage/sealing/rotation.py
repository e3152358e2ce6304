"""Everything that is stored sealed with the present key, in small transactions while others work.

It seals what is plain from before encryption was turned on, and seals anew what another key has
sealed. What is done is done: whoever stopped it half way runs it again, and it goes on from there.
A key is given up only after a whole pass has found nothing that needs it; nobody can seal with it
any more by then, because each transaction that writes asks which key is the present one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import ConfigurationError, DatabaseUnavailable
from officeai_proxy.model import JsonObject
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.rows import AnyRow, fitting
from officeai_proxy.storage.sealing.sealed_rows import (
    ALL_CONVERSATION_TEXTS,
    CONVERSATION_TEXTS,
    MESSAGE_TEXTS,
    conversation_place,
    error_place,
    message_place,
)
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search import index as search_index
from officeai_proxy.storage.search.documents import Document
from officeai_proxy.storage.tables import (
    conversation_messages,
    conversations,
    encryption_keys,
    exchanges,
)
from officeai_proxy.wire import jsontext

BATCH = 100
"""Rows of one transaction; whoever records or reads waits no longer than for these."""

LARGE_BYTES = 4 * 1024 * 1024
"""How much text one transaction takes; a single message may be larger."""

_TRIES = 20

_c, _m, _x, _k = conversations.c, conversation_messages.c, exchanges.c, encryption_keys.c


def _size(*texts: ColumnElement[Any]) -> ColumnElement[int]:
    """How long *texts* of a row are together; pictures, for one, are not in its content."""
    first, *others = (func.coalesce(func.length(text), 0) for text in texts)
    return sum(others, start=first)


_SIZES: Mapping[Table, ColumnElement[int]] = {
    conversation_messages: _size(*(_m[name] for name in MESSAGE_TEXTS)),
    conversations: _size(*(_c[name] for name in CONVERSATION_TEXTS)),
    exchanges: _size(_x.error),
}

Told = Callable[[int], None]
Change = Mapping[str, object]


async def seal_all(database: Database, *, told: Told) -> int:
    """Seal every row that is not sealed with the present key; how many those were.

    *told* hears of each batch. Runs until a whole pass has found nothing more to do.

    Raises:
        ConfigurationError: there is no key.
        DatabaseUnavailable: the database stayed away.
        Unopenable: a value was changed or moved; nothing is lost, `db check` names all of them.
    """
    total = 0
    while count := await _pass(database, told=told):
        total += count
    return total


async def retire(database: Database) -> tuple[str, ...]:
    """Give up all keys but the present one; the ids of those that nothing stored needs any more."""
    async with database.write() as connection:
        sealer = _sealer(connection)
        others = select(_k.key_id).where(_k.key_id != sealer.current).order_by(_k.key_id)
        gone = tuple((await connection.execute(others)).scalars())
        await connection.execute(update(encryption_keys).values(takes_plain=False))
        await connection.execute(delete(encryption_keys).where(_k.key_id.in_(gone)))
    return gone


async def _pass(database: Database, *, told: Told) -> int:
    count = 0
    for table, work in (
        (conversation_messages, _seal_messages),
        (conversations, _seal_conversations),
        (exchanges, _seal_errors),
    ):
        last = 0
        while ids := await _next(database, table, last):
            changed = await _patiently(database, work, ids)
            count, last = count + changed, ids[-1]
            if changed:
                told(changed)
    return count


async def _next(database: Database, table: Table, last: int) -> Sequence[int]:
    """The ids of the next rows of *table* that may have to be sealed, behind the id *last*."""
    async with database.read() as connection:
        current = _sealer(connection).current
        rows = select(table.c.id, _SIZES[table].label("size")).where(table.c.id > last)
        if table is conversation_messages:
            rows = rows.where(or_(_m.sealed_with.is_(None), _m.sealed_with != current))
        elif table is exchanges:
            rows = rows.where(_x.error.is_not(None))
        found = (await connection.execute(rows.order_by(table.c.id).limit(BATCH))).all()
    return fitting(found, LARGE_BYTES)


Work = Callable[[Connection, Sequence[int], Sealer], int]


async def _patiently(database: Database, work: Work, ids: Sequence[int]) -> int:
    """Do a batch, again when another transaction was in the way."""
    for _ in range(_TRIES):
        try:
            return await _once(database, work, ids)
        except DatabaseUnavailable:
            continue
    return await _once(database, work, ids)


async def _once(database: Database, work: Work, ids: Sequence[int]) -> int:
    async with database.write() as connection:
        return await connection.run_sync(work, ids, _sealer(connection))


def _sealer(connection: AsyncConnection) -> Sealer:
    sealer = sealer_of(connection)
    if sealer is None:
        raise ConfigurationError("OFFICEAI_ENCRYPTION_KEYS: there is no key to encrypt with")
    return sealer


def _seal_messages(connection: Connection, ids: Sequence[int], sealer: Sealer) -> int:
    owner = (_c.workspace, _c.user_identifier)
    rows = (
        select(conversation_messages, *owner)
        .join(conversations, _c.id == _m.conversation_id)
        .where(_m.id.in_(ids), or_(_m.sealed_with.is_(None), _m.sealed_with != sealer.current))
        .order_by(_m.id)
        .with_for_update(of=conversation_messages)
    )
    found = connection.execute(rows).all()
    changes, plain = [], []
    for row in found:
        texts = {
            column: _resealed(
                getattr(row, column), message_place(column, row.conversation_id, row.id), sealer
            )
            for column in MESSAGE_TEXTS
        }
        identity = row.identity
        if row.sealed_with is None:
            identity = sealer.mask(identity, row.id)
            plain.append(row)
        changes.append({"b_id": row.id, "b_identity": identity, **_bound(texts)})
    if changes:
        fixed = {"sealed_with": sealer.current, "identity": bindparam("b_identity")}
        _change(connection, conversation_messages, changes, MESSAGE_TEXTS, fixed)
    hidden = [Document(r.id, r.workspace, r.user_identifier, r.role, r.content) for r in plain]
    search_index.hide_words(connection, hidden, sealer)
    return len(changes)


def _seal_conversations(connection: Connection, ids: Sequence[int], sealer: Sealer) -> int:
    columns = ALL_CONVERSATION_TEXTS
    rows = select(_c.id, _c.leaf_chain, *(_c[name] for name in columns)).where(_c.id.in_(ids))
    changes: list[Change] = []
    for row in connection.execute(rows.order_by(_c.id).with_for_update()).all():
        if _is_done(row, columns, sealer):
            continue
        texts = {name: getattr(row, name) for name in columns}
        if row.leaf_chain is not None:
            known = jsontext.loads(texts["instructions"] or "[]")
            about: JsonObject = {"chain": row.leaf_chain, "instructions": known}
            texts["instructions"] = jsontext.dumps(about)
        sealed = {
            name: _resealed(text, conversation_place(name, row.id), sealer)
            for name, text in texts.items()
        }
        changes.append({"b_id": row.id, **_bound(sealed)})
    if changes:
        _change(connection, conversations, changes, columns, {"leaf_chain": None})
    return len(changes)


def _is_done(row: AnyRow, columns: Sequence[str], sealer: Sealer) -> bool:
    texts = [text for name in columns if (text := getattr(row, name)) is not None]
    return row.leaf_chain is None and all(sealer.key_of(text) == sealer.current for text in texts)


def _seal_errors(connection: Connection, ids: Sequence[int], sealer: Sealer) -> int:
    rows = select(_x.id, _x.error).where(_x.id.in_(ids), _x.error.is_not(None))
    found = connection.execute(rows.order_by(_x.id).with_for_update()).all()
    changes: list[Change] = [
        {"b_id": row.id, "b_error": _resealed(row.error, error_place(row.id), sealer)}
        for row in found
        if sealer.key_of(row.error) != sealer.current
    ]
    if changes:
        _change(connection, exchanges, changes, ("error",), {})
    return len(changes)


def _resealed(stored: str | None, place: str, sealer: Sealer) -> str | None:
    """*stored* sealed with the present key, whatever it is now; null stays null."""
    if stored is None or sealer.key_of(stored) == sealer.current:
        return stored
    plain = stored if sealer.key_of(stored) is None else sealer.open(stored, place)
    return sealer.seal(plain, place)


def _bound(texts: Mapping[str, str | None]) -> dict[str, str | None]:
    return {f"b_{name}": text for name, text in texts.items()}


def _change(
    connection: Connection,
    table: Table,
    changes: Sequence[Change],
    columns: Sequence[str],
    fixed: Mapping[str, object],
) -> None:
    """Write the texts of *columns* from *changes*, and *fixed* into every row."""
    values: dict[str, object] = {name: bindparam(f"b_{name}") for name in columns}
    statement = update(table).where(table.c.id == bindparam("b_id")).values(values | dict(fixed))
    connection.execute(statement, changes)
