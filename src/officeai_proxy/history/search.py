"""The route of search: words in, the messages that say them out, newest first."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader
from officeai_proxy.api.lists import AList, HasMore, LimitAsked, NextCursor
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import Cursor, Limit, Moment, PlainText, UserQuery
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.history import examples
from officeai_proxy.history.schemas import ConversationOut, MessageOut
from officeai_proxy.model import Role
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.search.hits import Hit, SearchFilter, SearchRepository
from officeai_proxy.words.excerpt import excerpt
from officeai_proxy.words.query import Query as SearchQuery

router = APIRouter(tags=["Conversations"], route_class=JsonRoute, default_response_class=JsonAnswer)

# A tuple has no `items`, which programs that read older JSON Schema ask of every array.
Span = Annotated[
    tuple[int, int],
    WithJsonSchema({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
]


class HitOut(BaseModel):
    """A message that was found."""

    model_config = ConfigDict(json_schema_extra={"example": examples.HIT})

    conversation: ConversationOut = Field(description="Where it stands.")
    message: MessageOut = Field(description="The message itself.")
    snippet: str = Field(description="About 160 characters around the first find, on one line.")
    highlights: list[Span] = Field(
        description="Where in `snippet` the finds are: first character and the one behind the "
        "last, counted in Unicode code points."
    )

    @classmethod
    def of(cls, hit: Hit, query: SearchQuery) -> Self:
        """The answer that tells *hit*, which *query* found."""
        shown = excerpt(hit.message.content, query.highlights(hit.message.content))
        return cls(
            conversation=ConversationOut.of(hit.conversation),
            message=MessageOut.of(hit.message),
            snippet=shown.text,
            highlights=list(shown.highlights),
        )


class HitList(BaseModel):
    """A page of messages that were found. Nobody counts how many there are on all pages."""

    model_config = ConfigDict(json_schema_extra={"example": examples.HIT_LIST})

    object: AList = "list"
    data: list[HitOut] = Field(description="The finds.")
    limit: LimitAsked
    has_more: HasMore
    next_cursor: NextCursor


@router.get("/conversations/search", summary="Search messages", responses=problems())
async def search(
    q: Annotated[
        PlainText,
        Query(
            description="Every word must be in the message, whole; case and accents do not matter. "
            "Chinese, Japanese and Korean need no spaces. Words in quotation marks must stand side "
            "by side.",
            openapi_examples=examples.SEARCH,
        ),
    ],
    trail: Annotated[Trail, audited(Action.SEARCH)],
    caller: Reader,
    services: Fresh,
    user_identifier: UserQuery = None,
    role: Annotated[Role | None, Query(description="Only messages of this role.")] = None,
    after: Annotated[
        Moment | None,
        Query(alias="from", description="Only messages of this moment or later; ISO 8601, UTC."),
    ] = None,
    before: Annotated[
        Moment | None, Query(alias="to", description="Only messages before this moment.")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> HitList:
    """Messages that say all the words of `q`, those first that were recorded last.

    Messages of all branches are found, but not those of conversations in the bin.
    """
    wanted = SearchFilter(
        query=SearchQuery.of(q),
        user_identifier=check_user(caller, user_identifier, param="user_identifier"),
        role=None if role is None else role.value,
        after=after,
        before=before,
    )
    async with services.database.read() as connection:
        page = await SearchRepository(connection, caller).page(
            wanted, page_request(limit=limit, cursor=cursor)
        )
    user, detail = wanted.user_identifier, {"messages": len(page.items)}
    await trail.leave(user=user, detail=detail, is_sealed=not page.items)
    return HitList(
        data=[HitOut.of(hit, wanted.query) for hit in page.items],
        limit=limit,
        has_more=page.has_more,
        next_cursor=page.next_cursor,
    )
