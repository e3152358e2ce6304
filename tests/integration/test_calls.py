"""The call log on both databases."""

from uuid import UUID

import pytest
from tests.integration.stored import ALICE_ONLY, ELSEWHERE, HERE, MINUTE, NOW, log_call

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import Caller, CallRecord, Outcome, Usage
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest, Stretch, make_cursor


async def page(
    database: Database,
    wanted: CallFilter | None = None,
    *,
    caller: Caller = HERE,
    limit: int = 50,
    cursor: str | None = None,
) -> Stretch[CallRecord]:
    async with database.read() as connection:
        return await CallRepository(connection, caller).page(
            wanted or CallFilter(), PageRequest(limit, cursor=cursor)
        )


async def numbers(
    database: Database, wanted: CallFilter | None = None, *, caller: Caller = HERE
) -> list[int]:
    return [call.exchange_id.int for call in (await page(database, wanted, caller=caller)).items]


async def test_other_workspace_sees_nothing(database: Database) -> None:
    """Calls of one workspace are invisible from another, also by their id."""
    async with database.write() as connection:
        await log_call(connection, 1)

    assert await numbers(database, caller=ELSEWHERE) == []
    wanted = CallFilter(exchange_id=str(UUID(int=1)))
    assert await numbers(database, wanted, caller=ELSEWHERE) == []
    assert await numbers(database, wanted) == [1]


async def test_bound_key_sees_its_user_only(database: Database) -> None:
    """A key of one user sees that user's calls, not others' and not nameless ones."""
    async with database.write() as connection:
        await log_call(connection, 1, user_identifier="alice")
        await log_call(connection, 2, user_identifier="bob")
        await log_call(connection, 3)

    assert await numbers(database, caller=ALICE_ONLY) == [1]
    assert await numbers(database, CallFilter(user="bob"), caller=ALICE_ONLY) == []


@pytest.mark.parametrize(
    "cursor", ["x", make_cursor("calls", ("yesterday", 1)), make_cursor("calls", (NOW, "1"))]
)
async def test_forged_cursor_is_refused(database: Database, cursor: str) -> None:
    """A cursor with the wrong kinds of keys is refused before it reaches the database."""
    with pytest.raises(UnprocessableInput):
        await page(database, cursor=cursor)


async def test_newest_first_in_pages(database: Database) -> None:
    """Page by page gives each call once, newest first, also when two began at the same moment."""
    async with database.write() as connection:
        for number in range(1, 6):
            await log_call(connection, number, started_at=NOW + (number // 2) * MINUTE)
    first = await page(database, limit=2)
    second = await page(database, limit=2, cursor=first.next_cursor)
    third = await page(database, limit=2, cursor=second.next_cursor)
    found = [call.exchange_id.int for part in (first, second, third) for call in part.items]

    assert found == [5, 4, 3, 2, 1]
    assert second.has_more
    assert (third.has_more, third.next_cursor) == (False, None)


async def test_filters(database: Database) -> None:
    """Each filter keeps what it names; what cannot be a value of the column matches nothing."""
    async with database.write() as connection:
        await log_call(connection, 1, user_identifier="alice", session_id="s1", status_code=200)
        await log_call(connection, 2, model_asked="officeai", model_served="qwen", status_code=429)
        await log_call(connection, 3, outcome="client_closed", path="/v1/embeddings")

    for wanted, expected in [
        (CallFilter(user="alice"), [1]),
        (CallFilter(session="s1"), [1]),
        (CallFilter(model="officeai"), [2]),
        (CallFilter(model="qwen"), [2]),
        (CallFilter(outcome="client_closed"), [3]),
        (CallFilter(outcome="no such outcome"), []),
        (CallFilter(api="/v1/embeddings"), [3]),
        (CallFilter(exchange_id=str(UUID(int=2))), [2]),
        (CallFilter(exchange_id="no uuid"), []),
        (CallFilter(status=429), [2]),
        (CallFilter(status=2**40), []),
        (CallFilter(after=NOW + 2 * MINUTE), [3, 2]),
        (CallFilter(before=NOW + 2 * MINUTE), [1]),
    ]:
        assert await numbers(database, wanted) == expected, wanted


async def test_comes_back_as_it_was(database: Database) -> None:
    """Every field of a call is read as it was written, and what is unknown stays unknown."""
    async with database.write() as connection:
        await log_call(
            connection,
            1,
            user_identifier="用户",
            session_id="会话",
            ttft_ms=3.25,
            status_code=200,
            stream=True,
            retry_count=2,
            error="no",
            model_asked="a",
            model_served="b",
            prompt_tokens=2**40,
            completion_tokens=5,
            total_tokens=2**40 + 5,
            cost=0.125,
        )
        await log_call(connection, 2)
    plain, full = (await page(database)).items

    assert full == CallRecord(
        exchange_id=UUID(int=1),
        workspace="default",
        key_id="key-1",
        method="POST",
        path="/v1/chat/completions",
        upstream="api.example.com",
        started_at=NOW + MINUTE,
        latency_ms=12.5,
        outcome=Outcome.COMPLETE,
        client_ip="127.0.0.1",
        user="用户",
        session="会话",
        status=200,
        ttft_ms=3.25,
        model_asked="a",
        model_served="b",
        stream=True,
        retry_count=2,
        error="no",
        usage=Usage(2**40, 5, 2**40 + 5),
        cost=0.125,
    )
    assert (plain.user, plain.status, plain.stream, plain.usage) == (None, None, False, Usage())
