"""Routes of exports: a conversation, all that a filter leaves, all of one user; as files."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator

from officeai_proxy.api.answers import problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Exporter, Fresh, Services
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import SessionPath, UserPath, UserQuery
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.errors import NotFound
from officeai_proxy.exports import Export, Order, open_export
from officeai_proxy.formats.registry import DEFAULT_INNER, FORMATS, INNER_FORMATS, format_of
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.history.conversations import Filters
from officeai_proxy.history.downloads import Download
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.conversations import ConversationFilter, Deleted

router = APIRouter(tags=["Export"], route_class=JsonRoute)

_OBJECT = {"type": "object"}
_BINARY = {"type": "string", "format": "binary"}

_FILES: dict[int | str, dict[str, Any]] = {
    int(HTTPStatus.OK): {
        "description": "The file. An answer that breaks off is an export that failed.",
        "content": {
            one.media_type: {"schema": _OBJECT if one.name == "json" else _BINARY}
            for one in FORMATS.values()
        },
    }
}
_ONE = {
    **_FILES,
    **problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS),
}
_ALL = {**_FILES, **problems(HTTPStatus.TOO_MANY_REQUESTS)}
_OF_USER = {**_FILES, **problems(HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS)}

_CHOICE = "; ".join(
    f"`{one.name}`: {one.title[0].lower()}{one.title[1:]}" for one in FORMATS.values()
)


def _known_format(name: str) -> str:
    return format_of(name).name


def _known_inner(name: str) -> str:
    return format_of(name, param="inner").name


FormatQuery = Annotated[
    str,
    AfterValidator(_known_format),
    Query(description=f"{_CHOICE}.", json_schema_extra={"enum": list(FORMATS)}),
]
InnerQuery = Annotated[
    str,
    AfterValidator(_known_inner),
    Query(
        description="The format of the files in a ZIP.",
        json_schema_extra={"enum": list(INNER_FORMATS)},
    ),
]
CsvSafe = Annotated[
    bool,
    Query(
        description="`off`: cells of CSV as stored, also those a spreadsheet takes for formulas."
    ),
]


@router.get("/conversations/export-all", summary="Export all conversations", responses=_ALL)
async def export_all(
    filters: Annotated[Filters, Depends()],
    trail: Annotated[Trail, audited(Action.EXPORT_ALL)],
    caller: Exporter,
    services: Fresh,
    format: FormatQuery = "json",  # noqa: A002 - the parameter's name
    inner: InnerQuery = DEFAULT_INNER,
    csv_safe: CsvSafe = True,
) -> Response:
    """Every conversation of the workspace that the filters leave, as one file, oldest first."""
    now = services.clock()
    options = Options(exported_at=now, csv_safe=csv_safe, inner=inner, filters=_told(filters))
    order = Order(format=format, options=options, conversations=filters.of(caller))
    return _download(services, caller, order, trail, name=lambda _: f"conversations {now:%Y-%m-%d}")


@router.get("/conversations/{session_id}/export", summary="Export a conversation", responses=_ONE)
async def export_conversation(
    session_id: SessionPath,
    trail: Annotated[Trail, audited(Action.EXPORT_CONVERSATION)],
    caller: Exporter,
    services: Fresh,
    format: FormatQuery = "json",  # noqa: A002 - the parameter's name
    inner: InnerQuery = DEFAULT_INNER,
    csv_safe: CsvSafe = True,
    user_identifier: UserQuery = None,
) -> Response:
    """One conversation as a file with its title for a name."""
    user = check_user(caller, user_identifier, param="user_identifier")
    options = Options(
        exported_at=services.clock(),
        csv_safe=csv_safe,
        inner=inner,
        filters={"session_id": session_id},
    )
    order = Order(
        format=format,
        options=options,
        conversations=ConversationFilter(user_identifier=user),
        session_id=session_id,
    )
    return _download(services, caller, order, trail, name=lambda export: export.title or session_id)


@router.get("/users/{user}/export", summary="Export everything of a user", responses=_OF_USER)
async def export_user(
    user: UserPath,
    trail: Annotated[Trail, audited(Action.EXPORT_USER)],
    caller: Exporter,
    services: Fresh,
    format: FormatQuery = "json",  # noqa: A002 - the parameter's name
    inner: InnerQuery = DEFAULT_INNER,
    csv_safe: CsvSafe = True,
) -> Response:
    """All that is stored of one user, what is in the bin included, as one file."""
    check_user(caller, user, param="user")
    options = Options(
        exported_at=services.clock(),
        csv_safe=csv_safe,
        inner=inner,
        filters={"user_identifier": user, "deleted": Deleted.WITH.value},
    )
    wanted = ConversationFilter(user_identifier=user, deleted=Deleted.WITH)
    order = Order(format=format, options=options, conversations=wanted)
    opening = _of_known_user(services, caller, order, user)
    return Download(services.export_slots, opening, name=lambda _: user, trail=trail)


def _download(
    services: Services, caller: Caller, order: Order, trail: Trail, *, name: Callable[[Export], str]
) -> Download:
    opening = open_export(services.database, caller, order)
    return Download(services.export_slots, opening, name=name, trail=trail)


@asynccontextmanager
async def _of_known_user(
    services: Services, caller: Caller, order: Order, user: str
) -> AsyncIterator[Export]:
    async with open_export(services.database, caller, order) as export:
        if export.expected.conversations == 0:
            raise NotFound(f"There is nothing of a user {user!r} in this workspace.")
        yield export


def _told(filters: Filters) -> dict[str, str]:
    """The filters that are set, for an archive's manifest."""
    values = {field.name: getattr(filters, field.name) for field in fields(filters)}
    return {name: _word(value) for name, value in values.items() if value is not None}


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value.value) if isinstance(value, Enum) else str(value)
