"""`python -m benchmarks.beside`: do calls stay as fast while everything is exported?

Paced streams go through the program (the recorder works as well) while nothing else happens, while
somebody reads on the page (two pages a second: lists, searches, conversations), while exports run
one after the other, and while a client has begun an export and stopped to read it. For the last,
the size of SQLite's WAL is printed too: an export that is not read holds no snapshot.
"""

import argparse
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from benchmarks.exports import MISSING, OK, download, filled
from benchmarks.load import BenchmarkFailed, Load, LoadClient, build, mock_upstream
from benchmarks.page import signed_in
from tests.databases import postgres_programs
from tests.proxies import KEY, RunningProxy

HEADERS = (f"Authorization: Bearer {KEY}", "X-Session-ID: beside@@@@@@@@", "X-User-ID: bench")
LOAD = Load(connections=32, seconds=6, gap_ms=20, stagger=0.01)


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--format", default="csv")
    options = parser.parse_args()
    if options.database == "postgresql" and postgres_programs() is None:
        print("benchmarks: PostgreSQL's programs are not installed", file=sys.stderr)
        return MISSING
    with (
        tempfile.TemporaryDirectory() as programs,
        filled(options.messages, 100, options.database) as (url, folder),
    ):
        build(Path(programs))
        with mock_upstream(Path(programs), events=64) as upstream:
            settings = {
                "DATABASE_URL": url,
                "UPSTREAM_BASE_URL": f"http://127.0.0.1:{upstream.port}/v1",
            }
            client = LoadClient(Path(programs), upstream, calls_per_session=10)
            with RunningProxy(folder / "run", settings) as proxy:
                _compare(proxy, client, wanted=options.format, wal=folder / "officeai.db-wal")
    return 0


def _compare(proxy: RunningProxy, client: LoadClient, *, wanted: str, wal: Path) -> None:
    client.run(LOAD, port=proxy.port, headers=HEADERS)
    _told("alone", client, proxy)
    with _reading(proxy) as count:
        _told("while the page is read", client, proxy)
    print(f"  pages meanwhile: {count[0]}")
    with _exports(proxy, wanted) as count:
        _told(f"while {wanted} is exported", client, proxy)
    print(f"  exports meanwhile: {count[0]}")
    with _stalled(proxy, wanted):
        _told(f"while {wanted} is not read", client, proxy)
        if wal.exists():
            print(f"  the WAL meanwhile: {wal.stat().st_size / 1e6:.1f} MB")


def _told(what: str, client: LoadClient, proxy: RunningProxy) -> None:
    try:
        seen = client.run(LOAD, port=proxy.port, headers=HEADERS)
    except BenchmarkFailed as failed:
        raise SystemExit(f"benchmarks: {what}: {failed}") from failed
    print(
        f"{what:28} {seen.done:5} streams, first byte p50 {seen.ttft_p50 / 1000:6.1f} ms, "
        f"p99 {seen.ttft_p99 / 1000:6.1f} ms, gap p50 {seen.gap_p50 / 1000:5.1f} ms, "
        f"p99 {seen.gap_p99 / 1000:5.1f} ms"
    )


@contextmanager
def _reading(proxy: RunningProxy) -> Iterator[list[int]]:
    """Scroll, search and open conversations as fast as a person does."""
    done, count = threading.Event(), [0]
    looks = ("/ui", "/ui?user=user7", "/ui/search?q=export+every", "/ui/search?q=会话", "/ui/c/77")

    def work(reader: httpx.Client) -> None:
        while not done.wait(0.5):
            answer = reader.get(looks[count[0] % len(looks)])
            count[0] += answer.status_code == OK

    with signed_in(proxy) as reader:
        worker = threading.Thread(target=work, args=(reader,))
        worker.start()
        try:
            yield count
        finally:
            done.set()
            worker.join()


@contextmanager
def _exports(proxy: RunningProxy, wanted: str) -> Iterator[list[int]]:
    """Download one export after the other."""
    done, count = threading.Event(), [0]

    def work() -> None:
        while not done.is_set():
            download(proxy, wanted)
            count[0] += 1

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield count
    finally:
        done.set()
        worker.join()


@contextmanager
def _stalled(proxy: RunningProxy, wanted: str) -> Iterator[None]:
    """Begin a download and read nothing of it."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", proxy.port))
        connection.sendall(
            f"GET /conversations/export-all?format={wanted} HTTP/1.1\r\nhost: test\r\n"
            f"authorization: Bearer {KEY}\r\n\r\n".encode()
        )
        yield


if __name__ == "__main__":
    sys.exit(main())
