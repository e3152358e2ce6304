"""A call as a row of the call log: every value under its own name; no database."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from officeai_proxy.model import CallRecord, Outcome, Usage
from officeai_proxy.storage.calls.rows import ADD_CALLS, call_row
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.tree import Thread

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CALL = CallRecord(
    exchange_id=UUID(int=1),
    workspace="a workspace",
    key_id="a key",
    method="POST",
    path="/v1/chat/completions",
    upstream="an upstream",
    started_at=NOW,
    latency_ms=1.5,
    outcome=Outcome.UPSTREAM_ERROR,
    client_ip="192.0.2.1",
    user="a user",
    session="a session",
    status=502,
    ttft_ms=2.5,
    model_asked="asked",
    model_served="served",
    stream=True,
    retry_count=3,
    error="an error",
    usage=Usage(11, 12, 23, cached_tokens=4, reasoning_tokens=5),
    cost=0.5,
)


class _Logged:
    def __init__(self, call: CallRecord, thread: Thread | None = None) -> None:
        self.call = call
        self.thread = thread


def _row(call: CallRecord, thread: Thread | None = None) -> dict[str, object]:
    return dict(zip(ADD_CALLS.names, call_row(7, _Logged(call, thread), None), strict=True))


def test_every_column_is_written() -> None:
    """No column of the call log is forgotten."""
    assert sorted(ADD_CALLS.names) == sorted(exchanges.c.keys())


def test_call_that_is_not_recorded() -> None:
    """It belongs to no conversation, and what is not known is null."""
    row = _row(replace(CALL, user=None, session=None, cost=None, usage=Usage()))

    assert [name for name, value in row.items() if value is None] == [
        "conversation_id",
        "user_identifier",
        "session_id",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cost",
        "cached_tokens",
        "reasoning_tokens",
    ]


def test_values_stand_under_their_names() -> None:
    """Each value is in the column that is called so."""
    thread = Thread(
        workspace="", user="", session="", created_at=NOW, updated_at=NOW, id=9, title=None
    )

    assert _row(CALL, thread) == {
        "id": 7,
        "exchange_id": UUID(int=1),
        "workspace": "a workspace",
        "conversation_id": 9,
        "key_id": "a key",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "an upstream",
        "user_identifier": "a user",
        "session_id": "a session",
        "client_ip": "192.0.2.1",
        "started_at": NOW,
        "latency_ms": 1.5,
        "ttft_ms": 2.5,
        "status_code": 502,
        "outcome": "upstream_error",
        "error": "an error",
        "stream": True,
        "retry_count": 3,
        "model_asked": "asked",
        "model_served": "served",
        "prompt_tokens": 11,
        "completion_tokens": 12,
        "total_tokens": 23,
        "cost": 0.5,
        "cached_tokens": 4,
        "reasoning_tokens": 5,
    }
