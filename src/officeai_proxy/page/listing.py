"""Which conversations the list shows: an address's query in, storage's filter and links out."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query

from officeai_proxy.auth.permissions import check_user
from officeai_proxy.model import Conversation
from officeai_proxy.page.days import begin_of, end_of, on_clock
from officeai_proxy.page.desk import Desk
from officeai_proxy.page.forms import Name, address_of
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.paging import PageRequest

ROWS = 60
"""Conversations of one stretch of the list."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a reader has narrowed the list down to; empty texts are no filter."""

    user: Name = ""
    model: Name = ""
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""
    bin: Annotated[str, Query(max_length=1)] = ""

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the bin is chosen."""
        return bool(self.user or self.model or self.since or self.until)

    def link(self, path: str = "/ui", **more: str) -> str:
        """*path* with these filters, and with *more* in place of or beside them."""
        return address_of(path, **asdict(self) | more)

    def of(self, desk: Desk) -> ConversationFilter:
        """The same in storage's words; days are those of the reader's calendar.

        Raises:
            NotAllowed: the key is bound to another user.
            UnprocessableInput: a day is none.
        """
        return ConversationFilter(
            user_identifier=check_user(desk.caller, self.user or None, param="user"),
            model=self.model or None,
            updated_after=begin_of(self.since, "since", desk.zone),
            updated_before=end_of(self.until, "until", desk.zone),
            deleted=Deleted.ONLY if self.bin else Deleted.NO,
        )


Choice = Annotated[Chosen, Depends()]
"""It, as the address of a request has it."""


def told(wanted: ConversationFilter) -> dict[str, str]:
    """The filters that are set, for an archive's manifest, in the words of the API.

    A day that a reader has chosen is told by its moments: the last one is in the archive whole, and
    whoever reads the archive later has another clock.
    """
    after, before = wanted.updated_after, wanted.updated_before
    given = {
        "user_identifier": wanted.user_identifier,
        "model": wanted.model,
        "updated_after": after.isoformat() if after else None,
        "updated_before": before.isoformat() if before else None,
        "deleted": wanted.deleted.value if wanted.deleted is not Deleted.NO else None,
    }
    return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list. `heading` stands above the first one of a day."""

    conversation: Conversation
    heading: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the list, the address of the next, and how many there are in all."""

    entries: list[Entry]
    more: str | None
    total: int


async def stretch_of(desk: Desk, chosen: Chosen, *, cursor: str = "", day: str = "") -> Stretch:
    """The part of the list behind *cursor*; *day* is the heading that stands there already.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
    """
    async with desk.services.database.read() as connection:
        page = await ConversationRepository(connection, desk.caller).page(
            chosen.of(desk), PageRequest(limit=ROWS, cursor=cursor or None)
        )
    trail, detail = desk.trail(Action.LIST_CONVERSATIONS), {"conversations": len(page.items)}
    await trail.leave(user=chosen.user or None, detail=detail, is_sealed=not page.items)
    entries: list[Entry] = []
    for conversation in page.items:
        own_day = day_of(conversation.updated_at, desk)
        entries.append(Entry(conversation, "" if own_day == day else own_day))
        day = own_day
    more = chosen.link("/ui", cursor=page.next_cursor, day=day) if page.next_cursor else None
    return Stretch(entries, more, page.total)


def day_of(moment: datetime, desk: Desk) -> str:
    """The day of *moment* in the reader's words: today, yesterday, or its date."""
    local, today = on_clock(moment, desk.zone).date(), desk.now.date()
    if local == today:
        return desk.words("today")
    if local == today - timedelta(days=1):
        return desk.words("yesterday")
    if local.year == today.year:
        month = desk.words(f"month.{local.month}")
        return desk.words("day_of_year", month=month, day=local.day)
    return local.isoformat()
