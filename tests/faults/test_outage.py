"""A database that is away: no call fails for it, and nothing is missing afterwards."""

import asyncio
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from benchmarks.exports import fill
from tests.databases import PostgresServer, new_postgres_server
from tests.faults.history import History, Seen, judge
from tests.faults.outages import locked
from tests.faults.stage import Stage, load, wait_for_calls
from tests.faults.stored import stored_calls, wait_until_stored
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

SECONDS = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "1"))
AROUND = 0.3
MESSAGES = 20_000


@pytest.fixture(scope="module")
def _server() -> Iterator[PostgresServer]:
    server = new_postgres_server()
    yield server
    server.remove()


@pytest.fixture
def postgres(_server: PostgresServer) -> PostgresServer:
    """A server that no other module uses, running, however the last test has left it."""
    _server.stop("immediate")
    _server.start()
    return _server


def load_during(proxy: RunningProxy, outage: Callable[[], None]) -> History:
    """Let clients call before, during and after *outage*, and return what they saw."""
    history = History()
    with load(proxy, history, clients=8, label="question"):
        time.sleep(AROUND)
        outage()
        time.sleep(AROUND)
        wait_for_calls(history)
    return history


def assert_nothing_lost(history: History, url: str) -> None:
    answers = {question: f"echo: {question}" for question in history.seen}
    verdict = judge(history, stored_calls(url), answer_to=answers)
    assert verdict.is_valid, verdict
    assert verdict.ok > 20
    assert set(history.seen.values()) == {Seen.OK}


@pytest.mark.timeout(400)
def test_postgresql_away_under_load(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """PostgreSQL is killed for a while: every call is answered, and stored once it is back."""
    url = postgres.create("outage")
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}

    with CopiedProxy(tmp_path / "proxy", settings) as proxy:

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


@pytest.mark.timeout(400)
def test_sqlite_locked_under_load(sqlite_stage: Stage) -> None:
    """Another program holds SQLite's write lock for a while: calls go on, nothing is missing."""
    row = locked(sqlite_stage, seconds=SECONDS)

    print(row)
    assert row.is_good, row
    assert row.seen > 20


@pytest.mark.timeout(400)
def test_postgresql_away_at_the_start(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """The program starts without its database, serves, and sets it up when it comes."""
    url = postgres.create("late")
    postgres.stop()
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}

    with CopiedProxy(tmp_path / "proxy", settings) as proxy:
        assert "away" in proxy.banner
        with proxy.client() as client:
            stranger = client.get("/v1/models", headers={"Authorization": "Bearer sk-unknown"})
        history = load_during(proxy, lambda: None)
        postgres.start()
        wait_until_stored(proxy)
        assert_nothing_lost(history, url)

    assert stranger.status_code == 503
    assert stranger.json()["error"]["code"] == "auth_unavailable"


@pytest.mark.timeout(400)
def test_the_program_ends_during_an_outage_and_the_next_one_stores_everything(
    tmp_path: Path, upstream: ScriptedUpstream, postgres: PostgresServer
) -> None:
    """SIGTERM while the database is away ends in time with exit code 0; the journal is kept."""
    url = postgres.create("ended")
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}
    proxy = CopiedProxy(tmp_path / "proxy", settings).start()
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


@dataclass
class Archive:
    """A proxy with a lot to export, and the server that it comes from."""

    proxy: RunningProxy
    server: PostgresServer


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, _server: PostgresServer) -> Iterator[Archive]:
    """One for all formats: filling it takes longer than exporting."""
    _server.stop("immediate")
    _server.start()
    url = _server.create("exported")
    asyncio.run(fill(url, MESSAGES, 100))
    with CopiedProxy(tmp_path_factory.mktemp("archive"), {"DATABASE_URL": url}) as proxy:
        yield Archive(proxy, _server)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("format_", ["json", "csv", "zip"])
def test_postgresql_killed_under_an_export(archive: Archive, format_: str) -> None:
    """The download breaks off for its client, whatever the format; the next one is whole."""
    address = f"/conversations/export-all?format={format_}"
    with archive.proxy.client() as client:
        with client.stream("GET", address) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            got = [next(pieces)]
            archive.server.stop("immediate")
            with pytest.raises(httpx.RemoteProtocolError):
                got.extend(pieces)
        archive.server.start()
        whole = wait_for_export(client, address)

    torn = b"".join(got)
    assert len(torn) < len(whole)
    if format_ == "json":
        assert b'"complete":true' not in torn
        assert json.loads(whole)["counts"] == {"conversations": 200, "messages": MESSAGES}
    elif format_ == "csv":
        assert whole.count(b"\r\n") == MESSAGES + 1
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
