"""The route of statistics: calls in groups, their numbers out."""

import re
from datetime import timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Fresh, Reader
from officeai_proxy.api.lists import AList, HasMore, LimitAsked, NextCursor
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import Cursor, Limit
from officeai_proxy.audit import Trail
from officeai_proxy.history import examples
from officeai_proxy.history.call_filters import Filters
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.calls.stats import CallStats, GroupBy, StatsPage, StatsRepository
from officeai_proxy.storage.calls.times import Times

router = APIRouter(tags=["Calls"], route_class=JsonRoute, default_response_class=JsonAnswer)

_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):?([0-5]\d)", re.ASCII)


def read_offset(value: object) -> timedelta:
    """How far a clock such as `+08:00` is ahead of UTC; `Z` is UTC itself.

    Raises:
        ValueError: it is no such offset.
    """
    if not isinstance(value, str):
        raise ValueError("Input should be a text such as +08:00")
    # A plus sign in an address that was not escaped arrives as a space.
    match = _OFFSET.fullmatch(re.sub(r"^ ", "+", value))
    if match is None and value not in ("Z", "z"):
        raise ValueError("Input should be an offset such as +08:00 (+ is %2B in URLs)")
    if match is None:
        return timedelta(0)
    ahead = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -ahead if match[1] == "-" else ahead


ClockOffset = Annotated[
    timedelta,
    BeforeValidator(read_offset),
    # Pydantic would call it a duration, such as PT8H, which is not taken here.
    WithJsonSchema({"type": "string", "examples": ["+08:00"]}),
]


class Percentiles(BaseModel):
    """The times that so many of the calls did not exceed, in ms; null when there are none."""

    p50: float | None = Field(description="Half of them.")
    p95: float | None = Field(description="95 of a hundred.")
    p99: float | None = Field(description="99 of a hundred.")

    @classmethod
    def of(cls, times: Times) -> Self:
        """The percentiles of *times*."""
        return cls(p50=times.percentile(50), p95=times.percentile(95), p99=times.percentile(99))


class Numbers(BaseModel):
    """What some calls add up to."""

    calls: int = Field(description="How many calls.")
    errors: int = Field(description="Calls that failed, or whose status is 400 or more.")
    prompt_tokens: int = Field(description="Tokens of what was asked.")
    completion_tokens: int = Field(description="Tokens of what was answered.")
    total_tokens: int = Field(description="Both together, as the upstream told them.")
    cost: float | None = Field(description="US dollars; null when no call has a known cost.")
    priced_calls: int = Field(description="How many calls `cost` is the sum of.")
    latency_ms: Percentiles = Field(description="From the request to the end of the reply.")
    ttft_ms: Percentiles = Field(description="From the request to the reply's first byte.")

    @classmethod
    def numbers_of(cls, stats: CallStats) -> "Numbers":
        """The numbers of *stats*."""
        return Numbers(
            calls=stats.calls,
            errors=stats.errors,
            prompt_tokens=stats.prompt_tokens,
            completion_tokens=stats.completion_tokens,
            total_tokens=stats.total_tokens,
            cost=stats.cost,
            priced_calls=stats.priced_calls,
            latency_ms=Percentiles.of(stats.latency),
            ttft_ms=Percentiles.of(stats.ttft),
        )


class Group(Numbers):
    """One group; its key is null where a call has none."""

    key: str | None = Field(description="The day, hour, model, user or whatever `group_by` says.")


class Stats(BaseModel):
    """A page of groups, and all calls together."""

    model_config = ConfigDict(json_schema_extra={"example": examples.STATS})

    object: AList = "list"
    group_by: GroupBy = Field(description="What the calls are added up by.")
    data: list[Group] = Field(description="The groups.")
    total: Numbers = Field(description="All calls of all pages together.")
    limit: LimitAsked
    has_more: HasMore
    next_cursor: NextCursor

    @classmethod
    def of(cls, page: StatsPage, by: GroupBy, *, limit: int) -> Self:
        """The answer that tells *page*."""
        return cls(
            group_by=by,
            data=[
                Group(key=group.key, **dict(Numbers.numbers_of(group.stats)))
                for group in page.groups.items
            ],
            total=Numbers.numbers_of(page.total),
            limit=limit,
            has_more=page.groups.has_more,
            next_cursor=page.groups.next_cursor,
        )


@router.get("/stats", summary="Count calls", responses=problems())
async def count_calls(
    filters: Annotated[Filters, Depends()],
    trail: Annotated[Trail, audited(Action.READ_STATISTICS)],
    caller: Reader,
    services: Fresh,
    group_by: Annotated[GroupBy, Query(description="What calls are added up by.")] = GroupBy.DAY,
    utc_offset: Annotated[
        ClockOffset | None,
        Query(description="Whose days and hours: an offset such as `+08:00`; UTC without it."),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Stats:
    """Calls, errors, tokens, cost, latency and time to first token, in groups and in total.

    Days and hours come latest first, names by their calls. Percentiles are within 3.2 %.
    """
    wanted = filters.of(caller)
    async with services.database.read() as connection:
        page = await StatsRepository(connection, caller).page(
            wanted,
            page_request(limit=limit, cursor=cursor),
            by=group_by,
            ahead=utc_offset or timedelta(0),
        )
    detail = {"group_by": group_by.value}
    await trail.leave(user=wanted.user, detail=detail, is_sealed=not page.groups.items)
    return Stats.of(page, group_by, limit=limit)
