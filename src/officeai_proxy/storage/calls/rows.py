"""A call in, its row of the call log out, and the statement that adds such rows."""

from typing import Protocol

from sqlalchemy import insert

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.model import CallRecord
from officeai_proxy.storage.engine.bulk import BulkRow, BulkStatement
from officeai_proxy.storage.sealing.sealed_rows import seal_error
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.tree import Thread


class LoggedCall(Protocol):
    """A line for the call log, and the conversation it belongs to if it is recorded."""

    @property
    def call(self) -> CallRecord: ...  # noqa: D102 - said above

    @property
    def thread(self) -> Thread | None: ...  # noqa: D102 - said above


_CALL_COLUMNS = (
    "id",
    "exchange_id",
    "workspace",
    "conversation_id",
    "key_id",
    "method",
    "path",
    "upstream",
    "user_identifier",
    "session_id",
    "client_ip",
    "started_at",
    "latency_ms",
    "ttft_ms",
    "status_code",
    "outcome",
    "error",
    "stream",
    "retry_count",
    "model_asked",
    "model_served",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost",
    "cached_tokens",
    "reasoning_tokens",
)
ADD_CALLS = BulkStatement(insert(exchanges), _CALL_COLUMNS)
"""Adds lines to the call log, each with its id."""


def call_row(number: int, logged: LoggedCall, sealer: Sealer | None) -> BulkRow:
    """The values of ADD_CALLS for a call; *number* is the id of its row."""
    call, usage = logged.call, logged.call.usage
    return (
        number,
        call.exchange_id,
        call.workspace,
        None if logged.thread is None else logged.thread.id,
        call.key_id,
        call.method,
        call.path,
        call.upstream,
        call.user,
        call.session,
        call.client_ip,
        call.started_at,
        call.latency_ms,
        call.ttft_ms,
        call.status,
        call.outcome.value,
        seal_error(call.error, number, sealer),
        call.stream,
        call.retry_count,
        call.model_asked,
        call.model_served,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        call.cost,
        usage.cached_tokens,
        usage.reasoning_tokens,
    )
