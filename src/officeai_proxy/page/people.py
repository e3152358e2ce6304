"""Who has conversations here: the column beside the list, and a page of its own."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from officeai_proxy.api.values import MAX_CURSOR
from officeai_proxy.page.desk import ReadingDesk
from officeai_proxy.page.listing import Choice
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.conversations.users import UserRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()

USERS = 200
"""Users of one page."""

CALLS_LOOKED_AT = 200
"""Calls from which the models that can be chosen are taken."""


@router.get("/ui/users")
async def show_users(
    desk: ReadingDesk,
    chosen: Choice,
    cursor: Annotated[str, Query(max_length=MAX_CURSOR)] = "",
) -> Response:
    """The users by name, with how much there is of each, and the models of the last calls."""
    async with desk.services.database.read() as connection:
        users = await UserRepository(connection, desk.caller).page(
            PageRequest(limit=USERS, cursor=cursor or None)
        )
        calls = await CallRepository(connection, desk.caller).page(
            CallFilter(), PageRequest(limit=CALLS_LOOKED_AT)
        )
    await desk.trail(Action.LIST_USERS).leave(detail={"users": len(users.items)})
    models = {name for call in calls.items for name in (call.model_asked, call.model_served)}
    template = "part_users.html" if desk.part else "users.html"
    return await desk.show(
        template,
        users=users,
        chosen=chosen,
        models=sorted(name for name in models if name),
    )
