"""Statistics on both databases: walls first, then the numbers against a count by hand."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text
from tests.factories import an_exchange, assistant, user
from tests.integration.stored import ALICE_ONLY, ELSEWHERE, HERE, NOW

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import Caller, CallRecord, Outcome, Usage
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import LoggedCall, write
from officeai_proxy.storage.calls.filter import CallFilter
from officeai_proxy.storage.calls.stats import CallStats, GroupBy, StatsPage, StatsRepository
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.users import UserRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.tables import call_hour_times, call_hours, exchanges

DAY = timedelta(days=1)
PERCENTS = (50, 95, 99)


def a_call(number: int = 0, **more: object) -> CallRecord:
    """A call that went well; *number* tells it from others."""
    given: dict[str, object] = {
        "exchange_id": uuid4(),
        "workspace": "default",
        "key_id": "key-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "api.example.com",
        "started_at": NOW + timedelta(minutes=number),
        "latency_ms": 100.0,
        "outcome": Outcome.COMPLETE,
        "client_ip": "127.0.0.1",
        "status": 200,
    }
    return CallRecord(**(given | more))  # type: ignore[arg-type]  # a test's own fields


async def record(database: Database, *calls: CallRecord) -> None:
    """Store calls as the recorder does."""
    async with SqlExchangeStore(database).transaction() as transaction:
        await transaction.save([], [LoggedCall(call, None) for call in calls])


async def stats_of(
    database: Database,
    wanted: CallFilter | None = None,
    *,
    by: GroupBy = GroupBy.DAY,
    caller: Caller = HERE,
    limit: int = 1000,
    cursor: str | None = None,
    ahead: timedelta = timedelta(0),
) -> StatsPage:
    async with database.read() as connection:
        return await StatsRepository(connection, caller).page(
            wanted or CallFilter(), PageRequest(limit, cursor=cursor), by=by, ahead=ahead
        )


async def counted(database: Database, **asked: object) -> dict[str | None, int]:
    page = await stats_of(database, **asked)  # type: ignore[arg-type]  # as above
    return {group.key: group.stats.calls for group in page.groups.items}


async def leftovers(database: Database) -> int:
    """How many rows the sums per hour have."""
    async with database.read() as connection:
        rows = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (call_hours, call_hour_times)
        ]
    return sum(rows)


async def test_other_workspaces_are_not_counted(database: Database) -> None:
    """The numbers of one workspace have no call of another, in no group and not in the total."""
    await record(database, a_call(1), a_call(2, workspace="other"), a_call(3, workspace="other"))

    for by in GroupBy:
        assert (await stats_of(database, by=by)).total.calls == 1
        assert (await stats_of(database, by=by, caller=ELSEWHERE)).total.calls == 2


async def test_a_bound_key_counts_its_user_only(database: Database) -> None:
    """A key of one user gets that user's numbers, whatever it groups by."""
    calls = [a_call(1, user="alice"), a_call(2, user="bob"), a_call(3)]
    await record(database, *calls)

    for by in GroupBy:
        page = await stats_of(database, by=by, caller=ALICE_ONLY)
        assert page.total.calls == sum(group.stats.calls for group in page.groups.items) == 1
    assert await counted(database, by=GroupBy.USER, caller=ALICE_ONLY) == {"alice": 1}
    assert (await stats_of(database, CallFilter(user="bob"), caller=ALICE_ONLY)).total.calls == 0


@pytest.mark.parametrize("by", list(GroupBy))
async def test_nothing_was_called(database: Database, by: GroupBy) -> None:
    """Without calls there are no groups, and the total is empty rather than absent."""
    page = await stats_of(database, by=by)

    assert page.groups.items == []
    assert page.total == CallStats()
    assert page.total.cost is None
    assert page.total.latency.percentile(50) is None
    last = datetime.max.replace(tzinfo=UTC)
    assert await stats_of(database, CallFilter(after=last), by=by) == page


async def test_a_cursor_of_another_grouping_is_refused(database: Database) -> None:
    """Page two of days cannot be asked for with the cursor of models."""
    await record(database, a_call(1, model_served="a"), a_call(2, model_served="b"))
    page = await stats_of(database, by=GroupBy.MODEL, limit=1)

    with pytest.raises(UnprocessableInput):
        await stats_of(database, by=GroupBy.DAY, limit=1, cursor=page.groups.next_cursor)


async def test_an_error_is_what_its_caller_took_for_one(database: Database) -> None:
    """Failed outcomes and statuses from 400 are errors; a caller who left is none."""
    await record(
        database,
        *(a_call(number, outcome=outcome) for number, outcome in enumerate(Outcome)),
        a_call(outcome=Outcome.CLIENT_CLOSED, status=413),
        a_call(outcome=Outcome.COMPLETE, status=None),
    )

    assert (await stats_of(database)).total.errors == 5
    for has_error, expected in ((True, 5), (False, 4)):
        wanted = CallFilter(has_error=has_error)
        assert (await stats_of(database, wanted)).total.calls == expected


async def test_an_unknown_price_is_not_free(database: Database) -> None:
    """Costs add up over the calls that have one; without any there is none."""
    await record(database, a_call(1, cost=0.1), a_call(2, cost=0.2), a_call(3), a_call(1441))
    page = await stats_of(database)

    assert [(g.key, g.stats.cost, g.stats.priced_calls) for g in page.groups.items] == [
        ("2026-11-21", None, 0),
        ("2026-11-20", 0.3, 2),
    ]


async def test_days_begin_where_the_clock_says(database: Database) -> None:
    """A day of UTC+8 begins at 16:00 UTC, one of UTC+5:30 at 18:30, to the microsecond."""
    midnight = datetime(2026, 11, 20, 16, tzinfo=UTC)
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(hours=2.5)]
    await record(database, *(a_call(started_at=moment) for moment in moments))

    assert await counted(database) == {"2026-11-20": 3}
    eight = await counted(database, ahead=timedelta(hours=8))
    assert eight == {"2026-11-21": 2, "2026-11-20": 1}
    half = await counted(database, ahead=timedelta(hours=5.5))
    assert half == {"2026-11-21": 1, "2026-11-20": 2}
    hours = await counted(database, by=GroupBy.HOUR, ahead=timedelta(hours=8))
    assert list(hours) == [
        "2026-11-21T02:00:00+08:00",
        "2026-11-21T00:00:00+08:00",
        "2026-11-20T23:00:00+08:00",
    ]
    assert "2026-11-20T15:00:00Z" in await counted(database, by=GroupBy.HOUR)


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(),
        CallFilter(method="POST"),
        CallFilter(after=NOW - timedelta(minutes=1), before=NOW + timedelta(hours=2.5)),
    ],
    ids=["from the sums", "from the log", "from both"],
)
async def test_pages_have_every_group_once(database: Database, wanted: CallFilter) -> None:
    """Models come by their calls, then by name; the total is that of all pages on each."""
    calls = [a_call(n, model_served=m) for n, m in enumerate(["a", "b", "b", "c", "c", "d", None])]
    await record(database, *calls)
    found, cursor = [], None
    while True:
        page = await stats_of(database, wanted, by=GroupBy.MODEL, limit=2, cursor=cursor)
        found += [(group.key, group.stats.calls) for group in page.groups.items]
        assert page.total.calls == len(calls)
        assert page.total.latency.total() == len(calls)
        cursor = page.groups.next_cursor
        if cursor is None:
            break

    assert found == [("b", 2), ("c", 2), (None, 1), ("a", 1), ("d", 1)]
    days = await stats_of(database, wanted, by=GroupBy.HOUR, limit=1)
    assert not days.groups.has_more


async def test_what_is_erased_is_not_counted_any_more(database: Database) -> None:
    """Erasing a conversation and a user takes their calls off, and leaves no row of zeros."""
    turns = [read_turn(an_exchange([user("q")], [assistant("a")], session=s)) for s in ("s1", "s2")]
    others = [read_turn(an_exchange(session=None, is_recorded=False, usage=None))]
    await write(SqlExchangeStore(database), [*turns, *others])
    assert (await stats_of(database)).total.calls == 3

    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        await repository.erase(await repository.find("s1"), now=NOW)
    page = await stats_of(database, by=GroupBy.MODEL)
    assert (page.total.calls, page.total.latency.total(), page.total.ttft.total()) == (2, 2, 2)
    async with database.write() as connection:
        assert await UserRepository(connection, HERE).erase_calls("ann", limit=9, now=NOW) == 2

    assert (await stats_of(database)).total.calls == 0
    assert await leftovers(database) == 0


async def test_the_sums_are_those_of_the_log(database: Database) -> None:
    """After calls came and some went, every hour has exactly what the log has for it."""
    calls = [
        a_call(n * 7, model_served="ab"[n % 2], key_id=f"k{n % 3}", cost=n / 7, latency_ms=n * 3.7)
        for n in range(60)
    ]
    await record(database, *calls)
    async with database.write() as connection:
        gone = exchanges.c.exchange_id.in_([call.exchange_id for call in calls[::2]])
        await connection.execute(delete(exchanges).where(gone))
    left = calls[1::2]

    # A filter that keeps everything makes the same question be answered by the log itself.
    for by in GroupBy:
        by_hours = await stats_of(database, by=by)
        by_log = await stats_of(database, CallFilter(min_latency_ms=0), by=by)
        assert by_hours == by_log
        assert by_hours.total.calls == len(left)


async def test_writers_at_once_count_everything(database: Database) -> None:
    """Recorders of several hosts and an erasure work on the same hours; none waits for ever."""

    async def come(worker: int) -> None:
        for batch in range(6):
            names = [f"m{(worker + batch + n) % 5}" for n in range(8)]
            kept = [a_call(n * 30, model_served=m, user="ann") for n, m in enumerate(names)]
            await record(database, *kept, *(a_call(n * 30, user="gone") for n in range(8)))

    async def go() -> None:
        for _ in range(12):
            async with database.write() as connection:
                await UserRepository(connection, HERE).erase_calls("gone", limit=13, now=NOW)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for worker in range(3):
            tasks.create_task(come(worker))
        tasks.create_task(go())
    async with database.write() as connection:
        await UserRepository(connection, HERE).erase_calls("gone", limit=999, now=NOW)

    by_hours = await stats_of(database, by=GroupBy.MODEL)
    assert by_hours == await stats_of(database, CallFilter(min_latency_ms=0), by=GroupBy.MODEL)
    assert by_hours.total.calls == 3 * 6 * 8


moments = st.timedeltas(timedelta(0), 3 * DAY).map(
    lambda passed: datetime(2026, 11, 18, tzinfo=UTC) + passed
)
whole_hours = st.integers(0, 72).map(
    lambda hours: datetime(2026, 11, 18, tzinfo=UTC) + timedelta(hours=hours)
)
calls_of_any_kind = st.builds(
    a_call,
    started_at=moments,
    model_served=st.sampled_from([None, "gpt-4o", "模型"]),
    model_asked=st.sampled_from([None, "officeai"]),
    user=st.sampled_from([None, "ann", "用户"]),
    session=st.sampled_from([None, "s1", "s2"]),
    key_id=st.sampled_from(["k1", "k2"]),
    outcome=st.sampled_from(Outcome),
    status=st.sampled_from([None, 200, 429]),
    latency_ms=st.floats(0, 1e9),
    ttft_ms=st.none() | st.floats(0, 1e6),
    cost=st.none() | st.floats(0, 100).map(lambda cost: round(cost, 9)),
    usage=st.builds(Usage, *[st.none() | st.integers(0, 10**6) for _ in range(3)]),
)

KEYS: dict[GroupBy, Callable[[CallRecord, timezone], str | None]] = {
    GroupBy.DAY: lambda call, zone: call.started_at.astimezone(zone).date().isoformat(),
    GroupBy.HOUR: lambda call, zone: (
        call.started_at.astimezone(zone)
        .replace(minute=0, second=0, microsecond=0)
        .isoformat()
        .replace("+00:00", "Z")
    ),
    GroupBy.MODEL: lambda call, _: call.model_served or call.model_asked,
    GroupBy.USER: lambda call, _: call.user,
    GroupBy.SESSION: lambda call, _: call.session,
    GroupBy.KEY: lambda call, _: call.key_id,
}


@dataclass
class Expected:
    """The numbers of some calls, counted by hand."""

    calls: Sequence[CallRecord]

    def check(self, stats: CallStats) -> None:
        calls = self.calls
        failed = {"upstream_error", "upstream_timeout", "shutdown", "interrupted"}
        errors = [c for c in calls if c.outcome in failed or (c.status or 0) >= 400]
        assert (stats.calls, stats.errors) == (len(calls), len(errors))
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert getattr(stats, name) == sum(getattr(c.usage, name) or 0 for c in calls)
        costs = [c.cost for c in calls if c.cost is not None]
        assert stats.cost == (pytest.approx(math.fsum(costs), abs=1e-9) if costs else None)
        self._check_times([c.latency_ms for c in calls], stats.latency.percentile)
        ttfts = [c.ttft_ms for c in calls if c.ttft_ms is not None]
        self._check_times(ttfts, stats.ttft.percentile)

    def _check_times(self, times: list[float], percentile: Callable[[int], float | None]) -> None:
        for percent in PERCENTS:
            told = percentile(percent)
            if not times:
                assert told is None
                continue
            exact = sorted(times)[math.ceil(len(times) * percent / 100) - 1]
            exact = min(exact, 2.0**27)
            assert told == pytest.approx(exact, rel=1 / 31, abs=1 / 30)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), calls=st.lists(calls_of_any_kind, max_size=15))
async def test_numbers_are_those_of_a_count_by_hand(
    database: Database, data: st.DataObject, calls: list[CallRecord]
) -> None:
    """Any calls, grouped by anything, between any moments, on any clock: every number is right."""
    workspace = f"w-{uuid4()}"
    calls = [call_in(workspace, call) for call in calls]
    if calls:
        await record(database, *calls)
    by = data.draw(st.sampled_from(GroupBy))
    ahead = timedelta(hours=data.draw(st.sampled_from([0, 8, 5.5, -3])))
    edges = st.none() | moments | whole_hours
    wanted = CallFilter(after=data.draw(edges), before=data.draw(edges))
    inside = [
        call
        for call in calls
        if (wanted.after is None or call.started_at >= wanted.after)
        and (wanted.before is None or call.started_at < wanted.before)
    ]
    groups: dict[str | None, list[CallRecord]] = {}
    for call in inside:
        groups.setdefault(KEYS[by](call, timezone(ahead)), []).append(call)

    page = await stats_of(database, wanted, by=by, caller=Caller("k", workspace), ahead=ahead)

    assert {group.key for group in page.groups.items} == set(groups)
    for group in page.groups.items:
        Expected(groups[group.key]).check(group.stats)
    Expected(inside).check(page.total)


def call_in(workspace: str, call: CallRecord) -> CallRecord:
    fields = {name: getattr(call, name) for name in CallRecord.__dataclass_fields__}
    return CallRecord(**{**fields, "workspace": workspace, "exchange_id": uuid4()})


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE call_hours SET total_tokens = total_tokens + 1 WHERE dimension = 'model'",
            "the numbers of the model 'm' in the hour from 2026-11-20 09:00 are not",
        ),
        ("DELETE FROM call_hours WHERE dimension = 'all'", "the numbers in the hour from"),
        (
            "UPDATE call_hour_times SET calls = 7 WHERE dimension = 'key'",
            "the times of the key 'key-1' in the hour from",
        ),
    ],
)
async def test_hours_that_are_not_the_sums_of_their_calls_are_found(
    database: Database, statement: str, sentence: str
) -> None:
    """`db check` counts the log anew, and says which hour it is."""
    await record(database, *(a_call(number, model_served="m") for number in range(3)))
    assert await check(database) == []
    async with database.write() as connection:
        await connection.execute(text(statement))

    (fault,) = await check(database)
    assert sentence in fault
