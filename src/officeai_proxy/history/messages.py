"""Routes of messages: read the path or the tree of a conversation, and add to it."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader, Writer
from officeai_proxy.api.lists import ListFrame, frame
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import Cursor, Limit, Offset, SessionPath, UserQuery
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.history import examples
from officeai_proxy.history.message_answer import MessageAnswer
from officeai_proxy.history.schemas import (
    MessageList,
    MessageOut,
    PostedMessage,
    PostedMessages,
)
from officeai_proxy.model import NewMessage
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository, Order
from officeai_proxy.wire.messages import new_messages

router = APIRouter(tags=["Conversations"], route_class=JsonRoute, default_response_class=JsonAnswer)


class Branch(StrEnum):
    """Which messages of a conversation are told."""

    PATH = "path"
    ALL = "all"


@router.get(
    "/conversations/{session_id}/messages",
    response_model=MessageList,
    summary="List the messages",
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def list_messages(
    session_id: SessionPath,
    trail: Annotated[Trail, audited(Action.LIST_MESSAGES)],
    caller: Reader,
    services: Fresh,
    user_identifier: UserQuery = None,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
    order: Annotated[Order, Query(description="`asc`: oldest first.")] = Order.ASC,
    branch: Annotated[
        Branch, Query(description="`path`: the line to the newest message; `all`: the whole tree.")
    ] = Branch.PATH,
) -> Response:
    """The messages of the path, oldest first; or of the whole tree, told by `parent_id`."""
    user = check_user(caller, user_identifier, param="user_identifier")
    wanted = page_request(limit=limit, offset=offset, cursor=cursor)
    async with services.database.read() as connection:
        conversation = await ConversationRepository(connection, caller).find(
            session_id, user_identifier=user
        )
        page = await MessageRepository(connection, caller).page(
            conversation, wanted, order=order, whole_tree=branch is Branch.ALL
        )
    await trail.leave(
        user=conversation.user_identifier,
        target=session_id,
        workspace=conversation.workspace,
        detail={"messages": len(page.items)},
    )
    return MessageAnswer(ListFrame(**frame(page, wanted)), "data", page.items)


@router.post(
    "/conversations/{session_id}/messages",
    status_code=HTTPStatus.CREATED,
    summary="Add one message or several",
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, body=True),
)
async def add_messages(
    session_id: SessionPath,
    body: Annotated[PostedMessages, Body(openapi_examples=examples.MESSAGES)],
    trail: Annotated[Trail, audited(Action.ADD_MESSAGES)],
    caller: Writer,
    services: Fresh,
    user_identifier: UserQuery = None,
) -> MessageOut | list[MessageOut]:
    """Add to the end of the path: one message, answered by it, or a list, answered by a list.

    The first thing a user says names a conversation that has no title.
    """
    user = check_user(caller, user_identifier, param="user_identifier")
    now = services.clock()
    posted = body if isinstance(body, list) else [body]
    messages = [_to_store(message, now) for message in posted]
    async with services.database.write() as connection:
        conversation = await ConversationRepository(connection, caller).find(
            session_id, user_identifier=user
        )
        stored = await MessageRepository(connection, caller).append(conversation, messages, now=now)
        owner, detail = conversation.user_identifier, {"messages": len(stored)}
        await append(connection, trail.event(user=owner, target=session_id, detail=detail))
    answer = [MessageOut.of(message) for message in stored]
    return answer if isinstance(body, list) else answer[0]


def _to_store(posted: PostedMessage, now: datetime) -> NewMessage:
    at = posted.timestamp or now
    [new] = new_messages([posted.message()], timestamp=at, model_name=posted.model_name)
    return replace(new, token_count=posted.token_count, metadata=posted.metadata)
