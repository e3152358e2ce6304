"""Routes of conversations: create, list, read, rename, delete and bring back."""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Body, Depends, Query, Response

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.dependencies import Fresh, Reader, Services, Writer
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import (
    MAX_LIMIT,
    ConversationIdQuery,
    Cursor,
    Limit,
    MomentQuery,
    Offset,
    RequiredUser,
    SessionPath,
    TextQuery,
    UserPath,
    UserQuery,
)
from officeai_proxy.audit import Trail
from officeai_proxy.auth.labels import check_label
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.history import examples
from officeai_proxy.history.fixed_words import SessionRoute
from officeai_proxy.history.message_answer import MessageAnswer
from officeai_proxy.history.schemas import (
    Cleared,
    ConversationChange,
    ConversationFrame,
    ConversationList,
    ConversationOut,
    ConversationWithMessages,
    NewConversation,
)
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Detail
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.conversations import shortening
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    ConversationSort,
    Deleted,
)
from officeai_proxy.storage.conversations.messages import MessageRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter(
    tags=["Conversations"], route_class=SessionRoute, default_response_class=JsonAnswer
)

_ONE = problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_ONE_CHANGED = problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, body=True)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of conversations may be narrowed down to."""

    user_identifier: UserQuery = None
    model: Annotated[TextQuery, Query(description="Only those with a message of this model.")] = (
        None
    )
    created_after: MomentQuery = None
    created_before: MomentQuery = None
    updated_after: MomentQuery = None
    updated_before: MomentQuery = None
    deleted: Annotated[
        Deleted, Query(description="`only`: those in the bin; `with`: those as well.")
    ] = Deleted.NO

    def of(self, caller: Caller) -> ConversationFilter:
        """The same in storage's words, within what *caller* may see."""
        user = check_user(caller, self.user_identifier, param="user_identifier")
        return ConversationFilter(**{**asdict(self), "user_identifier": user})


@dataclass(frozen=True, slots=True)
class SortedFilters(Filters):
    """The same, and the order of the list."""

    sort: Annotated[ConversationSort, Query(description="A `-` in front: descending.")] = (
        ConversationSort.NEWEST_ACTIVITY
    )


@router.post(
    "/conversations/",
    status_code=HTTPStatus.CREATED,
    summary="Create a conversation",
    responses=problems(HTTPStatus.CONFLICT, body=True),
)
@router.post("/conversations", status_code=HTTPStatus.CREATED, include_in_schema=False)
async def create_conversation(
    body: Annotated[NewConversation, Body(openapi_examples=examples.NEW_CONVERSATION)],
    trail: Annotated[Trail, audited(Action.CREATE_CONVERSATION)],
    caller: Writer,
    services: Fresh,
) -> ConversationOut:
    """Create an empty conversation. A chat call with a new `X-Session-ID` does it by itself."""
    user = check_user(caller, body.user_identifier, param="user_identifier")
    if user is None:
        raise UnprocessableInput("Say whose conversation it is.", param="user_identifier")
    async with services.database.write() as connection:
        conversation = await ConversationRepository(connection, caller).create(
            session_id=_session_id(body.session_id),
            user_identifier=user,
            title=body.title,
            metadata=body.metadata or {},
            now=services.clock(),
        )
        await append(connection, trail.event(user=user, target=conversation.session_id))
    return ConversationOut.of(conversation)


def _session_id(given: str | None) -> str:
    if given is None or not given.strip():
        return str(uuid4())
    return check_label("session_id", given)


@router.get(
    "/conversations/user/{user}", summary="List a user's conversations", responses=problems()
)
async def list_of_user(
    user: UserPath,
    trail: Annotated[Trail, audited(Action.LIST_CONVERSATIONS)],
    caller: Reader,
    services: Fresh,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> ConversationList:
    """The conversations of one user, newest activity first. A user never seen has none."""
    check_user(caller, user, param="user")
    page = page_request(limit=limit, offset=offset, cursor=cursor)
    return await _listed(services, caller, ConversationFilter(user_identifier=user), page, trail)


@router.get("/conversations", summary="List conversations", responses=problems())
@router.get("/conversations/", include_in_schema=False)
async def list_conversations(
    filters: Annotated[SortedFilters, Depends()],
    trail: Annotated[Trail, audited(Action.LIST_CONVERSATIONS)],
    caller: Reader,
    services: Fresh,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> ConversationList:
    """All conversations of the workspace, newest activity first, narrowed down by filters."""
    page = page_request(limit=limit, offset=offset, cursor=cursor)
    return await _listed(services, caller, filters.of(caller), page, trail)


async def _listed(
    services: Services, caller: Caller, wanted: ConversationFilter, page: PageRequest, trail: Trail
) -> ConversationList:
    async with services.database.read() as connection:
        found = await ConversationRepository(connection, caller).page(wanted, page)
    detail = {"conversations": len(found.items)}
    await trail.leave(user=wanted.user_identifier, detail=detail, is_sealed=not found.items)
    return ConversationList.of(found, page)


@router.get(
    "/conversations/{session_id}",
    response_model=ConversationWithMessages,
    summary="Read a conversation",
    responses=_ONE,
)
async def read_conversation(
    session_id: SessionPath,
    trail: Annotated[Trail, audited(Action.READ_CONVERSATION)],
    caller: Reader,
    services: Fresh,
    user_identifier: UserQuery = None,
    limit: Limit = MAX_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """The conversation and the messages of its path, oldest first, from one moment."""
    user = check_user(caller, user_identifier, param="user_identifier")
    wanted = page_request(limit=limit, cursor=cursor)
    async with services.database.read() as connection:
        conversation = await ConversationRepository(connection, caller).find(
            session_id, user_identifier=user
        )
        messages = MessageRepository(connection, caller)
        page = await messages.page(conversation, wanted)
    detail = {"messages": len(page.items)}
    await trail.leave(
        user=conversation.user_identifier, target=conversation.session_id, detail=detail
    )
    frame = ConversationFrame.with_page(conversation, page)
    return MessageAnswer(frame, "messages", page.items)


@router.put(
    "/conversations/{session_id}",
    summary="Change title or metadata",
    responses=_ONE_CHANGED,
    operation_id="put_conversation",
)
@router.patch(
    "/conversations/{session_id}", summary="Change title or metadata", responses=_ONE_CHANGED
)
async def change_conversation(
    session_id: SessionPath,
    body: Annotated[ConversationChange, Body(openapi_examples=examples.CHANGE)],
    trail: Annotated[Trail, audited(Action.CHANGE_CONVERSATION)],
    caller: Writer,
    services: Fresh,
    user_identifier: UserQuery = None,
) -> ConversationOut:
    """Give a new title, new metadata or both. What the body leaves out stays as it is."""
    user = check_user(caller, user_identifier, param="user_identifier")
    async with services.database.write() as connection:
        repository = ConversationRepository(connection, caller)
        conversation = await repository.find(session_id, user_identifier=user)
        changed = await repository.rename(
            conversation, title=body.title, metadata=body.metadata, now=services.clock()
        )
        owner = conversation.user_identifier
        await append(connection, trail.event(user=owner, target=session_id))
    return ConversationOut.of(changed)


@router.delete(
    "/conversations/{session_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Delete a conversation",
    responses=_ONE,
)
async def delete_conversation(
    session_id: SessionPath,
    trail: Annotated[Trail, audited(Action.BIN_CONVERSATION)],
    caller: Writer,
    services: Fresh,
    user_identifier: UserQuery = None,
    permanent: Annotated[
        bool, Query(description="For good, and with all that is in the bin of this session.")
    ] = False,
) -> None:
    """Put a conversation into the bin, or delete it for good, also when it is in the bin.

    A session that was in the bin and began anew is several conversations; for good, all of them go.
    """
    user = check_user(caller, user_identifier, param="user_identifier")
    if permanent:
        await _shorten_lives(services, caller, session_id, user, trail)
    async with services.database.write() as connection:
        repository = ConversationRepository(connection, caller)
        conversation = await repository.find(
            session_id, user_identifier=user, deleted=Deleted.WITH if permanent else Deleted.NO
        )
        detail: Detail = {}
        if permanent:
            count = await repository.erase_session(conversation, now=services.clock())
            detail = {"conversations": count}
        else:
            await repository.bin(conversation, now=services.clock())
        event = trail.event(
            action=Action.ERASE_CONVERSATION if permanent else Action.BIN_CONVERSATION,
            user=conversation.user_identifier,
            target=session_id,
            workspace=conversation.workspace,
            detail=detail,
        )
        await append(connection, event)
    if permanent:
        services.set_aside.erase(
            workspace=conversation.workspace,
            user=conversation.user_identifier,
            session=conversation.session_id,
        )


async def _shorten_lives(
    services: Services, caller: Caller, session_id: str, user: str | None, trail: Trail
) -> None:
    """Leave of what is deleted for good what one transaction can delete."""
    async with services.database.read() as connection:
        repository = ConversationRepository(connection, caller)
        conversation = await repository.find(session_id, user_identifier=user, deleted=Deleted.WITH)
        lives = await repository.long_lives(conversation, above=shortening.AT_ONCE)
    begun = trail.event(
        action=Action.ERASE_CONVERSATION,
        user=conversation.user_identifier,
        target=session_id,
        workspace=conversation.workspace,
        detail={"stage": "begun"},
    )
    for one in lives:
        await shortening.shorten(services.database, caller, one, now=services.clock(), begun=begun)


@router.post(
    "/conversations/{session_id}/restore", summary="Bring a conversation back", responses=_ONE
)
async def restore_conversation(
    session_id: SessionPath,
    trail: Annotated[Trail, audited(Action.RESTORE_CONVERSATION)],
    caller: Writer,
    services: Fresh,
    user_identifier: UserQuery = None,
    number: ConversationIdQuery = None,
) -> ConversationOut:
    """Take a conversation out of the bin, as it was: the one with that `id`, else of several with
    the same session id the one that was deleted last.
    """
    user = check_user(caller, user_identifier, param="user_identifier")
    async with services.database.write() as connection:
        repository = ConversationRepository(connection, caller)
        binned = await repository.find(
            session_id, user_identifier=user, deleted=Deleted.ONLY, number=number
        )
        restored = await repository.restore(binned, now=services.clock())
        owner = restored.user_identifier
        await append(connection, trail.event(user=owner, target=session_id))
    return ConversationOut.of(restored)


@router.delete("/conversations", summary="Clear a user's history", responses=problems())
async def clear_history(
    user_identifier: Annotated[
        RequiredUser,
        Query(description="Whose conversations.", openapi_examples=examples.OTHER_USER),
    ],
    confirm: Annotated[
        str, Query(description="The same again.", openapi_examples=examples.OTHER_USER)
    ],
    trail: Annotated[Trail, audited(Action.CLEAR_USER)],
    caller: Writer,
    services: Fresh,
    permanent: Annotated[bool, Query(include_in_schema=False)] = False,
) -> Cleared:
    """Put all conversations of a user into the bin. `confirm` repeats the user, as a safeguard."""
    check_user(caller, user_identifier, param="user_identifier")
    if permanent:
        # Whoever asks for it and is told 200 would take it for done.
        raise UnprocessableInput(
            "A history is cleared into the bin; `DELETE /users/{user}` deletes it for good. "
            "Nothing was deleted.",
            param="permanent",
        )
    if confirm.strip() != user_identifier:
        raise UnprocessableInput(
            "`confirm` must repeat `user_identifier` exactly; nothing was deleted.", param="confirm"
        )
    async with services.database.write() as connection:
        repository = ConversationRepository(connection, caller)
        count = await repository.clear(user_identifier, now=services.clock())
        detail = {"conversations": count}
        event = trail.event(user=user_identifier, detail=detail, is_sealed=not count)
        await append(connection, event)
    return Cleared(deleted=count)
