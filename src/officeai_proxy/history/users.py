"""Routes of users: who is here, and erasing one person for good."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader, Services
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.values import Cursor, Limit, Offset, UserPath
from officeai_proxy.auth.dependencies import require
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.history.schemas import Erased, UserList, UserOut
from officeai_proxy.model import Caller, Scope
from officeai_proxy.storage.conversations import ConversationRepository
from officeai_proxy.storage.users import UserRepository

router = APIRouter(tags=["Users"], route_class=JsonRoute, default_response_class=JsonAnswer)

Eraser = Annotated[Caller, Depends(require(Scope.WRITE))]

CALLS_AT_ONCE = 1000
"""How many lines of the call log one transaction deletes; others can write between two."""

_ONE = problems(HTTPStatus.NOT_FOUND)


@router.get("/users", summary="List users", responses=problems())
async def list_users(
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
    return UserList.of(page, wanted)


@router.get("/users/{user}", summary="Read a user", responses=_ONE)
async def read_user(user: UserPath, caller: Reader, services: Fresh) -> UserOut:
    """What is there of one user."""
    check_user(caller, user, param="user")
    async with services.database.read() as connection:
        return UserOut.of(await UserRepository(connection, caller).find(user))


@router.delete("/users/{user}", summary="Erase a user", responses=_ONE)
async def erase_user(user: UserPath, caller: Eraser, services: Fresh) -> Erased:
    """Delete everything of one user for good: conversations, the bin, and lines of the call log.

    It is done conversation by conversation, so that others can write meanwhile; when it breaks off
    in the middle, do it again.
    """
    check_user(caller, user, param="user")
    async with services.database.read() as connection:
        await UserRepository(connection, caller).find(user)
    erased = Erased(user_identifier=user, conversations=0, messages=0, calls=0)
    while (messages := await _erase_one(services, caller, user)) is not None:
        erased.conversations += 1
        erased.messages += messages
    erased.calls = await _erase_calls(services, caller, user)
    return erased


async def _erase_one(services: Services, caller: Caller, user: str) -> int | None:
    """Erase one conversation of *user*; how many messages it had, or None when none is left."""
    async with services.database.write() as connection:
        conversation = await UserRepository(connection, caller).any_conversation(user)
        if conversation is None:
            return None
        repository = ConversationRepository(connection, caller)
        await repository.erase(conversation, now=services.clock())
        return conversation.message_count


async def _erase_calls(services: Services, caller: Caller, user: str) -> int:
    """Erase what the call log has of *user* beyond the conversations."""
    total = 0
    while True:
        async with services.database.write() as connection:
            repository = UserRepository(connection, caller)
            count = await repository.erase_calls(user, limit=CALLS_AT_ONCE, now=services.clock())
        total += count
        if count < CALLS_AT_ONCE:
            return total
