"""Routes of users: who is here, and erasing one person for good."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader, Writer
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import Cursor, Limit, Offset, UserPath
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.erasure import Eraser
from officeai_proxy.history import examples
from officeai_proxy.history.schemas import Erased, UserList, UserOut
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.users import UserRepository

router = APIRouter(tags=["Users"], route_class=JsonRoute, default_response_class=JsonAnswer)

_ONE = problems(HTTPStatus.NOT_FOUND)


@router.get("/users", summary="List users", responses=problems())
async def list_users(
    trail: Annotated[Trail, audited(Action.LIST_USERS)],
    caller: Reader,
    services: Fresh,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> UserList:
    """Who has conversations in this workspace, by name, and how many."""
    wanted = page_request(limit=limit, offset=offset, cursor=cursor)
    async with services.database.read() as connection:
        page = await UserRepository(connection, caller).page(wanted)
    await trail.leave(detail={"users": len(page.items)})
    return UserList.of(page, wanted)


@router.get("/users/{user}", summary="Read a user", responses=_ONE)
async def read_user(
    user: UserPath,
    trail: Annotated[Trail, audited(Action.READ_USER)],
    caller: Reader,
    services: Fresh,
) -> UserOut:
    """What is there of one user."""
    check_user(caller, user, param="user")
    async with services.database.read() as connection:
        found = await UserRepository(connection, caller).find(user)
    await trail.leave(user=user, target=user)
    return UserOut.of(found)


@router.delete("/users/{user}", summary="Erase a user", responses=_ONE)
async def erase_user(
    user: Annotated[UserPath, Path(openapi_examples=examples.OTHER_USER)],
    trail: Annotated[Trail, audited(Action.ERASE_USER)],
    caller: Writer,
    services: Fresh,
) -> Erased:
    """Delete everything of one user for good: conversations, the bin, lines of the call log, calls
    that were set aside, and the name in the audit log, which keeps that somebody was erased.

    It is done conversation by conversation, so that others can write meanwhile; when it breaks off
    in the middle, do it again.
    """
    check_user(caller, user, param="user")
    eraser = Eraser(services.database, caller, set_aside=services.set_aside, clock=services.clock)
    erased = await eraser.run(user, trail)
    return Erased(
        user_identifier=user,
        conversations=erased.conversations,
        messages=erased.messages,
        calls=erased.calls,
    )
