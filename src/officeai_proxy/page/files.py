"""Files out and in: the sheets that ask which format, the downloads, and importing a file."""

from importlib.util import find_spec
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from officeai_proxy.auth.permissions import check_user
from officeai_proxy.exports import Order, open_export
from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.formats.registry import FORMATS, INNER_FORMATS, format_of
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.history.downloads import Download
from officeai_proxy.history.uploads import uploaded
from officeai_proxy.imports import Importer
from officeai_proxy.page.desk import ExportingDesk, WritingDesk
from officeai_proxy.page.listing import Choice, told
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.conversations.transcripts import TranscriptRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()

FormatName = Annotated[str, Query(max_length=20)]

_FOR_ALL = ("zip", "json", "xlsx", "csv", "html", "md", "txt", "jsonl", "openai", "parquet")
_FOR_ONE = ("md", "html", "json", "txt", "csv", "xlsx", "jsonl", "openai", "parquet")


def _offered(names: tuple[str, ...]) -> list[str]:
    """Those of *names* that can be written here: Parquet needs a package that may be missing."""
    has_arrow = find_spec("pyarrow") is not None
    return [name for name in names if name in FORMATS and (name != "parquet" or has_arrow)]


@router.get("/ui/export")
async def ask_format(desk: ExportingDesk, chosen: Choice) -> Response:
    """The sheet that exports all conversations, or those that the filters leave."""
    async with desk.services.database.read() as connection:
        repository = ConversationRepository(connection, desk.caller)
        page = await repository.page(chosen.of(desk), PageRequest(limit=1))
    return await desk.show(
        "sheet_export.html",
        chosen=chosen,
        count=page.total,
        formats=_offered(_FOR_ALL),
        inner_formats=[name for name in _offered(_FOR_ONE) if name in INNER_FORMATS],
    )


@router.get("/ui/download")
async def download_all(
    desk: ExportingDesk,
    chosen: Choice,
    format: FormatName = "zip",  # noqa: A002 - the field's name
    inner: FormatName = "md",
) -> Response:
    """All conversations, or those that the filters leave, as one file that streams."""
    wanted = chosen.of(desk)
    now = desk.services.clock()
    format_of(format)
    format_of(inner, param="inner")
    options = Options(exported_at=now, inner=inner, filters=told(wanted))
    order = Order(format=format, options=options, conversations=wanted)
    opening = open_export(desk.services.database, desk.caller, order)
    name = f"conversations {now.astimezone(desk.zone):%Y-%m-%d}"
    trail = desk.trail(Action.EXPORT_ALL)
    return Download(desk.services.export_slots, opening, name=lambda _: name, trail=trail)


@router.get("/ui/c/{number}/export")
async def ask_format_of_one(desk: ExportingDesk, number: int) -> Response:
    """The sheet that exports one conversation."""
    async with desk.services.database.read() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
    return await desk.show(
        "sheet_export_one.html",
        conversation=conversation,
        formats=_offered(_FOR_ONE),
    )


@router.get("/ui/c/{number}/download")
async def download_one(
    desk: ExportingDesk,
    number: int,
    format: FormatName = "md",  # noqa: A002 - the field's name
) -> Response:
    """One conversation as a file with its title for a name."""
    format_of(format)
    async with desk.services.database.read() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
    order = Order(
        format=format,
        options=Options(
            exported_at=desk.services.clock(), filters={"session_id": conversation.session_id}
        ),
        conversations=ConversationFilter(user_identifier=conversation.user_identifier),
        session_id=conversation.session_id,
        conversation_id=number,
    )
    opening = open_export(desk.services.database, desk.caller, order)
    session = conversation.session_id
    return Download(
        desk.services.export_slots,
        opening,
        name=lambda export: export.title or session,
        trail=desk.trail(Action.EXPORT_CONVERSATION),
    )


@router.get("/ui/import")
async def ask_file(desk: WritingDesk) -> Response:
    """The sheet that takes a file."""
    return await desk.show("sheet_import.html")


@router.post("/ui/import")
async def take_file(
    desk: WritingDesk, request: Request, user: Annotated[str, Query(max_length=255)] = ""
) -> Response:
    """Import the file that is the body; a report of what came of it, as a part of the page."""
    owner = check_user(desk.caller, user.strip() or None, param="user")
    settings = desk.services.settings
    reading = Reading(
        now=desk.services.clock(),
        item_bytes=settings.max_import_item_bytes,
        total_bytes=settings.max_import_bytes,
    )
    limit = settings.max_import_bytes
    is_sealed = bool(settings.encryption_keys)
    async with uploaded(
        request, directory=settings.data_dir, limit=limit, is_sealed=is_sealed
    ) as file:
        importer = Importer(desk.services.database, desk.caller, user=owner)
        account = await importer.run_on(desk.trail(Action.IMPORT), file, reading)
    faults = [(failure.item, desk.told(failure.reason)) for failure in account.errors]
    return await desk.show("part_import.html", account=account, faults=faults)
