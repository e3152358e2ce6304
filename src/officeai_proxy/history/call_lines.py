"""A line of the call log as readers get it: `CallRecord` in, JSON object or CSV cells out."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from officeai_proxy.api.lists import HasMore, NextCursor
from officeai_proxy.formats.writing.spreadsheet_text import defused
from officeai_proxy.history import examples
from officeai_proxy.model import CallRecord, Outcome
from officeai_proxy.wire import jsontext

BOM = "\ufeff"
"""Without it Excel reads UTF-8 as something else."""


class ServiceType(StrEnum):
    """What kind of call it was."""

    CHAT = "chat"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODELS = "models"
    OTHER = "other"


def service_type(path: str) -> ServiceType:
    """The kind of a call to *path*, such as `/v1/chat/completions`."""
    first = path.partition("?")[0].strip("/").removeprefix("v1/").partition("/")[0]
    try:
        return ServiceType(first)
    except ValueError:
        return ServiceType.OTHER


class CallParams(BaseModel):
    """What the call asked for."""

    model: str | None = Field(description="The model asked for.")
    stream: bool = Field(description="Whether the answer was to come in events.")


class CallResult(BaseModel):
    """What the client was told."""

    status_code: int | None = Field(description="Null when the client was told nothing.")


class CallLine(BaseModel):
    """One proxied call: names and numbers, nothing of its content."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CALL})

    time: datetime = Field(description="When the request came, UTC.")
    api: str = Field(description="Its address, such as `/v1/chat/completions`.")
    service_name: str = Field(description="The upstream's host.")
    service_type: ServiceType = Field(description="What kind of call it was.")
    method: str = Field(description="Such as `POST`.")
    params: CallParams = Field(description="What the call asked for.")
    result: CallResult = Field(description="What the client was told.")
    model: str | None = Field(description="The model served, else the one asked for.")
    user: str | None = Field(description="Whose call it was; null if nobody said so.")
    session: str | None = Field(description="What `X-Session-ID` named.")
    upstream: str = Field(description="The upstream's host.")
    latency_ms: float = Field(description="Milliseconds to the end of the reply.")
    ttft_ms: float | None = Field(description="Milliseconds to the first byte of the reply.")
    prompt_tokens: int | None = Field(description="Tokens of what was asked.")
    completion_tokens: int | None = Field(description="Tokens of what was answered.")
    total_tokens: int | None = Field(description="Both together, as the upstream told them.")
    cached_tokens: int | None = Field(
        description="Of the prompt's tokens, those read from a cache."
    )
    reasoning_tokens: int | None = Field(
        description="Of the answer's tokens, those that the model thought with."
    )
    cost: float | None = Field(description="US dollars; null when no price is known.")
    stream: bool = Field(description="Whether the answer was to come in events.")
    outcome: Outcome = Field(description="How the call ended.")
    error: str | None = Field(description="What went wrong, in words.")
    exchange_id: str = Field(description="The call's id: what `X-Exchange-ID` told the client.")
    key_id: str = Field(description="The id of the key that was used.")
    client_ip: str = Field(description="Where the call came from.")

    @classmethod
    def of(cls, record: CallRecord) -> Self:
        """The line that tells *record*."""
        return cls(
            time=record.started_at,
            api=record.path,
            service_name=record.upstream,
            service_type=service_type(record.path),
            method=record.method,
            params=CallParams(model=record.model_asked, stream=record.stream),
            result=CallResult(status_code=record.status),
            model=record.model_served or record.model_asked,
            user=record.user,
            session=record.session,
            upstream=record.upstream,
            latency_ms=record.latency_ms,
            ttft_ms=record.ttft_ms,
            prompt_tokens=record.usage.prompt_tokens,
            completion_tokens=record.usage.completion_tokens,
            total_tokens=record.usage.total_tokens,
            cached_tokens=record.usage.cached_tokens,
            reasoning_tokens=record.usage.reasoning_tokens,
            cost=record.cost,
            stream=record.stream,
            outcome=record.outcome,
            error=record.error,
            exchange_id=str(record.exchange_id),
            key_id=record.key_id,
            client_ip=record.client_ip,
        )

    def cells(self) -> dict[str, object]:
        """The same as flat columns."""
        line: dict[str, Any] = self.model_dump(mode="json")
        params, result = line.pop("params"), line.pop("result")
        return {**line, "model_asked": params["model"], "status_code": result["status_code"]}


class CallLog(BaseModel):
    """A page of the call log, newest first."""

    history: list[CallLine] = Field(description="The calls.")
    has_more: HasMore
    next_cursor: NextCursor


def as_jsonl(lines: Sequence[CallLine]) -> str:
    """One JSON object a line."""
    return "".join(jsontext.dumps_readable(line.model_dump(mode="json")) + "\n" for line in lines)


def csv_head() -> str:
    """How a table begins: the mark of UTF-8, and the names of the columns."""
    text = io.StringIO(newline="")
    text.write(BOM)
    csv.writer(text).writerow(_COLUMNS)
    return text.getvalue()


def csv_rows(lines: Sequence[CallLine]) -> str:
    """Rows of a table, without its header; no cell is run as a formula."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    for line in lines:
        cells = line.cells()
        table.writerow([_defused(cells[column]) for column in _COLUMNS])
    return text.getvalue()


_COLUMNS = (
    "time",
    "api",
    "service_name",
    "service_type",
    "method",
    "status_code",
    "model",
    "model_asked",
    "user",
    "session",
    "upstream",
    "latency_ms",
    "ttft_ms",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost",
    "stream",
    "outcome",
    "error",
    "exchange_id",
    "key_id",
    "client_ip",
    "cached_tokens",
    "reasoning_tokens",
)


def _defused(cell: object) -> object:
    """Text that a spreadsheet would run, made safe as in exports; numbers stay numbers."""
    return defused(cell) if isinstance(cell, str) else cell
