"""A journal that cannot be written: calls go on or are refused, all is told, and all heals."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journey import wires
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

until = partial(wires.until, patience=60)


@pytest.fixture(params=["serve", "refuse"])
def proxy(
    tmp_path: Path, upstream: ScriptedUpstream, request: pytest.FixtureRequest
) -> Iterator[RunningProxy]:
    settings = {
        "UPSTREAM_BASE_URL": upstream.base_url,
        "ON_FULL": request.param,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'elsewhere.db'}",
    }
    with CopiedProxy(tmp_path / "proxy", settings) as running:
        yield running


def ask(client: httpx.Client, question: str) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    return client.post("/v1/chat/completions", json=body)


def recorder(proxy: RunningProxy) -> dict[str, Any]:
    found = proxy.get("/health").json()
    return {**found["recorder"], "status": found["status"], "reasons": found["reasons"]}


def test_it_is_told_and_heals_without_a_restart(proxy: RunningProxy) -> None:
    """No call is lost, none fails for it unless that was asked for, and no restart is needed."""
    journal = proxy.folder / "data" / "journal"
    away = journal.with_name("away")
    with proxy.client("s1", "ann") as client:
        assert ask(client, "before").status_code == 200
        until(lambda: not list(journal.glob("*.seg")))

        journal.rename(away)
        journal.touch()
        first, second = ask(client, "first"), ask(client, "second")
        bad, ready = recorder(proxy), client.get("/health/ready").status_code
        told = client.get("/metrics").text

        journal.unlink()
        away.rename(journal)
        until(lambda: recorder(proxy)["status"] == "ok")
        after = ask(client, "after")

    is_refusing = proxy.settings["ON_FULL"] == "refuse"
    assert first.status_code == after.status_code == 200
    assert second.status_code == (503 if is_refusing else 200)
    assert (bad["status"], ready) == ("degraded", 503)
    assert any("Make room" in reason for reason in bad["reasons"])
    assert bad["backlog_bytes"] > 0
    assert bad["append_errors"] > 0
    assert bad["dropped"] == 0
    assert "\nofficeai_recorder_dropped_total 0\n" in told
    assert f"\nofficeai_journal_backlog_bytes {bad['backlog_bytes']}\n" in told
    kept = ["before", "first"] + ([] if is_refusing else ["second"]) + ["after"]
    assert [text for role, text in proxy.path_of("s1") if role == "user"] == kept
    assert proxy.stop() == 0
