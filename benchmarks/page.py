"""`python -m benchmarks.page`: how fast the page opens where much is stored, and how large it is.

    --conversations N       how many are stored (100,000)
    --messages N            how many messages the longest of them has (10,000)
    --rounds N              how often each address is asked for (20)

The figures are those of `/ui` and of a conversation as a browser gets them, compressed, from the
running program. `GET /health/live`, which does nothing, is asked for in between: the ratio to it is
what can be compared between machines. `scripts/bench beside` shows what calls feel meanwhile.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx
from tests.page.stories import tell_long, tell_many
from tests.proxies import KEY, RunningProxy

from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

OK = 200
UNAUTHORIZED = 401

LINKED = re.compile(r'(?:src|href)="(/ui/static/[^"]+)"')


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench page", description="Measure the page.")
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="officeai-page-") as name:
        url = f"sqlite:///{Path(name) / 'officeai.db'}"
        long_one = asyncio.run(_fill(url, options.conversations, options.messages))
        with (
            RunningProxy(Path(name) / "run", {"DATABASE_URL": url}) as proxy,
            httpx.Client(base_url=proxy.root, timeout=60, trust_env=False) as it,
        ):
            door = _seconds(it, "/ui", expected=UNAUTHORIZED)
            began = time.perf_counter()
            sign_in(it)
            first = time.perf_counter() - began
            print(
                f"the first of all: the door {door * 1000:.1f} ms, "
                f"from the key to the conversations {first * 1000:.1f} ms"
            )
            addresses = {
                f"{options.conversations:,} conversations": "/ui",
                f"{options.messages:,} messages, at the newest": f"/ui/c/{long_one}",
                f"{options.messages:,} messages, in the middle": f"/ui/c/{long_one}?at=5000",
            }
            for told, path in addresses.items():
                print(_line(it, told, path, rounds=options.rounds))
    return 0


async def _fill(url: str, conversations: int, messages: int) -> int:
    database = Database(url)
    await prepare(database)
    now = datetime.now(UTC)
    await tell_many(database, conversations, now)
    number = await tell_long(database, now, messages)
    await database.close()
    return number


@contextmanager
def signed_in(proxy: RunningProxy) -> Iterator[httpx.Client]:
    """A browser that is signed in."""
    with httpx.Client(base_url=proxy.root, timeout=60, trust_env=False) as client:
        sign_in(client)
        yield client


def sign_in(client: httpx.Client) -> None:
    """Give the key at the door, and see what is behind it."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = client.post("/ui/enter", data={"key": KEY}, headers=headers, follow_redirects=True)
    if answer.status_code != OK:
        raise SystemExit(f"benchmarks: signing in was answered with {answer.status_code}")


def _line(client: httpx.Client, told: str, path: str, *, rounds: int) -> str:
    page, idle = [], []
    for _ in range(rounds):
        page.append(_seconds(client, path))
        idle.append(_seconds(client, "/health/live"))
    text = client.get(path).text
    sizes = [_size(client, one) for one in (path, *sorted(set(LINKED.findall(text))))]
    return (
        f"{told:32} p50 {median(page) * 1000:6.1f} ms, slowest {max(page) * 1000:6.1f} ms, "
        f"{median(page) / median(idle):5.1f} times a request that does nothing; "
        f"{sizes[0] / 1000:5.1f} KB, with all files {sum(sizes) / 1000:5.1f} KB"
    )


def _seconds(client: httpx.Client, path: str, *, expected: int = OK) -> float:
    began = time.perf_counter()
    answer = client.get(path)
    if answer.status_code != expected:
        raise SystemExit(f"benchmarks: {path} was answered with {answer.status_code}")
    return time.perf_counter() - began


def _size(client: httpx.Client, path: str) -> int:
    """Bytes as they come over the wire."""
    with client.stream("GET", path) as answer:
        return sum(len(piece) for piece in answer.iter_raw())


if __name__ == "__main__":
    sys.exit(main())
