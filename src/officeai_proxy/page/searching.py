"""Search: words in, the messages that say them out, each a link to its place."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response

from officeai_proxy.auth.permissions import check_user
from officeai_proxy.errors import SearchTooSlow, UnprocessableInput
from officeai_proxy.model import Conversation
from officeai_proxy.page.desk import Desk, ReadingDesk
from officeai_proxy.page.forms import Cursor, Name, address_of
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.search.hits import Hit, SearchFilter, SearchRepository
from officeai_proxy.words.excerpt import excerpt
from officeai_proxy.words.query import MAX_UNITS, TooManyWords
from officeai_proxy.words.query import Query as SearchQuery

router = APIRouter()

HITS = 30


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text, and whether it is what was searched for."""

    text: str
    is_found: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was found: its place, and a few words of it."""

    conversation: Conversation
    message: int
    role: str
    when: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class Result:
    """What a search has come to; `fault` says why it has come to nothing."""

    found: list[Found]
    more: str | None = None
    fault: str = ""


@router.get("/ui/search")
async def show_search(
    desk: ReadingDesk,
    q: Annotated[str, Query(max_length=1000)] = "",
    user: Name = "",
    role: Annotated[str, Query(max_length=20)] = "",
    cursor: Cursor = "",
) -> Response:
    """The messages that say all the words of `q`, those first that were recorded last."""
    result = await search(desk, q, user=user, role=role, cursor=cursor) if q.strip() else Result([])
    template = "part_hits.html" if desk.part == "more" else "search.html"
    return await desk.show(template, q=q, user=user, role=role, result=result, most=MAX_UNITS)


async def search(desk: Desk, q: str, *, user: str = "", role: str = "", cursor: str = "") -> Result:
    """What a search for *q* finds; a search that cannot be done is told and not raised.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
    """
    try:
        query = SearchQuery.of(q)
    except TooManyWords:
        return Result([], fault="search.many_words")
    except UnprocessableInput:
        return Result([], fault="search.no_word")
    try:
        wanted = SearchFilter(
            query=query,
            user_identifier=check_user(desk.caller, user or None, param="user"),
            role=role or None,
        )
        async with desk.services.database.read() as connection:
            page = await SearchRepository(connection, desk.caller).page(
                wanted, PageRequest(limit=HITS, cursor=cursor or None)
            )
    except SearchTooSlow:
        return Result([], fault="search.too_slow")
    trail, detail = desk.trail(Action.SEARCH), {"messages": len(page.items)}
    await trail.leave(user=wanted.user_identifier, detail=detail, is_sealed=not page.items)
    given = {"q": q, "user": user, "role": role, "cursor": page.next_cursor}
    more = address_of("/ui/search", **given) if page.next_cursor else None
    return Result([_found(hit, query) for hit in page.items], more)


def _found(hit: Hit, query: SearchQuery) -> Found:
    message = hit.message
    return Found(
        conversation=hit.conversation,
        message=message.id,
        role=message.role,
        when=message.timestamp.isoformat(),
        pieces=_pieces(message.content, query),
    )


def _pieces(content: str, query: SearchQuery) -> list[Piece]:
    shown = excerpt(content, query.highlights(content))
    pieces, end = [], 0
    for start, stop in shown.highlights:
        pieces += [Piece(shown.text[end:start], False), Piece(shown.text[start:stop], True)]
        end = stop
    return [piece for piece in (*pieces, Piece(shown.text[end:], False)) if piece.text]
