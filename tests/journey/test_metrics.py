"""`/metrics` of the running program: who may read it, what it counts, over workers and restarts."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.conftest import StartProxy
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

ASK = "/v1/chat/completions"

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})? (-?[0-9.]+(?:e[-+]?\d+)?)')


@pytest.fixture
def start(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[StartProxy]:
    """Start the program in front of `upstream`; the database matters to nothing here."""
    with ExitStack() as started:

        def one(**settings: str) -> RunningProxy:
            given = {"UPSTREAM_BASE_URL": upstream.base_url, **settings}
            return started.enter_context(CopiedProxy(tmp_path / "proxy", given))

        yield one


def ask(text: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def scrape(proxy: RunningProxy) -> dict[str, float]:
    """The samples of one scrape, on a connection of its own."""
    answer = proxy.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        match[1] + (match[2] or ""): float(match[3])
        for line in answer.text.splitlines()
        if not line.startswith("#")
        for match in [SAMPLE.fullmatch(line)]
        if match
    }


def wait_until(is_so: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def completed(samples: dict[str, float]) -> float:
    return samples['officeai_calls_total{status="2xx",outcome="complete"}']


def test_only_an_administrator_reads_it(shared: RunningProxy) -> None:
    """Without a key, and with one that opens nothing, there is no number to be had."""
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}):
        answer = httpx.get(f"{shared.root}/metrics", headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 401
        assert "officeai_calls" not in answer.text


def test_it_can_be_left_open(start: StartProxy) -> None:
    """With OFFICEAI_METRICS_OPEN anybody may scrape."""
    proxy = start(METRICS_OPEN="true")

    answer = httpx.get(f"{proxy.root}/metrics", timeout=60, trust_env=False)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_what_is_refused_is_counted(shared: RunningProxy) -> None:
    """Wrong keys are counted on calls and on other routes, and refused calls by their status."""
    before = scrape(shared)
    wrong = {"Authorization": "Bearer sk-wrong"}
    httpx.post(
        f"{shared.base_url}/chat/completions",
        headers=wrong,
        json=ask("x"),
        timeout=60,
        trust_env=False,
    )
    httpx.get(f"{shared.root}/history", headers=wrong, timeout=60, trust_env=False)
    with shared.client() as client:
        client.post(ASK, content=b"no json")
    after = scrape(shared)

    def grown(name: str) -> float:
        return after[name] - before[name]

    assert grown("officeai_auth_failures_total") == 2
    assert grown('officeai_calls_refused_total{status="401"}') == 1
    assert grown('officeai_calls_refused_total{status="400"}') == 1


def test_calls_are_counted_and_timed(shared: RunningProxy) -> None:
    """A call is in the counters when its reply has ended, and its tokens once it is stored."""
    before = scrape(shared)
    with shared.client("s-metrics", "ann") as client:
        for stream in (False, True):
            client.post(ASK, json=ask("hi", stream=stream))
    after = scrape(shared)

    assert completed(after) - completed(before) == 2
    for name in ("officeai_call_duration_seconds", "officeai_ttft_seconds"):
        assert after[f"{name}_count"] - before[f"{name}_count"] == 2
        assert after[f'{name}_bucket{{le="+Inf"}}'] == after[f"{name}_count"]
        assert after[f"{name}_sum"] > before[f"{name}_sum"]
    assert after["officeai_reply_bytes_total"] > before["officeai_reply_bytes_total"]
    assert after["officeai_request_bytes_total"] > before["officeai_request_bytes_total"]
    assert (after["officeai_calls_in_flight"], after["officeai_database_up"]) == (0, 1)
    stored = before["officeai_calls_stored_total"] + 2
    wait_until(lambda: scrape(shared)["officeai_calls_stored_total"] >= stored)


def test_one_worker_tells_of_all_and_a_kill_loses_nothing(start: StartProxy) -> None:
    """Whichever of two workers is scraped, it has all calls; counters go on after `kill -9`."""
    proxy = start(WORKERS="2")
    for number in range(12):
        with proxy.client("s1", "ann") as client:
            assert client.post(ASK, json=ask(f"q{number}")).status_code == 200
        assert completed(scrape(proxy)) == number + 1
    wait_until(lambda: scrape(proxy)["officeai_workers"] == 2)
    proxy.kill()
    proxy.settings["WORKERS"] = "1"
    proxy.start()

    samples = scrape(proxy)
    assert (completed(samples), samples["officeai_workers"]) == (12, 1)


def test_a_call_has_the_price_of_its_moment(start: StartProxy, tmp_path: Path) -> None:
    """The cost is in the log, in the statistics and in the metrics; an unknown model has none."""
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"priced": {"input": 1000, "output": 2000}}))
    proxy = start(PRICES=str(prices), MODEL_ALIASES='{"other": "unheard-of"}')
    with proxy.client("s1", "ann") as client:
        for model in ("priced", "other"):
            answer = client.post(ASK, json={**ask("hi"), "model": model}).json()
    usage = answer["usage"]
    cost = (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1000

    unknown, priced = proxy.get("/history").json()["history"]
    assert (priced["cost"], unknown["cost"]) == (pytest.approx(cost), None)
    total = proxy.get("/stats").json()["total"]
    assert (total["calls"], total["priced_calls"]) == (2, 1)
    assert total["cost"] == pytest.approx(cost)
    samples = scrape(proxy)
    dollars = sum(v for name, v in samples.items() if name.startswith("officeai_cost_dollars"))
    assert dollars == pytest.approx(cost)
    unpriced = [v for name, v in samples.items() if name.startswith("officeai_unpriced_calls")]
    assert sum(unpriced) == 1


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "*/*"])
def test_prometheus_chooses_the_format(shared: RunningProxy, accept: str) -> None:
    """OpenMetrics is given to who asks for it, and says so."""
    headers = {**shared.headers(), "Accept": accept}
    answer = httpx.get(f"{shared.root}/metrics", headers=headers, timeout=60, trust_env=False)

    is_open_metrics = accept.startswith("application/openmetrics")
    assert answer.headers["content-type"].startswith(
        "application/openmetrics-text" if is_open_metrics else "text/plain; version=0.0.4"
    )
    assert answer.text.endswith("# EOF\n") == is_open_metrics
    kind = "# TYPE officeai_calls counter" if is_open_metrics else "# TYPE officeai_calls_total"
    assert kind in answer.text
