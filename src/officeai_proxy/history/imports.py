"""The route that imports conversations from a file."""

from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Writer
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import NAME_SCHEMA, label_or_none
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.history import examples
from officeai_proxy.history.uploads import uploaded
from officeai_proxy.imports import Account, Importer
from officeai_proxy.settings import Settings
from officeai_proxy.storage.audit.chain import Action

router = APIRouter(tags=["Import"], route_class=JsonRoute, default_response_class=JsonAnswer)

_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

# Generators of clients make code of `{}`, and of a union with a list, that fails at each call.
_OBJECT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": True,
    "description": "A file that is one object; one that is a list, such as ChatGPT's, is sent "
    "as application/octet-stream.",
}

_BODY: dict[str, Any] = {
    "required": True,
    "description": "The file itself; what it is shows in its content, not in this type.",
    "content": {
        "application/json": {"schema": _OBJECT, "examples": examples.IMPORT},
        "application/jsonl": _FILE,
        "application/zip": _FILE,
        "application/octet-stream": _FILE,
        "text/markdown": _FILE,
    },
}

ForUser = Annotated[
    str | None,
    AfterValidator(label_or_none("user_identifier")),
    WithJsonSchema(NAME_SCHEMA),
    Query(description="Whose the conversations are of which the file does not say it."),
]


class FailureOut(BaseModel):
    """A conversation that could not be imported."""

    model_config = ConfigDict(from_attributes=True)

    item: int = Field(description="Which one of the file, counted from 1.")
    reason: str = Field(description="What is wrong with it.")


class ImportReport(BaseModel):
    """What has come of an import."""

    model_config = ConfigDict(from_attributes=True)

    imported: int = Field(description="Conversations that are new, or have grown.")
    skipped: int = Field(description="Conversations that were there already, whole.")
    failed: int = Field(description="Conversations that could not be imported.")
    messages: int = Field(description="Messages that were added.")
    errors: list[FailureOut] = Field(description="Why some failed; the first 100 of them.")

    @classmethod
    def of(cls, account: Account) -> Self:
        """The answer that tells *account*."""
        return cls.model_validate(account)


@router.post(
    "/conversations/import",
    summary="Import conversations from a file",
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
    openapi_extra={"requestBody": _BODY},
)
async def import_conversations(
    request: Request,
    trail: Annotated[Trail, audited(Action.IMPORT)],
    caller: Writer,
    services: Fresh,
    user_identifier: ForUser = None,
) -> ImportReport:
    """Send the file as the body: an export of this proxy (`json`, `jsonl`, `md`, or a `zip` of
    them), ChatGPT's `conversations.json` or its ZIP, Open WebUI's chat export, or a chat that
    Cursor exported as Markdown.

    To import a file again changes nothing; to import a longer export adds the rest. What cannot be
    imported fails alone and is told in `errors`. Without `user_identifier`, conversations for which
    the file names nobody belong to `imported`.
    """
    user = check_user(caller, user_identifier, param="user_identifier")
    settings = services.settings
    limit, is_sealed = settings.max_import_bytes, bool(settings.encryption_keys)
    async with uploaded(
        request, directory=settings.data_dir, limit=limit, is_sealed=is_sealed
    ) as file:
        importer = Importer(services.database, caller, user=user)
        account = await importer.run_on(trail, file, _reading(settings, services))
    return ImportReport.of(account)


def _reading(settings: Settings, services: Fresh) -> Reading:
    return Reading(
        now=services.clock(),
        item_bytes=settings.max_import_item_bytes,
        total_bytes=settings.max_import_bytes,
    )
