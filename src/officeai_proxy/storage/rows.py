"""Rows of the tables in, the nouns of `model` out, and the columns that this takes; no query."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeAlias, cast

from sqlalchemy import Row, Select, select

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.model import (
    ApiKey,
    CallRecord,
    Conversation,
    JsonObject,
    Limits,
    Message,
    Outcome,
    Scope,
    Usage,
)
from officeai_proxy.storage.sealing.sealed_rows import (
    open_conversation_text,
    open_error,
    open_message_texts,
)
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import rebuild

# SQLAlchemy knows the types of columns only in ORM classes.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]

_NAMES = [one.name for one in fields(Conversation)]
CONVERSATION_COLUMNS = tuple(conversations.c[name] for name in _NAMES)


def select_messages() -> Select[Any]:
    """All that `message_of` needs, with the public id of the call that brought each message."""
    call = exchanges.c.exchange_id.label("call_id")
    return select(conversation_messages, call).select_from(
        conversation_messages.outerjoin(
            exchanges, exchanges.c.id == conversation_messages.c.exchange_id
        )
    )


def fitting(rows: Iterable[AnyRow], most: int) -> list[int]:
    """The ids of the first of *rows* whose texts have no more than *most* bytes together.

    A row is its id and its size. There is one at least, if there is any.
    """
    ids: list[int] = []
    total = 0
    for number, size in rows:
        total += size or 0
        if ids and total > most:
            break
        ids.append(number)
    return ids


def json_text(value: JsonObject | None) -> str | None:
    """A JSON object as it is stored: None for an empty one."""
    return jsontext.dumps(value) if value else None


def json_object(text: str | None) -> JsonObject:
    """The JSON object stored as *text*."""
    return cast("JsonObject", jsontext.loads(text)) if text else {}


def conversation_of(row: AnyRow, sealer: Sealer | None) -> Conversation:
    """A row as a conversation; the last of its columns are CONVERSATION_COLUMNS.

    Raises:
        Unopenable: one of its texts is not what was sealed there.
    """
    values = dict(zip(_NAMES, row[-len(_NAMES) :], strict=True))
    title, metadata = (
        open_conversation_text(values[name], name, values["id"], sealer)
        for name in ("title", "metadata")
    )
    return Conversation(**{**values, "title": title, "metadata": json_object(metadata)})


def message_of(row: AnyRow, sealer: Sealer | None) -> Message:
    """A row of `select_messages` as a message.

    Raises:
        Unopenable: one of its texts is not what was sealed there.
    """
    content, metadata_text, extra = open_message_texts(row, sealer)
    metadata = json_object(metadata_text)
    if row.call_id is not None:
        metadata["exchange_id"] = str(row.call_id)
    if row.outcome is not None:
        metadata["outcome"] = row.outcome
    if row.finish_reason is not None:
        metadata["finish_reason"] = row.finish_reason
    return Message(
        id=row.id,
        parent_id=row.parent_id,
        role=row.role,
        content=content,
        model_name=row.model_name,
        token_count=row.token_count,
        timestamp=row.timestamp,
        metadata=metadata,
        raw=rebuild(row.role, content, extra),
    )


def call_of(row: AnyRow, sealer: Sealer | None) -> CallRecord:
    """A row of `exchanges` as a line of the call log.

    Raises:
        Unopenable: its error is not what was sealed there.
    """
    return CallRecord(
        exchange_id=row.exchange_id,
        workspace=row.workspace,
        key_id=row.key_id,
        method=row.method,
        path=row.path,
        upstream=row.upstream,
        started_at=row.started_at,
        latency_ms=row.latency_ms,
        outcome=Outcome(row.outcome),
        client_ip=row.client_ip,
        user=row.user_identifier,
        session=row.session_id,
        status=row.status_code,
        ttft_ms=row.ttft_ms,
        model_asked=row.model_asked,
        model_served=row.model_served,
        stream=row.stream,
        retry_count=row.retry_count,
        error=open_error(row.error, row.id, sealer),
        usage=Usage(
            row.prompt_tokens,
            row.completion_tokens,
            row.total_tokens,
            row.cached_tokens,
            row.reasoning_tokens,
        ),
        cost=row.cost,
    )


def api_key_of(row: AnyRow) -> ApiKey:
    """A row of `api_keys` as a key."""
    limits = Limits(row.rpm, row.tpm, row.concurrency)
    return ApiKey(
        id=row.id,
        name=row.name,
        digest=row.digest,
        hint=row.hint,
        workspace=row.workspace,
        scopes=frozenset(Scope(word) for word in row.scopes.split(",") if word),
        created_at=row.created_at,
        user=row.user_identifier,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        limits=None if limits == Limits() else limits,
        replaces=row.replaces,
    )
