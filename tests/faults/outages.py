"""A database that stops, is killed, has no room, has no time, is slow, or fails over; under load.

Each of them lasts so many seconds, and then ends by itself: no call fails for its client, nothing
is lost, and nobody restarts the program.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from tests.databases import PostgresServer, postgres_programs, run_apart
from tests.faults.clusters import StandbyPair
from tests.faults.report import Row
from tests.faults.stage import Stage, under_load
from tests.proxies import RunningProxy

Outage = Callable[[PostgresServer, str, float], None]

_SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON exchanges FOR EACH STATEMENT EXECUTE FUNCTION be_slow();
"""

# To drop the trigger one would have to wait for the table, for as long as it is written.
_FAST_AGAIN = """
CREATE OR REPLACE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RETURN NULL; END $$
"""


def stopped(server: PostgresServer, _name: str, seconds: float) -> None:
    """An administrator stops it, and starts it again."""
    server.stop("fast")
    time.sleep(seconds)
    server.start()


def killed(server: PostgresServer, _name: str, seconds: float) -> None:
    """It ends without a word, and has to recover from its log."""
    server.stop("immediate")
    time.sleep(seconds)
    server.start()


def exhausted(server: PostgresServer, name: str, seconds: float) -> None:
    """Others have taken every connection that it gives."""

    async def hold() -> None:
        held = [await asyncpg.connect(server.url())]
        await held[0].execute(_terminate(name))
        try:
            while True:
                held.append(await asyncpg.connect(server.url()))
        except asyncpg.TooManyConnectionsError:
            pass
        await asyncio.sleep(seconds)
        for connection in held:
            await connection.close()

    run_apart(hold())


def out_of_time(server: PostgresServer, name: str, seconds: float) -> None:
    """Each statement is cancelled after a millisecond."""
    server.execute(f"ALTER DATABASE {name} SET statement_timeout = '1ms'")
    server.execute(_terminate(name))
    time.sleep(seconds)
    server.execute(f"ALTER DATABASE {name} RESET statement_timeout")
    server.execute(_terminate(name))


def slow(server: PostgresServer, name: str, seconds: float) -> None:
    """Each batch takes its time."""
    server.execute(_SLOW, name=name)
    time.sleep(seconds)
    server.execute(_FAST_AGAIN, name=name)


OUTAGES: dict[str, Outage] = {
    "PostgreSQL stopped": stopped,
    "PostgreSQL killed": killed,
    "connections exhausted": exhausted,
    "statement timeouts": out_of_time,
    "slow database": slow,
}


def outage(stage: Stage, proxy: RunningProxy, url: str, fault: str, *, seconds: float) -> Row:
    """One of `OUTAGES` under load, on the stage's server, which must be nobody else's."""
    server, name = stage.server, urlsplit(url).path[1:]
    assert server is not None
    act = OUTAGES[fault]
    return under_load(
        proxy, url, fault, lambda: act(server, name, seconds), database=stage.database
    )


def locked(stage: Stage, *, seconds: float) -> Row:
    """Another program holds SQLite's write lock."""
    url = stage.url()
    file = Path(url.removeprefix("sqlite:///"))

    def act() -> None:
        other = sqlite3.connect(file, isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    with stage.proxy(url) as proxy:
        return under_load(proxy, url, "SQLite locked", act, database="sqlite")


def failover(stage: Stage, *, seconds: float) -> Row:
    """The primary dies, and a standby takes its place."""
    programs = postgres_programs()
    assert programs is not None
    pair = StandbyPair(programs)
    try:
        url = pair.url("failover")
        with stage.proxy(url) as proxy:
            after = pair.standby.url("failover")
            return under_load(
                proxy, after, "failover", lambda: pair.fail_over(seconds), database="postgresql"
            )
    finally:
        pair.remove()


def _terminate(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
