"""The call log on both databases: walls first, then filters, pages and formats."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert
from tests.api import ALICE, NOW, OTHER_TEAM, Api

from officeai_proxy.history.call_lines import CallLog
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.wire import jsontext

CALLS: list[dict[str, Any]] = [
    {"user_identifier": "user123", "session_id": "s1", "model_asked": "officeai"},
    {
        "user_identifier": "alice",
        "session_id": "s2",
        "model_served": "gpt-4o",
        "stream": True,
        "key_id": "key_b",
        "latency_ms": 1500.0,
        "ttft_ms": 250.0,
        "cost": 0.0125,
    },
    {
        "path": "/v1/embeddings",
        "status_code": 401,
        "error": "=1+1, it said\nno",
        "client_ip": "10.0.0.9",
    },
    {"outcome": "client_closed", "status_code": None, "user_identifier": "user123"},
    {"workspace": "other", "session_id": "theirs"},
]


@pytest.fixture(autouse=True)
async def calls(database: Database) -> None:
    """Five calls, a minute apart; the last one is another workspace's."""
    rows = [a_row(number, **more) for number, more in enumerate(CALLS)]
    async with database.write() as connection:
        await connection.execute(insert(exchanges), rows)


def a_row(number: int, **more: Any) -> dict[str, Any]:
    row = {
        "exchange_id": UUID(int=number),
        "workspace": "default",
        "key_id": "configured-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "api.openai.com",
        "user_identifier": None,
        "session_id": None,
        "client_ip": "127.0.0.1",
        "started_at": NOW + timedelta(minutes=number),
        "latency_ms": 12.5,
        "status_code": 200,
        "outcome": "complete",
        "error": None,
        "stream": False,
        "model_asked": None,
        "model_served": None,
        "ttft_ms": None,
        "cost": None,
    }
    return {**row, **more}


async def log_of(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    response = await client.get(f"/history{query}")
    assert response.status_code == 200, response.text
    CallLog.model_validate(response.json())
    return dict(response.json())


async def numbers(client: httpx.AsyncClient, query: str = "") -> list[int]:
    return [UUID(line["exchange_id"]).int for line in (await log_of(client, query))["history"]]


async def test_other_workspaces_have_their_own_log(api: Api):
    """No call of one workspace is in the log of another, whatever it asks for."""
    async with api.client(OTHER_TEAM) as theirs, api.client() as ours:
        assert await numbers(theirs) == [4]
        assert await numbers(theirs, "?session=s1") == []
        assert 4 not in await numbers(ours)


async def test_a_bound_key_sees_its_users_calls_only(api: Api):
    """A key bound to one user has that user's calls in its log."""
    async with api.client(ALICE) as alice:
        assert await numbers(alice) == [1]
        assert await numbers(alice, "?session=s1") == []


async def test_the_newest_call_comes_first(client: httpx.AsyncClient):
    """The answer is exactly history, has_more and next_cursor, newest call first."""
    log = await log_of(client)

    assert set(log) == {"history", "has_more", "next_cursor"}
    assert (log["has_more"], log["next_cursor"]) == (False, None)
    assert await numbers(client) == [3, 2, 1, 0]


async def test_a_line_reads_as_old_scripts_expect(client: httpx.AsyncClient):
    """The fields that earlier scripts read are where they were: `result.status_code` and so on."""
    line = (await log_of(client, "?model=officeai"))["history"][0]

    assert line["time"] == "2026-01-31T12:00:00.123456Z"
    assert (line["api"], line["method"]) == ("/v1/chat/completions", "POST")
    assert (line["service_name"], line["service_type"]) == ("api.openai.com", "chat")
    assert line["result"] == {"status_code": 200}
    assert line["params"] == {"model": "officeai", "stream": False}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?user=user123", [3, 0]),
        ("?session=s2", [1]),
        ("?model=officeai", [0]),
        ("?model=gpt-4o", [1]),
        ("?outcome=client_closed", [3]),
        ("?status=401", [2]),
        ("?api=/v1/embeddings", [2]),
        ("?after=2026-01-31T12:02:00Z", [3, 2]),
        ("?before=2026-01-31T12:01:00Z", [0]),
        (f"?exchange_id={UUID(int=1)}", [1]),
        ("?user=user123&outcome=complete", [0]),
        ("?user=nobody", []),
        ("?key=key_b", [1]),
        ("?upstream=api.openai.com&method=POST&client_ip=10.0.0.9", [2]),
        ("?stream=true", [1]),
        ("?stream=false&user=user123", [3, 0]),
        ("?has_error=true", [2]),
        ("?has_error=false", [3, 1, 0]),
        ("?min_latency_ms=500", [1]),
        ("?max_latency_ms=12.5", [3, 2, 0]),
        ("?min_ttft_ms=100", [1]),
    ],
)
async def test_filters(client: httpx.AsyncClient, query: str, expected: list[int]):
    """Every filter narrows the log, and several narrow it together."""
    assert await numbers(client, query) == expected


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
async def test_pages_cover_the_log_once(client: httpx.AsyncClient, form: str):
    """Following the cursor, from the body or the header, gives every call once."""
    pages, cursor = 0, ""
    while True:
        response = await client.get(f"/history?limit=3&format={form}{cursor}")
        pages += 1
        following = response.headers.get("x-next-cursor")
        if form == "json":
            following = response.json()["next_cursor"]
        if following is None:
            break
        cursor = f"&cursor={following}"

    assert pages == 2


async def test_as_lines(client: httpx.AsyncClient):
    """JSON Lines is a call a line, the same as in JSON."""
    response = await client.get("/history?format=jsonl")

    lines = [jsontext.loads(line) for line in response.text.splitlines()]
    assert lines == (await log_of(client))["history"]
    assert response.headers["content-type"].startswith("application/x-ndjson")


async def test_as_a_table(client: httpx.AsyncClient):
    """CSV opens in a spreadsheet: marked as UTF-8, one row a call, no cell run as a formula."""
    response = await client.get("/history?format=csv")

    assert response.content.startswith(b"\xef\xbb\xbftime,")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "history.csv" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    assert [row["status_code"] for row in rows] == ["", "401", "200", "200"]
    assert rows[1]["error"] == "'=1+1, it said\nno"
    assert rows[2]["stream"] == "True"


@pytest.mark.parametrize(
    "query",
    [
        "?min_latency_ms=-1",
        "?min_latency_ms=nan",
        "?max_latency_ms=inf",
        "?stream=perhaps",
        "?has_error=2",
        "?limit=0&format=csv",
        "?format=xml",
    ],
)
async def test_what_is_no_filter_is_refused(client: httpx.AsyncClient, query: str):
    """A value that cannot be meant is 422 and names itself."""
    answer = await client.get(f"/history{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] in query


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_without_a_limit_it_is_the_whole_log(
    client: httpx.AsyncClient, database: Database, form: str
):
    """JSON Lines and CSV have every call in one answer, also more than a page can hold."""
    rows = [a_row(100 + number, user_identifier="many") for number in range(2345)]
    async with database.write() as connection:
        await connection.execute(insert(exchanges), rows)

    answer = await client.get(f"/history?format={form}&user=many")

    assert "x-next-cursor" not in answer.headers
    if form == "csv":
        text = answer.content.decode("utf-8-sig")
        read = [row["exchange_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    else:
        read = [jsontext.loads(line)["exchange_id"] for line in answer.text.splitlines()]
    assert [UUID(number).int for number in read] == list(range(2444, 99, -1))


async def test_a_whole_log_takes_a_slot(api: Api):
    """It is an export like others: when too many run, it is refused, and nothing is half sent."""
    slots = api.services.export_slots
    async with api.client() as client:
        with slots.one(), slots.one():
            refused = await client.get("/history?format=jsonl")
            page = await client.get("/history?format=jsonl&limit=1")
        assert (refused.status_code, page.status_code) == (429, 200)
        assert (await client.get("/history?format=jsonl")).status_code == 200
    assert slots.taken == 0


class TestOldScripts:
    """The lines that people copied from the first export instructions, with a key set once."""

    async def test_history_is_one_json_file(self, client: httpx.AsyncClient):
        """`Invoke-RestMethod /history | ConvertTo-Json`, and curl, write one JSON object."""
        answer = await client.get("/history")

        assert answer.headers["content-type"] == "application/json"
        assert len(answer.json()["history"]) == 4

    async def test_history_becomes_a_flat_table(self, client: httpx.AsyncClient):
        """Each line has the seven places that the script reads, `result.status_code` among them."""
        flat = [
            {
                "time": line["time"],
                "api": line["api"],
                "service_name": line["service_name"],
                "service_type": line["service_type"],
                "method": line["method"],
                "status_code": line["result"]["status_code"],
                "params_json": jsontext.dumps(line),
                "result_json": jsontext.dumps(line["result"]),
            }
            for line in (await client.get("/history")).json()["history"]
        ]

        assert [row["status_code"] for row in flat] == [None, 401, 200, 200]
        assert {row["service_type"] for row in flat} == {"chat", "embeddings"}
        assert flat[1]["result_json"] == '{"status_code":401}'
        assert all(row["time"].endswith("Z") for row in flat)
