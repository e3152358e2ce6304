"""What the database holds of a run: every recorded call with its question and its answer."""

import time

from sqlalchemy import select
from tests.chaos.history import Stored
from tests.databases import run_apart
from tests.proxies import RunningProxy

from officeai_proxy.storage.database import Database
from officeai_proxy.storage.migrations import check
from officeai_proxy.storage.tables import conversation_messages, exchanges


def wait_until_stored(proxy: RunningProxy, *, patience: float = 60.0) -> None:
    """Wait until nothing waits in the journal any more."""
    deadline = time.monotonic() + patience
    while (health := proxy.get("/health").json())["recorder"]["pending"]:
        assert time.monotonic() < deadline, health
        time.sleep(0.1)


def stored_calls(url: str) -> list[Stored]:
    """Every recorded call in the database at *url*, which must pass its own check too."""

    async def read() -> list[Stored]:
        database = Database(url)
        try:
            assert await check(database) == []
            async with database.read() as connection:
                return await _read(connection)
        finally:
            await database.close()

    return run_apart(read())


async def _read(connection) -> list[Stored]:  # type: ignore[no-untyped-def]
    m = conversation_messages.c
    rows = await connection.execute(
        select(m.exchange_id, m.role, m.content, exchanges.c.outcome)
        .join(exchanges, exchanges.c.id == m.exchange_id)
        .order_by(m.id)
    )
    questions: dict[int, list[tuple[str, str]]] = {}
    answers: dict[int, str] = {}
    for row in rows:
        if row.role == "user":
            questions.setdefault(row.exchange_id, []).append((row.content, row.outcome))
        else:
            answers[row.exchange_id] = row.content
    return [
        Stored(question, answers.get(exchange), outcome)
        for exchange, asked in questions.items()
        for question, outcome in asked
    ]
