"""The route of the call log: every proxied call, newest first, without its content."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BeforeValidator

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader, Slots
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import MAX_LIMIT, Cursor, plain_digits
from officeai_proxy.audit import Trail
from officeai_proxy.history import examples
from officeai_proxy.history.call_filters import Filters
from officeai_proxy.history.call_lines import CallLine, CallLog, as_jsonl, csv_head, csv_rows
from officeai_proxy.history.call_stream import CallPages, CallStream, Written
from officeai_proxy.storage.audit.chain import Action

router = APIRouter(tags=["Calls"], route_class=JsonRoute, default_response_class=JsonAnswer)

DEFAULT_LIMIT = 100
"""Calls of a page of JSON."""

OptionalLimit = Annotated[
    int | None,
    Query(
        ge=1,
        le=MAX_LIMIT,
        description=f"Calls of one page, 1 to {MAX_LIMIT}; JSON has {DEFAULT_LIMIT} without it.",
    ),
    BeforeValidator(plain_digits),
]

NEXT_CURSOR = "X-Next-Cursor"
"""Where the next page's cursor is when the body has no room for it."""


class CallFormat(StrEnum):
    """How the call log is written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


_FORMATS: dict[int | str, dict[str, Any]] = {
    int(HTTPStatus.OK): {
        "description": (
            f"A page; as JSON Lines or CSV its cursor is in the header {NEXT_CURSOR}, and without "
            "`limit` it is the whole log."
        ),
        "content": {
            "application/json": {
                "example": {"history": [examples.CALL], "has_more": False, "next_cursor": None}
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.get(
    "/history", summary="List calls", response_model=CallLog, responses={**_FORMATS, **problems()}
)
async def list_calls(
    filters: Annotated[Filters, Depends()],
    trail: Annotated[Trail, audited(Action.LIST_CALLS)],
    caller: Reader,
    services: Fresh,
    format: Annotated[  # noqa: A002 - the parameter's name
        CallFormat, Query(description="A page as JSON; or the whole log, without `limit`.")
    ] = CallFormat.JSON,
    limit: OptionalLimit = None,
    cursor: Cursor = None,
) -> CallLog | Response:
    """Every call that went through the proxy, newest first: names and numbers, no content.

    As JSON Lines or CSV without `limit` all of them come in one answer.
    """
    wanted = filters.of(caller)
    pages = CallPages(services, caller, wanted)
    is_whole = limit is None and format is not CallFormat.JSON
    page = await pages.page(cursor, limit=MAX_LIMIT if is_whole else limit or DEFAULT_LIMIT)
    detail = {"calls": "all" if is_whole else len(page.items), "format": format.value}
    await trail.leave(user=wanted.user, detail=detail, is_sealed=not page.items)
    if is_whole:
        pieces = pages.behind(page, _written(format))
        return _stream(pieces, format, slots=services.export_slots)
    lines = [CallLine.of(record) for record in page.items]
    if format is CallFormat.JSON:
        return CallLog(history=lines, has_more=page.has_more, next_cursor=page.next_cursor)
    headers = {} if page.next_cursor is None else {NEXT_CURSOR: page.next_cursor}
    text = _head(format) + _written(format)(lines)
    return Response(text, headers=headers | _naming(format), media_type=_MEDIA[format])


def _stream(pieces: AsyncGenerator[bytes, None], wanted: CallFormat, *, slots: Slots) -> CallStream:
    async def headed() -> AsyncGenerator[bytes, None]:
        yield _head(wanted).encode()
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    headers = _naming(wanted)
    return CallStream(headed(), slots=slots, headers=headers, media_type=_MEDIA[wanted])


def _written(wanted: CallFormat) -> Written:
    return csv_rows if wanted is CallFormat.CSV else as_jsonl


def _head(wanted: CallFormat) -> str:
    return csv_head() if wanted is CallFormat.CSV else ""


def _naming(wanted: CallFormat) -> dict[str, str]:
    if wanted is not CallFormat.CSV:
        return {}
    return {"Content-Disposition": 'attachment; filename="history.csv"'}


_MEDIA = {CallFormat.JSONL: "application/x-ndjson", CallFormat.CSV: "text/csv; charset=utf-8"}
