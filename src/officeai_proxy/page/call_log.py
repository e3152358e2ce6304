"""The call log as a table: every call, newest first, narrowed down, and more while scrolling."""

from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from officeai_proxy.api.values import PlainText
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.model import FAILED, FIRST_ERROR_STATUS, CallRecord, Outcome
from officeai_proxy.page.days import begin_of, end_of
from officeai_proxy.page.desk import Desk, ReadingDesk
from officeai_proxy.page.figures import dollars, seconds
from officeai_proxy.page.forms import Cursor, Name, address_of
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.calls.filter import CallFilter
from officeai_proxy.storage.calls.log import CallRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()

CALLS = 80
"""Calls of one stretch of the table."""


@dataclass(frozen=True, slots=True)
class CallChoice:
    """What a reader has narrowed the log down to; empty texts are no filter."""

    user: Name = ""
    model: Name = ""
    key: Name = ""
    session: Name = ""
    outcome: Annotated[PlainText, Query(max_length=255)] = ""
    errors: Annotated[str, Query(max_length=255)] = ""
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""

    @property
    def is_narrowed(self) -> bool:
        """Whether calls may be left out."""
        return any(asdict(self).values())

    def link(self, **more: str) -> str:
        """The address of the log with these filters, and *more*."""
        return address_of("/ui/calls", **asdict(self) | more)

    def of(self, desk: Desk) -> CallFilter:
        """The same in storage's words; days are those of the reader's calendar.

        Raises:
            NotAllowed: the key is bound to another user.
            UnprocessableInput: a day is none.
        """
        return CallFilter(
            user=check_user(desk.caller, self.user or None, param="user"),
            model=self.model or None,
            key=self.key or None,
            session=self.session or None,
            outcome=self.outcome or None,
            has_error=True if self.errors else None,
            after=begin_of(self.since, "since", desk.zone),
            before=end_of(self.until, "until", desk.zone),
        )


@dataclass(frozen=True, slots=True)
class CallShown:
    """A call, and its numbers as text."""

    call: CallRecord
    took: str
    first: str
    cost: str

    @property
    def is_error(self) -> bool:
        """Whether it failed, or was refused: as in statistics, and as "Errors only" has it."""
        return self.call.outcome in FAILED or (self.call.status or 0) >= FIRST_ERROR_STATUS


@router.get("/ui/calls")
async def show_calls(
    desk: ReadingDesk,
    choice: Annotated[CallChoice, Depends()],
    cursor: Cursor = "",
) -> Response:
    """The calls that the filters leave: names and numbers, nothing of their content."""
    wanted = choice.of(desk)
    async with desk.services.database.read() as connection:
        page = await CallRepository(connection, desk.caller).page(
            wanted, PageRequest(limit=CALLS, cursor=cursor or None)
        )
    trail, detail = desk.trail(Action.LIST_CALLS), {"calls": len(page.items)}
    await trail.leave(user=wanted.user, detail=detail, is_sealed=not page.items)
    return await desk.show(
        "part_calls.html" if desk.part == "more" else "calls.html",
        choice=choice,
        calls=[_shown(call) for call in page.items],
        more=choice.link(cursor=page.next_cursor) if page.next_cursor else None,
        outcomes=[outcome.value for outcome in Outcome],
    )


def _shown(call: CallRecord) -> CallShown:
    first = "" if call.ttft_ms is None else seconds(call.ttft_ms)
    cost = "" if call.cost is None else dollars(call.cost)
    return CallShown(call, seconds(call.latency_ms), first, cost)
