"""The route of statistics and its command: refusals and walls first, then the answer."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from tests.api import ALICE, NOW, OTHER_TEAM, STRANGER, WRITER, Api
from tests.databases import run_apart
from tests.integration.test_stats import a_call, record

from officeai_proxy import cli
from officeai_proxy.history.stats import Stats
from officeai_proxy.model import Outcome, Usage
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

HOUR = timedelta(hours=1)
USAGE = Usage(10, 5, 15)
NASTY = "[/b]\x1b]0;own\x07"
"""What a caller may name a model: no word for what prints tables, and none for a terminal."""


@pytest.fixture
async def calls(database: Database) -> None:
    """Three calls of two users and models, and one of another workspace."""
    await record(
        database,
        a_call(started_at=NOW, user="alice", model_served="a", cost=0.5, usage=USAGE, ttft_ms=40.0),
        a_call(started_at=NOW + HOUR, user="bob", model_served="b", latency_ms=1000.0),
        a_call(started_at=NOW + 13 * HOUR, model_served="b", outcome=Outcome.UPSTREAM_ERROR),
        a_call(started_at=NOW, workspace="other"),
    )


@pytest.mark.parametrize(
    "query",
    [
        "group_by=week",
        "group_by=",
        "utc_offset=8",
        "utc_offset=%2B15:00",
        "utc_offset=Asia/Shanghai",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "after=yesterday",
        "min_latency_ms=-5",
    ],
)
async def test_what_cannot_be_meant_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """A wrong value is 422, and names its parameter."""
    answer = await client.get(f"/stats?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize(("key", "status"), [(None, 401), (STRANGER, 401), (WRITER, 403)])
async def test_it_needs_a_key_that_reads(api: Api, key: str | None, status: int) -> None:
    """Without a key, or without the scope `read`, there are no numbers."""
    async with api.client(key) as client:
        assert (await client.get("/stats")).status_code == status


@pytest.mark.usefixtures("calls")
async def test_walls(api: Api) -> None:
    """A workspace and a bound user have their own numbers; another user's are 403."""
    async with api.client(OTHER_TEAM) as theirs, api.client(ALICE) as alice:
        assert (await theirs.get("/stats")).json()["total"]["calls"] == 1
        assert (await alice.get("/stats?group_by=model")).json()["total"]["calls"] == 1
        assert (await alice.get("/stats?user=bob")).status_code == 403


@pytest.mark.usefixtures("calls")
async def test_the_answer(client: httpx.AsyncClient) -> None:
    """Groups and a total, each with all numbers; what is not known is null."""
    answer = (await client.get("/stats?group_by=model")).json()

    Stats.model_validate(answer)
    assert {name: answer[name] for name in answer if name not in ("data", "total")} == {
        "object": "list",
        "group_by": "model",
        "limit": 100,
        "has_more": False,
        "next_cursor": None,
    }
    b, a = answer["data"]
    assert a == {
        "key": "a",
        "calls": 1,
        "errors": 0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "cost": 0.5,
        "priced_calls": 1,
        "latency_ms": {"p50": 102.0, "p95": 102.0, "p99": 102.0},
        "ttft_ms": {"p50": 41.0, "p95": 41.0, "p99": 41.0},
    }
    assert (b["key"], b["calls"], b["errors"], b["cost"]) == ("b", 2, 1, None)
    assert b["ttft_ms"] == {"p50": None, "p95": None, "p99": None}
    assert (answer["total"]["calls"], answer["total"]["cost"]) == (3, 0.5)
    assert "key" not in answer["total"]


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ["2026-02-01", "2026-01-31"]),
        ("?utc_offset=-03:00", ["2026-01-31"]),
        ("?utc_offset=+08:00&user=alice", ["2026-01-31"]),
        ("?group_by=user", [None, "alice", "bob"]),
        ("?group_by=key", ["key-1"]),
        ("?group_by=session", [None]),
        ("?group_by=user&has_error=true", [None]),
        ("?group_by=user&model=a", ["alice"]),
        ("?group_by=hour&before=2026-01-31T13:00:00Z", ["2026-01-31T12:00:00Z"]),
        ("?group_by=hour&limit=1", ["2026-02-01T01:00:00Z"]),
    ],
)
async def test_groups_and_filters(
    client: httpx.AsyncClient, query: str, keys: list[str | None]
) -> None:
    """Every grouping has its keys, and every filter of the log narrows it."""
    answer = (await client.get(f"/stats{query}")).json()

    assert [group["key"] for group in answer["data"]] == keys


async def seeded(url: str) -> None:
    database = Database(url)
    await prepare(database)
    await record(
        database,
        a_call(user="alice", model_served="a", cost=0.5),
        a_call(60, user="bob", model_served=NASTY, cost=0.0000042),
        a_call(120, user="alice", model_served="unheard-of"),
        a_call(workspace="other"),
    )
    await database.close()


def test_the_command(tmp_path: Path) -> None:
    """`stats --json` is the route's answer, and without it a table that cuts off no number."""
    url = f"sqlite:///{tmp_path / 'officeai.db'}"
    run_apart(seeded(url))
    settings = {"OFFICEAI_DATABASE_URL": url, "OFFICEAI_DATA_DIR": str(tmp_path), "COLUMNS": "40"}

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.root, ["stats", *words], env=settings)
        assert done.exit_code == 0, done.output
        return done.output

    answer = json.loads(run("--by", "user", "--json", "--after", "2026-01-31"))
    Stats.model_validate(answer)
    assert [group["key"] for group in answer["data"]] == ["alice", "bob"]
    # A command hears no signals where it is called from another thread, and works all the same.
    with ThreadPoolExecutor(1) as pool:
        table = pool.submit(run, "--by", "model").result()
    assert "0.5000" in table
    assert "0.0000042" in table
    assert r"[/b]\x1b]0;own\x07" in table
    assert "…" not in table
    # A terminal that says it is dumb may be as wide; to `rich` each such one has 80 columns.
    settings |= {"TERM": "dumb", "FORCE_COLOR": "1"}
    assert "…" not in run("--by", "model")
    assert "The cost is without 1 call of unknown price or tokens.\n" in table
    assert "The cost is" not in run("--user", "bob")
    assert "There are more" in run("--by", "model", "--limit", "1")
    run("--user", "nobody-7f")
    # A name that leads to nothing is sealed in the audit log.
    assert b"nobody-7f" not in b"".join(file.read_bytes() for file in tmp_path.glob("officeai.db*"))
    wrong = CliRunner().invoke(cli.root, ["stats", "--utc-offset", "8"], env=settings)
    assert wrong.exit_code == 2
