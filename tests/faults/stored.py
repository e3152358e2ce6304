"""What the database holds of a run: every recorded call with its question and its answer."""

import json
import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.databases import run_apart
from tests.faults.history import Stored
from tests.proxies import RunningProxy

from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges


def wait_until_stored(proxy: RunningProxy, *, patience: float = 60.0) -> None:
    """Wait until nothing waits in the journal any more."""
    deadline = time.monotonic() + patience
    while (health := proxy.get("/health").json())["recorder"]["pending"]:
        assert time.monotonic() < deadline, health
        time.sleep(0.1)


def reasons_for_setting_aside(proxy: RunningProxy) -> list[str]:
    """Why calls were set aside, each reason once."""
    folder = proxy.folder / "data" / "journal" / "set-aside"
    return sorted({str(json.loads(file.read_bytes())["reason"]) for file in folder.glob("*.json")})


def stored_calls(url: str, *, label: str = "") -> list[Stored]:
    """Every recorded call in the database at *url*, which must pass its own check too.

    With *label*, only those in sessions whose names begin with it.
    """

    async def read() -> list[Stored]:
        database = Database(url)
        try:
            assert await check(database) == []
            async with database.read() as connection:
                return await _read(connection, label)
        finally:
            await database.close()

    return run_apart(read())


async def _read(connection: AsyncConnection, label: str) -> list[Stored]:
    m, c = conversation_messages.c, conversations.c
    rows = await connection.execute(
        select(m.id, m.exchange_id, m.role, m.content, exchanges.c.outcome)
        .join(conversations, c.id == m.conversation_id)
        .outerjoin(exchanges, exchanges.c.id == m.exchange_id)
        .where(c.session_id.startswith(label, autoescape=True))
        .order_by(m.id)
    )
    asked: dict[object, list[tuple[str, str | None]]] = {}
    answers: dict[object, tuple[str, str | None]] = {}
    for row in rows:
        # A message that came with no call at all is a call of its own: an orphan.
        exchange = row.exchange_id or ("alone", row.id)
        if row.role == "user":
            asked.setdefault(exchange, []).append((row.content, row.outcome))
        else:
            answers[exchange] = (row.content, row.outcome)
    found = [
        Stored(question, answers.get(exchange, (None, None))[0], outcome)
        for exchange, questions in asked.items()
        for question, outcome in questions
    ]
    alone = [Stored(None, *answers[exchange]) for exchange in answers.keys() - asked.keys()]
    return found + alone
