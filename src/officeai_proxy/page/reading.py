"""One conversation: opened at its newest message or at one that was found, and read both ways."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from officeai_proxy.model import MAX_INTEGER, Conversation
from officeai_proxy.page.desk import Desk, ReadingDesk, see_other
from officeai_proxy.page.listing import Choice, Stretch, stretch_of
from officeai_proxy.page.speech import Said, said_of
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.transcripts import (
    Totals,
    TranscriptRepository,
    Tree,
    Window,
)

router = APIRouter()

AT_ONCE = 40
"""Messages that are shown at first, and that come when somebody scrolls on."""

MOST_TEXT = 200_000
"""Characters of them together: a browser is shown them at once, and the server has to read them."""

MessageId = Annotated[int, Query(ge=0, le=MAX_INTEGER)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A part of a conversation as the template shows it. `line` is the end of another branch.

    `first` is the message that it all begins with, if that is not shown.
    """

    conversation: Conversation
    messages: list[Said]
    totals: Totals
    has_older: bool
    has_newer: bool
    line: int
    first: int

    @property
    def oldest(self) -> int:
        """The first message that is shown."""
        return self.messages[0].id if self.messages else 0

    @property
    def newest(self) -> int:
        """The last message that is shown."""
        return self.messages[-1].id if self.messages else 0


@router.get("/ui/c/{number}")
async def show_conversation(
    desk: ReadingDesk,
    number: int,
    chosen: Choice,
    at: MessageId = 0,
    q: Annotated[str, Query(max_length=1000)] = "",
    told: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The conversation, opened at the message `at`, on its branch, or at its newest."""
    reading = await _opened(desk, number, at)
    if desk.part == "reading":
        return await desk.show(
            "reading.html", reading=reading, chosen=chosen, at=at, q=q, told=told
        )
    stretch: Stretch = await stretch_of(desk, chosen)
    return await desk.show(
        "list.html",
        chosen=chosen,
        stretch=stretch,
        reading=reading,
        at=at,
        q=q,
        told=told,
        binned=0,
    )


@router.get("/ui/c/{number}/messages")
async def show_more(
    desk: ReadingDesk,
    number: int,
    chosen: Choice,
    before: MessageId = 0,
    after: MessageId = 0,
    line: MessageId = 0,
) -> Response:
    """Messages before or after one that is shown already, as a part of the page.

    Who has no script is led to the message itself, with the page around it.
    """
    async with desk.services.database.read() as connection:
        transcripts = TranscriptRepository(connection, desk.caller)
        conversation = await transcripts.find(number)
        if desk.part is None:
            near = before or after
            address = chosen.link(f"/ui/c/{number}", at=str(near or ""))
            return see_other(f"{address}#m{near}" if near else address)
        tree = await transcripts.tree(conversation)
        ids = tree.line_through(line) if line and tree.parents else None
        window = await _next_to(transcripts, conversation, ids, before=before, after=after)
        # Who waits for news sees above the messages how much it is now.
        is_news = desk.part == "news" and bool(window.messages)
        totals = await transcripts.totals(conversation) if is_news else Totals()
    status = _status_alone(conversation, window, after)
    if status is not None:
        return Response(status_code=status)
    reading = await _told(desk, conversation, window, tree, totals, line)
    return await desk.show(
        "part_messages.html",
        reading=reading,
        chosen=chosen,
        at=0,
        is_older=bool(before),
        is_news=is_news,
    )


async def _next_to(
    transcripts: TranscriptRepository,
    conversation: Conversation,
    ids: Sequence[int] | None,
    *,
    before: int,
    after: int,
) -> Window:
    """What stands before the one message, or else behind the other; the nearest of it."""
    if not before:
        window = await transcripts.after(conversation, ids, above=after, limit=AT_ONCE)
        return window.fitting(MOST_TEXT, around=0)
    window = await transcripts.newest(conversation, ids, below=before, limit=AT_ONCE)
    return window.fitting(MOST_TEXT, around=max(0, len(window.messages) - 1))


def _status_alone(conversation: Conversation, window: Window, after: int) -> HTTPStatus | None:
    """The answer where there is no message to show: 204 for nothing new, 205 for "open it anew".

    The latter when what is new goes on somewhere else than behind *after*, because the conversation
    has branched off; or when somebody put it into the bin, which whoever waits for news should see.
    """
    if not window.messages:
        is_binned = bool(after) and conversation.deleted_at is not None
        return HTTPStatus.RESET_CONTENT if is_binned else HTTPStatus.NO_CONTENT
    goes_on = not after or window.messages[0].line.parent_id == after
    return None if goes_on else HTTPStatus.RESET_CONTENT


async def _opened(desk: Desk, number: int, at: int) -> Reading:
    async with desk.services.database.read() as connection:
        transcripts = TranscriptRepository(connection, desk.caller)
        conversation = await transcripts.find(number)
        tree = await transcripts.tree(conversation)
        totals = await transcripts.totals(conversation)
        is_there = at in tree.parents if tree.parents else await transcripts.has(conversation, at)
        line = None
        if is_there and tree.parents and at not in tree.on_path:
            line = tree.line_through(at)
        if is_there:
            window = await transcripts.around(conversation, line, message=at, limit=AT_ONCE)
        else:
            window = await transcripts.newest(conversation, None, limit=AT_ONCE)
        places = [place for place, one in enumerate(window.messages) if one.line.id == at]
        newest = max(0, len(window.messages) - 1)
        window = window.fitting(MOST_TEXT, around=places[0] if places else newest)
        first = await transcripts.first(conversation, line) if window.has_older else 0
    end = line[-1] if line else 0
    return await _told(desk, conversation, window, tree, totals, end, first=first)


async def _told(
    desk: Desk,
    conversation: Conversation,
    window: Window,
    tree: Tree,
    totals: Totals,
    line: int,
    *,
    first: int = 0,
) -> Reading:
    """Reading Markdown takes milliseconds a page: in a thread, so that calls go on meanwhile."""
    await desk.trail(Action.READ_CONVERSATION).leave(
        user=conversation.user_identifier,
        target=conversation.session_id,
        detail={"messages": len(window.messages)},
    )
    messages = await asyncio.to_thread(said_of, window.messages, tree, desk.words, desk.markdown)
    return Reading(
        conversation=conversation,
        messages=messages,
        totals=totals,
        has_older=window.has_older,
        has_newer=window.has_newer,
        line=line,
        first=first,
    )
