"""The list of conversations as the reader has narrowed it down, and more of it while scrolling.

A conversation that is known by its names is found here, too.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from officeai_proxy.api.values import PlainText
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.page.desk import ReadingDesk, here, see_other
from officeai_proxy.page.forms import Cursor
from officeai_proxy.page.listing import Choice, stretch_of
from officeai_proxy.settings import Record
from officeai_proxy.storage.conversations.conversations import ConversationRepository, Deleted

router = APIRouter()


@router.get("/ui")
@router.head("/ui")
async def show_list(
    desk: ReadingDesk,
    chosen: Choice,
    cursor: Cursor = "",
    day: Annotated[str, Query(max_length=40)] = "",
    binned: Annotated[int, Query(ge=0)] = 0,
    told: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The conversations, newest activity first.

    `binned` is the conversation that was just deleted and can be had back; `told` names what else
    was just done.
    """
    stretch = await stretch_of(desk, chosen, cursor=cursor, day=day)
    template = "part_list.html" if desk.part == "more" else "list.html"
    return await desk.show(
        template,
        chosen=chosen,
        stretch=stretch,
        binned=binned,
        told=told,
        reading=None,
        at=None,
        records_all=desk.services.settings.record is Record.ALL,
    )


@router.get("/ui/")
async def lead_to_the_list(request: Request) -> Response:
    """To the same address without the stroke at its end, which people type."""
    return see_other(here(request).replace("/ui/", "/ui", 1))


@router.get("/ui/c")
async def lead_to_the_conversation(
    desk: ReadingDesk,
    session: Annotated[PlainText, Query(max_length=255)],
    user: Annotated[PlainText, Query(max_length=255)] = "",
) -> Response:
    """To the conversation that calls and other programs know by its session and its user."""
    wanted = check_user(desk.caller, user or None, param="user")
    async with desk.services.database.read() as connection:
        conversation = await ConversationRepository(connection, desk.caller).find(
            session, user_identifier=wanted, deleted=Deleted.WITH
        )
    return see_other(f"/ui/c/{conversation.id}")
