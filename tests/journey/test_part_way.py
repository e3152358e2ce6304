"""`kill -9` in the middle of long replies: what had come is in the database, once, and marked."""

import base64
import json
import socket
import threading
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from tests.journey import wires
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import (
    Answer,
    ReceivedRequest,
    ScriptedUpstream,
    chunk_event,
    completion,
    said,
)

FIRST_AFTER = 2.0
TICK = 0.1
until = partial(wires.until, patience=60)
KEYS = "k1:" + base64.b64encode(b"1" * 32).decode()


async def talk_on(request: ReceivedRequest, answer: Answer) -> None:
    """A reply that goes on for a minute, a number at a time; a short one where that is asked."""
    if said(request) == "quick":
        await answer.whole(completion("short"))
        return
    await answer.begin_events()
    for number in range(600):
        await answer.chunk(chunk_event({"content": f"{number} "}))
        if await answer.until_client_closes(TICK):
            return


class Listener(threading.Thread):
    """A client that reads a stream until it breaks off, and keeps what came."""

    def __init__(self, proxy: RunningProxy, session: str) -> None:
        super().__init__(daemon=True)
        body = json.dumps(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": "go on"}]}
        ).encode()
        named = "".join(f"{k}: {v}\r\n" for k, v in proxy.headers(session, "ann").items())
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\n{named}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._port = proxy.port
        self.came: list[tuple[float, bytes]] = []

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(self._request)
            try:
                while data := connection.recv(65536):
                    self.came.append((time.monotonic(), data))
            except ConnectionError:
                pass

    def longest_pause(self) -> float:
        """The most seconds between two pieces: how late this machine lets things happen."""
        moments = [moment for moment, _ in self.came]
        return max(after - before for before, after in pairwise(moments))

    def numbers(self, until: float) -> int:
        """How many numbers had come by then."""
        return sum(data.count(b'"content"') for moment, data in self.came if moment <= until)


@pytest.mark.parametrize(
    "settings",
    [
        {"DURABILITY": "process"},
        {"DURABILITY": "disk", "ENCRYPTION_KEYS": KEYS},
    ],
    ids=["connection to connection", "ASGI, sealed"],
)
def test_a_kill_in_mid_stream_leaves_all_but_the_last_two_seconds(
    tmp_path: Path, upstream: ScriptedUpstream, settings: dict[str, str]
) -> None:
    """Each stream is one interrupted call with the beginning of its reply; short calls leave no
    part-way record.
    """
    upstream.script = talk_on
    journal = tmp_path / "proxy" / "data" / "journal"
    proxy = CopiedProxy(
        tmp_path / "proxy", {"UPSTREAM_BASE_URL": upstream.base_url, **settings}
    ).start()
    try:
        with proxy.client("quick", "ann") as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "quick"}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        listeners = [Listener(proxy, f"s{n}") for n in range(5)]
        began = time.monotonic()
        for listener in listeners:
            listener.start()
        until(lambda: all(listener.numbers(time.monotonic()) >= 10 for listener in listeners))
        early = list(journal.glob("*.pieces"))
        is_early = time.monotonic() - began < FIRST_AFTER
        until(lambda: all(listener.numbers(time.monotonic()) >= 32 for listener in listeners))
        killed_at = time.monotonic()
        proxy.kill()
        (file,) = journal.glob("*.pieces")
        data = file.read_bytes()

        proxy.start()
        until(lambda: not file.exists())

        assert early == [] or not is_early
        late = max(listener.longest_pause() for listener in listeners) - TICK
        assert (b"go on" in data) is ("ENCRYPTION_KEYS" not in settings)
        for number, listener in enumerate(listeners):
            told = proxy.get(f"/conversations/s{number}/messages").json()["data"]
            assert [message["content"] for message in told[:1]] == ["go on"]
            assert told[1]["metadata"]["outcome"] == "interrupted"
            heard = told[1]["content"].split()
            assert heard == [str(n) for n in range(len(heard))]
            assert len(heard) >= listener.numbers(killed_at - 2.2 - late)
            assert len(told) == 2
        calls = proxy.get("/history").json()["history"]
        assert sorted(call["outcome"] for call in calls) == ["complete"] + ["interrupted"] * 5
        assert proxy.stop() == 0
    finally:
        if proxy.process.poll() is None:
            proxy.kill()


def test_at_level_memory_a_kill_takes_no_more_than_the_last_turn(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """What ended before the last reply went out is kept, although no reply waited for a file; and
    what ends in order keeps all.
    """
    settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DURABILITY": "memory"}
    proxy = CopiedProxy(tmp_path / "proxy", settings).start()
    try:
        for end in (proxy.kill, proxy.stop):
            with proxy.client(end.__name__, "ann") as client:
                for number in range(10):
                    body = {"model": "m", "messages": [{"role": "user", "content": str(number)}]}
                    assert client.post("/v1/chat/completions", json=body).status_code == 200
            end()
            proxy.start()
        kept = {
            name: [text for role, text in proxy.path_of(name) if role == "user"]
            for name in ("kill", "stop")
        }

        assert kept["kill"][:9] == [str(number) for number in range(9)]
        assert kept["stop"] == [str(number) for number in range(10)]
    finally:
        if proxy.process.poll() is None:
            proxy.kill()
