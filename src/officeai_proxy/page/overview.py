"""The overview: how many calls, how slow, how many tokens, what cost, what fails, who and which."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from officeai_proxy.auth.permissions import check_user
from officeai_proxy.health.routes import pulse_of
from officeai_proxy.model import iso_text
from officeai_proxy.page.charts import Chart, Kind, Series, chart_of
from officeai_proxy.page.desk import Desk, ReadingDesk
from officeai_proxy.page.figures import dollars, number, seconds
from officeai_proxy.page.forms import Name, address_of
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.calls.filter import CallFilter
from officeai_proxy.storage.calls.stats import CallStats, GroupBy, StatsRepository
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()

NAMES = 8
"""How many models, users and keys are told one by one."""


class Span(StrEnum):
    """How far the charts go back."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"

    @property
    def by(self) -> GroupBy:
        """What one place of a chart stands for."""
        return GroupBy.HOUR if self in (Span.DAY, Span.WEEK) else GroupBy.DAY

    @property
    def places(self) -> int:
        """How many places a chart has."""
        return {"24h": 24, "7d": 168, "30d": 30, "90d": 90}[self.value]


@dataclass(frozen=True, slots=True)
class Looked:
    """Which calls a reader looks at; empty texts are no filter."""

    span: Span = Span.DAY
    user: Name = ""
    model: Name = ""
    key: Name = ""

    def link(self, **more: str) -> str:
        """The address of the overview with these choices, and with *more* in place of them."""
        return address_of("/ui/overview", **asdict(self) | more)


@dataclass(frozen=True, slots=True)
class Moments:
    """The places of the time axis: what storage calls each, and what a reader does."""

    keys: Sequence[str]
    labels: Sequence[str]
    begin: datetime


@router.get("/ui/overview")
async def show_overview(desk: ReadingDesk, looked: Annotated[Looked, Depends()]) -> Response:
    """Numbers of the calls of a stretch of time, as charts and as text."""
    # Hours and days of a chart are all of one length, as the clock of today has them.
    ahead = desk.now.utcoffset() or timedelta()
    moments = moments_of(looked.span, desk.now.astimezone(timezone(ahead)))
    wanted = CallFilter(
        user=check_user(desk.caller, looked.user or None, param="user"),
        model=looked.model or None,
        key=looked.key or None,
        after=moments.begin,
    )
    async with desk.services.database.read() as connection:
        stats = StatsRepository(connection, desk.caller)
        over_time = await stats.page(wanted, PageRequest(limit=200), by=looked.span.by, ahead=ahead)
        names = {
            by.value: (await stats.page(wanted, PageRequest(limit=NAMES), by=by)).groups.items
            for by in (GroupBy.MODEL, GroupBy.USER, GroupBy.KEY)
        }
    trail, found = desk.trail(Action.READ_STATISTICS), over_time.groups.items
    await trail.leave(user=wanted.user, detail={"group_by": "page"}, is_sealed=not found)
    known = {group.key: group.stats for group in found}
    rows = [known.get(name, CallStats()) for name in moments.keys]
    return await desk.show(
        "overview.html",
        looked=looked,
        spans=list(Span),
        total=told(over_time.total),
        charts=charts_of(desk, moments, rows),
        rows=[
            (label, told(stats))
            for label, stats in reversed(list(zip(moments.labels, rows, strict=True)))
            if stats.calls
        ],
        names={
            name: [(group.key, told(group.stats)) for group in groups]
            for name, groups in names.items()
        },
        health=await pulse_of(desk.request).health(),
    )


def moments_of(span: Span, now: datetime) -> Moments:
    """The places of a chart that ends *now*, on the clock of *now*."""
    if span.by is GroupBy.HOUR:
        last = now.replace(minute=0, second=0, microsecond=0)
        step = timedelta(hours=1)
    else:
        last = now.replace(hour=0, minute=0, second=0, microsecond=0)
        step = timedelta(days=1)
    begins = [last - step * back for back in reversed(range(span.places))]
    if span.by is GroupBy.DAY:
        keys = [moment.date().isoformat() for moment in begins]
        return Moments(keys, [f"{moment:%m-%d}" for moment in begins], begins[0])
    keys = [iso_text(moment) for moment in begins]
    form = "%H:%M" if span is Span.DAY else "%m-%d %H:%M"
    return Moments(keys, [f"{moment:{form}}" for moment in begins], begins[0])


def charts_of(desk: Desk, moments: Moments, rows: Sequence[CallStats]) -> list[Chart]:
    """The five questions as charts; what it cost is asked only where a price is known."""
    words, has_cost = desk.words, any(row.cost for row in rows)
    return [
        chart_of(
            words(question.title),
            moments.labels,
            [
                Series(words(name), question.kind, [value(row) for row in rows])
                for name, value in question.values
            ],
            written=question.written,
        )
        for question in _QUESTIONS
        if has_cost or question.title != "chart.cost"
    ]


@dataclass(frozen=True, slots=True)
class Told:
    """The numbers of some calls as text."""

    calls: str
    errors: str
    has_errors: bool
    tokens: str
    cost: str
    unpriced: int
    p50: str
    p95: str
    ttft: str


def told(stats: CallStats) -> Told:
    """*stats* for people; what is not known is a dash."""
    return Told(
        calls=number(stats.calls),
        errors=number(stats.errors),
        has_errors=stats.errors > 0,
        tokens=number(stats.total_tokens),
        cost="–" if stats.cost is None else dollars(stats.cost),
        unpriced=stats.calls - stats.priced_calls if stats.priced_calls else 0,
        p50=_time(stats.latency.percentile(50)),
        p95=_time(stats.latency.percentile(95)),
        ttft=_time(stats.ttft.percentile(50)),
    )


def _time(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else seconds(milliseconds)


@dataclass(frozen=True, slots=True)
class _Question:
    """What one chart answers: its title, how it is drawn, and where its numbers are."""

    title: str
    kind: Kind
    written: Callable[[float], str]
    values: Sequence[tuple[str, Callable[[CallStats], float | None]]]


_QUESTIONS = (
    _Question(
        "chart.calls",
        Kind.BARS,
        number,
        (
            ("number.good", lambda row: row.calls - row.errors),
            ("number.errors", lambda row: row.errors),
        ),
    ),
    _Question(
        "chart.latency",
        Kind.LINE,
        seconds,
        (
            ("number.p50", lambda row: row.latency.percentile(50)),
            ("number.p95", lambda row: row.latency.percentile(95)),
        ),
    ),
    _Question(
        "chart.ttft",
        Kind.LINE,
        seconds,
        (
            ("number.p50", lambda row: row.ttft.percentile(50)),
            ("number.p95", lambda row: row.ttft.percentile(95)),
        ),
    ),
    _Question(
        "chart.tokens",
        Kind.BARS,
        number,
        (
            ("number.prompt", lambda row: row.prompt_tokens),
            ("number.completion", lambda row: row.completion_tokens),
        ),
    ),
    _Question("chart.cost", Kind.BARS, dollars, (("number.cost", lambda row: row.cost),)),
)
