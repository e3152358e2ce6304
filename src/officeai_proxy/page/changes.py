"""Changes to conversations: rename, to the bin and back, delete for good, clear a user's history.

What is to be changed is shown, so a key needs the scope `read` for them beside `write`.
Each answers with the address to read next, so that going back or loading again repeats nothing.
"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError

from officeai_proxy.api.values import PlainText
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import Conversation
from officeai_proxy.page.desk import Desk, EditingDesk, see_other
from officeai_proxy.page.forms import fields_of
from officeai_proxy.page.listing import Choice, Chosen
from officeai_proxy.storage.audit.chain import Action, Event
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
)
from officeai_proxy.storage.conversations.shortening import shorten
from officeai_proxy.storage.conversations.transcripts import TranscriptRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()


_TEXT = TypeAdapter(PlainText)


@router.get("/ui/c/{number}/title")
async def ask_title(desk: EditingDesk, number: int, chosen: Choice) -> Response:
    """The sheet that asks for a new title."""
    return await _titling(desk, number, chosen)


@router.post("/ui/c/{number}/title")
async def rename(desk: EditingDesk, request: Request, number: int, chosen: Choice) -> Response:
    """Give the conversation the title of the form."""
    form = await fields_of(request)
    try:
        title = _title(form.get("title", ""))
    except UnprocessableInput as exc:
        return await _titling(desk, number, chosen, typed=form.get("title", ""), fault=exc.message)
    async with desk.services.database.write() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
        await ConversationRepository(connection, desk.caller).rename(
            conversation, title=title, metadata=None, now=desk.services.clock()
        )
        await append(connection, _event(desk, Action.CHANGE_CONVERSATION, conversation))
    return see_other(chosen.link(f"/ui/c/{number}"))


@router.post("/ui/c/{number}/bin")
async def put_into_bin(desk: EditingDesk, number: int, chosen: Choice) -> Response:
    """Put the conversation into the bin; the list then offers to undo it."""
    async with desk.services.database.write() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
        if conversation.deleted_at is None:
            await ConversationRepository(connection, desk.caller).bin(
                conversation, now=desk.services.clock()
            )
            await append(connection, _event(desk, Action.BIN_CONVERSATION, conversation))
    return see_other(chosen.link("/ui", binned=str(number)))


@router.post("/ui/c/{number}/restore")
async def restore(desk: EditingDesk, number: int, chosen: Choice) -> Response:
    """Take the conversation out of the bin, and open it, beside the list that it is in again."""
    async with desk.services.database.write() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
        if conversation.deleted_at is not None:
            await ConversationRepository(connection, desk.caller).restore(
                conversation, now=desk.services.clock()
            )
            await append(connection, _event(desk, Action.RESTORE_CONVERSATION, conversation))
    return see_other(chosen.link(f"/ui/c/{number}", bin="", told="restored"))


@router.get("/ui/c/{number}/erase")
async def ask_to_erase(desk: EditingDesk, number: int) -> Response:
    """The sheet that asks whether the conversation may go for good."""
    async with desk.services.database.read() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
    return await desk.show("sheet_erase.html", conversation=conversation)


@router.post("/ui/c/{number}/erase")
async def erase(desk: EditingDesk, number: int) -> Response:
    """Delete the conversation for good, and no other one that has its session id."""
    async with desk.services.database.read() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
    begun = _event(desk, Action.ERASE_CONVERSATION, conversation, stage="begun")
    database, now = desk.services.database, desk.services.clock()
    await shorten(database, desk.caller, conversation, now=now, begun=begun)
    async with desk.services.database.write() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
        until = await ConversationRepository(connection, desk.caller).erase_life(
            conversation, now=desk.services.clock()
        )
        await append(connection, _event(desk, Action.ERASE_CONVERSATION, conversation))
    desk.services.set_aside.erase(
        workspace=conversation.workspace,
        user=conversation.user_identifier,
        session=conversation.session_id,
        until=until,
    )
    return see_other("/ui?bin=1&told=erased")


@router.get("/ui/clear")
async def ask_to_clear(desk: EditingDesk, user: PlainText) -> Response:
    """The sheet that asks for the user's name before their history goes to the bin."""
    return await _clearing(desk, user)


@router.post("/ui/clear")
async def clear(desk: EditingDesk, request: Request) -> Response:
    """Put all conversations of a user into the bin, if the form repeats the user's name."""
    form = await fields_of(request)
    user = _user(form.get("user", ""))
    check_user(desk.caller, user, param="user")
    if not user or form.get("confirm", "").strip() != user:
        return await _clearing(desk, user, is_wrong=True)
    async with desk.services.database.write() as connection:
        repository = ConversationRepository(connection, desk.caller)
        count = await repository.clear(user, now=desk.services.clock())
        detail = {"conversations": count}
        event = desk.trail(Action.CLEAR_USER).event(user=user, detail=detail, is_sealed=not count)
        await append(connection, event)
    return see_other("/ui?told=cleared")


async def _titling(
    desk: Desk, number: int, chosen: Chosen, *, typed: str = "", fault: str = ""
) -> Response:
    async with desk.services.database.read() as connection:
        conversation = await TranscriptRepository(connection, desk.caller).find(number)
    return await desk.show(
        "sheet_title.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        conversation=conversation,
        chosen=chosen,
        title=typed if fault else conversation.title or "",
        fault=desk.told(fault) if fault else None,
    )


async def _clearing(desk: Desk, user: str, *, is_wrong: bool = False) -> Response:
    check_user(desk.caller, user, param="user")
    async with desk.services.database.read() as connection:
        page = await ConversationRepository(connection, desk.caller).page(
            ConversationFilter(user_identifier=user), PageRequest(limit=1)
        )
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else HTTPStatus.OK
    return await desk.show(
        "sheet_clear.html",
        status=status,
        user=user,
        count=page.total,
        is_wrong=is_wrong,
    )


def _event(desk: Desk, action: Action, conversation: Conversation, **detail: str) -> Event:
    """What is written down, in the transaction that changes *conversation*."""
    owner, target = conversation.user_identifier, conversation.session_id
    return desk.trail(action).event(user=owner, target=target, detail=detail)


def _user(text: str) -> str:
    try:
        return _TEXT.validate_python(text)
    except ValidationError as exc:
        raise UnprocessableInput("No user has such a name.", param="user") from exc


def _title(text: str) -> str:
    try:
        title = _TEXT.validate_python(" ".join(text.split()))
    except ValidationError as exc:
        raise UnprocessableInput(
            "The title must be at most 1,000 characters of plain text.", param="title"
        ) from exc
    if not title:
        raise UnprocessableInput("Give the conversation a title.", param="title")
    return title
