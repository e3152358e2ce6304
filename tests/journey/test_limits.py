"""Limits and rotation with real processes: two workers, restarts, deaths, streams, floods."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests import forkserver
from tests.journey import wires
from tests.journey.gates import Gate
from tests.proxies import PLAIN, CopiedProxy, RunningProxy, clean_environment
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, chunk_event, completion, echo

ASK = "/v1/chat/completions"
BODY = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
PATIENCE = 60.0

until = partial(wires.until, patience=PATIENCE)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream
) -> Iterator[RunningProxy]:
    """A proxy with two workers that the tests of this module share."""
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "WORKERS": "2"}
    with CopiedProxy(tmp_path_factory.mktemp("pair"), settings) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _echoing(upstream: ScriptedUpstream) -> None:
    upstream.script = echo
    upstream.requests.clear()


def call(proxy: RunningProxy, key: str, **more: object) -> httpx.Response:
    """One call on a connection of its own, so that any worker may get it."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(
        proxy.root + ASK,
        json={**BODY, **more},
        headers=headers,
        timeout=60,
        trust_env=False,
        verify=PLAIN,
    )


def a_key(proxy: RunningProxy, **limits: object) -> tuple[str, str]:
    """The id of a new key and the key, which every worker knows at once."""
    with proxy.client() as client:
        made = client.post("/keys", json={"name": "k", **limits})
    assert made.status_code == 201, made.text
    return made.json()["id"], made.json()["key"]


def known_everywhere(proxy: RunningProxy, key: str, status: int) -> float:
    """Wait until ten answers in a row say *status*; after how long something else was asked last.

    An answer may take its time on a busy machine.
    """
    began = last = time.monotonic()
    row, said = 0, 0
    headers = {"Authorization": f"Bearer {key}"}
    while row < 10:
        asked = time.monotonic()
        assert asked - began < PATIENCE, f"the last answer was {said}"
        said = httpx.get(
            proxy.root + "/history",
            headers=headers,
            timeout=PATIENCE,
            trust_env=False,
            verify=PLAIN,
        ).status_code
        if said == status:
            row += 1
        else:
            row, last = 0, asked
            time.sleep(0.05)
    return last - began


def statuses(proxy: RunningProxy, key: str, *, calls: int) -> Counter[int]:
    with ThreadPoolExecutor(calls) as pool:
        answers = pool.map(lambda _: call(proxy, key), range(calls))
        return Counter(answer.status_code for answer in answers)


def test_twenty_at_once_and_ten_may(
    pair: RunningProxy, upstream: ScriptedUpstream, gate: Gate
) -> None:
    """Of 20 calls at once ten go through two workers; the others never reach the upstream."""
    _, key = a_key(pair, concurrency=10)

    async def held(request: ReceivedRequest, answer: Answer) -> None:
        await gate.passed()
        await answer.whole(completion("late"))

    upstream.script = held
    refused: list[httpx.Response] = []

    def one() -> int:
        answer = call(pair, key)
        if answer.status_code == 429:
            refused.append(answer)
        return answer.status_code

    with ThreadPoolExecutor(20) as pool:
        running = [pool.submit(one) for _ in range(20)]
        until(lambda: len(refused) == 10)
        until(lambda: len(upstream.requests) == 10)
        gate.open()
        assert Counter(one.result() for one in running) == {200: 10, 429: 10}
    assert len(upstream.requests) == 10
    assert call(pair, key).status_code == 200


def test_ten_a_minute_and_no_more(pair: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Of 20 calls ten go through, whichever worker has them; what is refused is not recorded."""
    _, key = a_key(pair, rpm=10)
    before = calls_logged(pair)

    assert statuses(pair, key, calls=20) == {200: 10, 429: 10}

    answer = call(pair, key, stream=True)
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "requests",
        "rate_limit_exceeded",
        None,
    )
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["x-ratelimit-limit-requests"] == "10"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(upstream.requests) == 10
    assert calls_logged(pair) - before == 10


@pytest.mark.parametrize("limits", [{"concurrency": 5}, {"rpm": 100}, {"tpm": 100_000}])
@pytest.mark.parametrize("path", [ASK, "/v1/models?a=%20"])
def test_the_upstreams_limits_are_not_those_of_a_limited_key(
    pair: RunningProxy, upstream: ScriptedUpstream, limits: dict[str, int], path: str
) -> None:
    """Whichever limit the key has, the answer speaks of the key's, and of no other."""
    _, key = a_key(pair, **limits)

    async def told(_: ReceivedRequest, answer: Answer) -> None:
        names = ("limit-requests", "remaining-requests", "limit-tokens", "reset-images")
        await answer.whole(completion("hi"), *((f"x-ratelimit-{name}", "9") for name in names))

    upstream.script = told
    headers = {"Authorization": f"Bearer {key}"}
    method, body = ("POST", BODY) if path == ASK else ("GET", None)
    answer = httpx.request(
        method,
        pair.root + path,
        json=body,
        headers=headers,
        timeout=60,
        trust_env=False,
        verify=PLAIN,
    )

    kind = {"concurrency": "concurrency", "rpm": "requests", "tpm": "tokens"}[next(iter(limits))]
    ours = {name: value for name, value in answer.headers.items() if "ratelimit" in name}
    assert answer.status_code == 200
    assert {name.removesuffix(kind) for name in ours} <= {
        "x-ratelimit-limit-",
        "x-ratelimit-remaining-",
        "x-ratelimit-reset-",
    }
    assert ours[f"x-ratelimit-limit-{kind}"] == str(limits[next(iter(limits))])


def calls_logged(proxy: RunningProxy) -> int:
    return len(proxy.get("/history", limit="1000").json()["history"])


def test_the_answer_says_how_the_key_stands(pair: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Our headers take the place of all of the upstream's, and only of a limited key."""

    async def limited(request: ReceivedRequest, answer: Answer) -> None:
        theirs = [("x-ratelimit-limit-requests", "77"), ("x-ratelimit-limit-tokens", "88")]
        await answer.whole(completion("hi"), *theirs)

    upstream.script = limited
    _, key = a_key(pair, rpm=10)
    ours, theirs = call(pair, key), call(pair, pair.key)

    assert ours.headers.get_list("x-ratelimit-limit-requests") == ["10"]
    assert "x-ratelimit-limit-tokens" not in ours.headers
    assert theirs.headers["x-ratelimit-limit-requests"] == "77"
    assert "x-ratelimit-remaining-requests" not in theirs.headers


def test_tokens_are_charged_as_the_upstream_counted_them(pair: RunningProxy) -> None:
    """The reservation is settled with the reply's usage, streamed or not, recorded or not."""
    _, key = a_key(pair, tpm=1000)
    call(pair, key)
    call(pair, key, stream=True)

    left = int(call(pair, key).headers["x-ratelimit-remaining-tokens"])

    asked = -(-len(json.dumps(BODY, separators=(",", ":"))) // 4) + 10
    assert left == 1000 - 2 * 8 - asked


@pytest.mark.parametrize("path", [ASK, "/v1/responses"])
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_tokens_count_whatever_type_a_text_is_said_to_have(
    pair: RunningProxy, upstream: ScriptedUpstream, path: str, kind: str
) -> None:
    """Curl calls all that it posts a form, which is a way round no limit."""
    _, key = a_key(pair, tpm=1)
    headers = {"Authorization": f"Bearer {key}", **({"Content-Type": kind} if kind else {})}
    with httpx.Client(base_url=pair.root, headers=headers, verify=PLAIN, trust_env=False) as client:
        said = [client.post(path, content=json.dumps(BODY)).status_code for _ in range(2)]

    assert said == [200, 429]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_reading_back_what_was_made_costs_no_tokens(
    pair: RunningProxy, upstream: ScriptedUpstream, method: str
) -> None:
    """Neither what goes up nor what comes back counts, and the call log has no usage for it."""
    path = f"/v1/responses/resp_{method}"

    async def stored(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b'{"id": "resp_1", "usage": {"input_tokens": 30, "total_tokens": 33}}')

    upstream.script = stored
    _, key = a_key(pair, tpm=1000)
    body = None if method == "GET" else {"metadata": {"a": "b"}}
    with httpx.Client(
        timeout=60, trust_env=False, verify=PLAIN, headers={"Authorization": f"Bearer {key}"}
    ) as client:
        for _ in range(2):
            answer = client.request(method, pair.root + path, json=body)
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-remaining-tokens"] == "1000"

    calls = pair.get("/history", limit="10").json()["history"]
    read = [line for line in calls if line["api"] == path]
    assert [line["total_tokens"] for line in read] == [None, None]


def test_a_failed_call_costs_nothing_and_a_cut_one_what_came(
    pair: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """An upstream's error gives the reservation back; a stream that broke off does not."""
    _, key = a_key(pair, tpm=100_000)

    async def failing(request: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b'{"error": {}}', status=500)

    async def cut(request: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for _ in range(50):
            await answer.chunk(chunk_event({"content": "word "}))
        answer.reset()

    upstream.script = failing
    call(pair, key, max_tokens=50_000)
    upstream.script = cut
    with pytest.raises(httpx.RemoteProtocolError):
        call(pair, key, stream=True, max_tokens=40_000)
    upstream.script = echo

    left = int(call(pair, key, max_tokens=1).headers["x-ratelimit-remaining-tokens"])

    assert 100_000 - 50 - 120 <= left < 100_000 - 50


def test_who_hangs_up_frees_the_slot(
    pair: RunningProxy, upstream: ScriptedUpstream, gate: Gate
) -> None:
    """A caller who leaves in mid-stream does not keep its slot."""
    _, key = a_key(pair, concurrency=1)

    async def endless(request: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(chunk_event({"content": "a"}))
        await answer.until_client_closes()

    upstream.script = endless
    headers = {"Authorization": f"Bearer {key}"}
    with (
        httpx.Client(headers=headers, timeout=60, trust_env=False, verify=PLAIN) as client,
        client.stream("POST", pair.root + ASK, json={**BODY, "stream": True}) as answer,
    ):
        # An iterator that nobody holds is closed, and the connection with it.
        pieces = answer.iter_bytes()
        assert next(pieces)
        until(lambda: call(pair, key).status_code == 429)
    upstream.script = echo

    until(lambda: call(pair, key).status_code == 200)


def test_a_worker_that_dies_frees_its_slots_and_a_restart_forgets_nothing(
    tmp_path: Path, upstream: ScriptedUpstream, gate: Gate
) -> None:
    """After kill -9 of a worker and after a restart the minute goes on, and no slot is lost."""
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "WORKERS": "2"}

    async def held(request: ReceivedRequest, answer: Answer) -> None:
        await gate.passed()

    with CopiedProxy(tmp_path / "p", settings) as proxy:
        _, busy = a_key(proxy, concurrency=4)
        _, counted = a_key(proxy, rpm=3)
        assert [call(proxy, counted).status_code for _ in range(2)] == [200, 200]
        upstream.script = held
        upstream.requests.clear()
        threads = [threading.Thread(target=dies, args=(proxy, busy)) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(upstream.requests) == 4)
        assert call(proxy, busy).status_code == 429

        for worker in workers_of(proxy):
            os.kill(worker, signal.SIGKILL)
        for thread in threads:
            thread.join(PATIENCE)
        upstream.script = echo
        until(lambda: status_of(proxy, busy) == 200)
        assert statuses(proxy, busy, calls=4) == {200: 4}

        proxy.kill()
        proxy.start()
        assert [call(proxy, counted).status_code for _ in range(2)] == [200, 429]


def dies(proxy: RunningProxy, key: str) -> None:
    with pytest.raises(httpx.HTTPError):
        call(proxy, key)


def status_of(proxy: RunningProxy, key: str) -> int:
    try:
        return call(proxy, key).status_code
    except httpx.HTTPError:
        return 0


def workers_of(proxy: RunningProxy) -> list[int]:
    """The processes that serve: children of the program that have the program's socket."""
    children = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text()
    return [pid for pid in map(int, children.split()) if b"spawn_main" in _line(pid)]


def _line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_rotation_overlaps_and_revocation_reaches_every_worker(pair: RunningProxy) -> None:
    """Old and new key work side by side and share their limit until the overlap is over; a
    revoked key opens nothing in any worker after at most five seconds.
    """
    # Where the machine is so busy that the overlap is over too soon, a longer one is tried.
    for overlap in (6, 40):
        key_id, old = a_key(pair, rpm=4)
        began = time.monotonic()
        rotated = command(pair, "rotate", key_id, "--overlap", f"{overlap}s", "--json")
        new = json.loads(rotated.stdout)
        known_everywhere(pair, new["key"], 200)
        found = [call(pair, key).status_code for key in (old, new["key"])]
        if time.monotonic() - began < overlap:
            break

    assert found == [200, 200]
    assert call(pair, new["key"]).headers["x-ratelimit-remaining-requests"] == "1"
    known_everywhere(pair, old, 401)
    assert call(pair, new["key"]).status_code == 200
    with pair.client() as client:
        assert client.delete(f"/keys/{new['id']}").status_code == 204
    assert known_everywhere(pair, new["key"], 401) < 5


def command(proxy: RunningProxy, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(OFFICEAI_DATA_DIR=str(proxy.folder / "data"))
    done = forkserver.run(("keys", *words), folder=proxy.folder, environment=environment)
    assert done.returncode == 0, done.stderr
    return done


def test_a_flood_of_wrong_keys_is_slowed_and_locks_nobody_out(pair: RunningProxy) -> None:
    """After so many wrong keys an address gets 429; a correct key from there works as ever."""
    with pair.client() as client:
        for number in range(200):
            answer = client.get("/history", headers={"Authorization": f"Bearer sk-{number}"})
            if answer.status_code == 429:
                break
        assert answer.json()["error"]["code"] == "too_many_wrong_keys"
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/history").status_code == 200
