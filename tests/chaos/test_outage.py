"""A database that is away: no call fails for it, and nothing is missing afterwards."""

import asyncio
import io
import json
import os
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from benchmarks.exports import fill
from tests.chaos.history import History, Seen, judge
from tests.chaos.load import Client
from tests.chaos.stored import stored_calls, wait_until_stored
from tests.databases import PostgresServer, new_postgres_server
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

SECONDS = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "8"))


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of this test's own, running."""
    server = new_postgres_server()
    server.start()
    yield server
    server.remove()


def load_during(
    proxy: RunningProxy, outage: Callable[[], None], *, before: float = 0.5, after: float = 0.5
) -> History:
    """Let clients call before, during and after *outage*, and return what they saw."""
    history = History()
    clients = [Client(number, history) for number in range(8)]
    done = threading.Event()

    async def load() -> None:
        calls = asyncio.gather(*(client.run(proxy.port, done.is_set) for client in clients))
        await asyncio.sleep(before)
        await asyncio.to_thread(outage)
        await asyncio.sleep(after)
        done.set()
        await calls

    asyncio.run(load())
    return history


def assert_nothing_lost(history: History, url: str) -> None:
    answers = {question: f"echo: {question}" for question in history.seen}
    verdict = judge(history, stored_calls(url), answer_to=answers)
    assert verdict.is_valid, verdict
    assert set(history.seen.values()) == {Seen.OK}


@pytest.mark.timeout(240)
def test_postgresql_away_under_load(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """PostgreSQL is killed for a while: every call is answered, and stored once it is back."""
    url = postgres.create("outage")
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}

    with RunningProxy(tmp_path / "proxy", settings) as proxy:

        def outage() -> None:
            postgres.stop("immediate")
            time.sleep(SECONDS)
            ready, health = proxy.get("/health/ready"), proxy.get("/health").json()
            read = proxy.get("/conversations")
            postgres.start()
            assert ready.status_code == 200
            assert (health["status"], health["database"]["status"]) == ("degraded", "down")
            assert health["recorder"]["pending"] > 0
            assert (read.status_code, read.json()["error"]["code"]) == (503, "database_unavailable")

        history = load_during(proxy, outage)
        wait_until_stored(proxy)
        assert proxy.get("/health").json()["status"] == "ok"
        assert_nothing_lost(history, url)
        assert proxy.stop() == 0


@pytest.mark.timeout(240)
def test_sqlite_locked_under_load(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """Another program holds SQLite's write lock for a while: calls go on, nothing is missing."""
    file = tmp_path / "locked.db"
    url = f"sqlite:///{file}"
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}

    with RunningProxy(tmp_path / "proxy", settings) as proxy:

        def outage() -> None:
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("PRAGMA busy_timeout = 10000")
            other.execute("BEGIN IMMEDIATE")
            time.sleep(SECONDS)
            other.execute("ROLLBACK")
            other.close()

        history = load_during(proxy, outage)
        wait_until_stored(proxy)
        assert_nothing_lost(history, url)


@pytest.mark.timeout(240)
def test_postgresql_away_at_the_start(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """The program starts without its database, serves, and sets it up when it comes."""
    url = postgres.create("late")
    postgres.stop()
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}

    with RunningProxy(tmp_path / "proxy", settings) as proxy:
        assert "away" in proxy.banner
        with proxy.client() as client:
            stranger = client.get("/v1/models", headers={"Authorization": "Bearer sk-unknown"})
        history = load_during(proxy, lambda: time.sleep(1))
        postgres.start()
        wait_until_stored(proxy)
        assert_nothing_lost(history, url)

    assert stranger.status_code == 503
    assert stranger.json()["error"]["code"] == "auth_unavailable"


@pytest.mark.timeout(240)
def test_the_program_ends_during_an_outage_and_the_next_one_stores_everything(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """SIGTERM while the database is away ends in time with exit code 0; the journal is kept."""
    url = postgres.create("ended")
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}
    proxy = RunningProxy(tmp_path / "proxy", settings).start()
    try:
        history = load_during(proxy, lambda: postgres.stop("immediate"))
        began = time.monotonic()
        assert proxy.stop() == 0
        took = time.monotonic() - began
        postgres.start()
        proxy.start()
        wait_until_stored(proxy)
        assert_nothing_lost(history, url)
        assert took < 15
    finally:
        proxy.kill()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("format_", ["json", "csv", "zip"])
def test_postgresql_killed_under_an_export(
    tmp_path: Path, postgres: PostgresServer, format_: str
) -> None:
    """The download breaks off for its client, whatever the format; the next one is whole."""
    url = postgres.create(f"exported_{format_}")
    asyncio.run(fill(url, 40_000, 100))
    with RunningProxy(tmp_path / "proxy", {"DATABASE_URL": url}) as proxy, proxy.client() as client:
        address = f"/conversations/export-all?format={format_}"
        with client.stream("GET", address) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            got = [next(pieces)]
            postgres.stop("immediate")
            with pytest.raises(httpx.RemoteProtocolError):
                got.extend(pieces)
        postgres.start()
        whole = wait_for_export(client, address)

    torn = b"".join(got)
    assert len(torn) < len(whole)
    if format_ == "json":
        assert b'"complete":true' not in torn
        assert json.loads(whole)["counts"] == {"conversations": 400, "messages": 40_000}
    elif format_ == "csv":
        assert whole.count(b"\r\n") == 40_001
    else:
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(torn))
        assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None


def wait_for_export(client: httpx.Client, address: str) -> bytes:
    """The file, once the database is back."""
    end = time.monotonic() + 30
    while (answer := client.get(address)).status_code == 503:
        assert time.monotonic() < end, "the export does not come back"
        time.sleep(0.1)
    assert answer.status_code == 200
    return answer.content
