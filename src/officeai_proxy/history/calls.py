"""The route of the call log: every proxied call, newest first, without its content."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BeforeValidator

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.values import (
    Cursor,
    Limit,
    MomentQuery,
    TextQuery,
    label_or_none,
    plain_digits,
)
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.history import examples
from officeai_proxy.history.call_lines import CallLine, CallLog, as_csv, as_jsonl
from officeai_proxy.model import Caller, Outcome
from officeai_proxy.storage.calls import CallFilter, CallRepository

router = APIRouter(tags=["Calls"], route_class=JsonRoute, default_response_class=JsonAnswer)

NEXT_CURSOR = "X-Next-Cursor"
"""Where the next page's cursor is when the body has no room for it."""


class CallFormat(StrEnum):
    """How the call log is written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the call log may be narrowed down to."""

    user: Annotated[str | None, AfterValidator(label_or_none("user")), Query()] = None
    session: TextQuery = None
    model: Annotated[TextQuery, Query(description="Asked for or served.")] = None
    outcome: Outcome | None = None
    status: Annotated[int | None, BeforeValidator(plain_digits), Query(ge=100, le=599)] = None
    api: Annotated[TextQuery, Query(description="Such as `/v1/chat/completions`.")] = None
    exchange_id: UUID | None = None
    after: MomentQuery = None
    before: MomentQuery = None

    def of(self, caller: Caller) -> CallFilter:
        """The same in storage's words, within what *caller* may see."""
        return CallFilter(
            user=check_user(caller, self.user, param="user"),
            session=self.session,
            model=self.model,
            outcome=self.outcome,
            api=self.api,
            exchange_id=None if self.exchange_id is None else str(self.exchange_id),
            status=self.status,
            after=self.after,
            before=self.before,
        )


_FORMATS: dict[int | str, dict[str, Any]] = {
    int(HTTPStatus.OK): {
        "description": f"A page. As JSON Lines or CSV its cursor is in the header {NEXT_CURSOR}.",
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
    "/history",
    summary="List calls",
    response_model=CallLog,
    responses={**_FORMATS, **problems()},
)
async def list_calls(
    filters: Annotated[Filters, Depends()],
    caller: Reader,
    services: Fresh,
    format: Annotated[CallFormat, Query()] = CallFormat.JSON,  # noqa: A002 - the parameter's name
    limit: Limit = 100,
    cursor: Cursor = None,
) -> CallLog | Response:
    """Every call that went through the proxy, newest first: names and numbers, no content."""
    async with services.database.read() as connection:
        page = await CallRepository(connection, caller).page(
            filters.of(caller), page_request(limit=limit, cursor=cursor)
        )
    log = CallLog(
        history=[CallLine.of(record) for record in page.items],
        has_more=page.has_more,
        next_cursor=page.next_cursor,
    )
    return log if format is CallFormat.JSON else _as_text(log, format)


def _as_text(log: CallLog, wanted: CallFormat) -> Response:
    headers = {} if log.next_cursor is None else {NEXT_CURSOR: log.next_cursor}
    if wanted is CallFormat.JSONL:
        return Response(as_jsonl(log.history), headers=headers, media_type="application/x-ndjson")
    headers["Content-Disposition"] = 'attachment; filename="history.csv"'
    return Response(as_csv(log.history), headers=headers, media_type="text/csv")
