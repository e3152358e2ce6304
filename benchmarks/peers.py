"""Calls through other gateways: each started with one process, no database and nothing recorded.

A gateway that does not start, or does not answer well, is left out, and one line says why.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contestants import START_SECONDS, end, is_listening
from benchmarks.databases import Site
from benchmarks.gateways import Installed, Launch, Peer, PeerMissing, last_line, tell
from benchmarks.load import BenchmarkFailed, Load
from benchmarks.measures import HEADERS, RECORDED, Field, Sample, interleaved, sampled
from benchmarks.processes import cpu_seconds, pinned
from benchmarks.table import Figure
from tests.databases import free_port
from tests.proxies import clean_environment

_REST_SECONDS = 0.3
_REST_CPU = 0.03
"""A gateway that takes less CPU than this in that time has nothing left to do."""

_SETTLE_SECONDS = 20.0


class RunningPeer:
    """A gateway that was started on a core; a contestant."""

    def __init__(self, installed: Installed, folder: Path, *, upstream: int, core: int) -> None:
        """Start it and wait until it takes connections.

        Raises:
            PeerMissing: it does not start.
        """
        folder.mkdir()
        log = folder / "output.log"
        self.port = free_port()
        launch = Launch(installed.home, folder, self.port, upstream)
        began = time.monotonic()
        with pinned(core), log.open("wb") as output:
            self._process = subprocess.Popen(
                installed.peer.command(launch),
                cwd=folder,
                env=clean_environment(**installed.peer.environment),
                stdout=output,
                stderr=output,
            )
        self.pid = self._process.pid
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.stop()
                raise PeerMissing(f"it did not start: {last_line(log)}")
            time.sleep(0.1)
        self.seconds_to_start = time.monotonic() - began

    def settle(self) -> None:
        """Wait until it rests: some gateways go on after they have answered."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            before = cpu_seconds(self.pid)
            time.sleep(_REST_SECONDS)
            if cpu_seconds(self.pid) - before < _REST_CPU:
                return

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        end(self._process)


def json_calls(field: Field, installed: Sequence[Installed], site: Site) -> Iterator[Figure]:
    """CPU of a JSON call through each gateway that starts, and how much lighter ours is."""
    load = Load(connections=field.plan.connections, seconds=field.plan.seconds, exact=False)
    lanes: dict[str, Callable[[], Sample]] = {
        "nginx": lambda: sampled(field, field.nginx, load, headers=RECORDED),
        "ours": lambda: sampled(field, field.ours, load, headers=RECORDED),
    }
    with ExitStack() as stack:
        started = []
        for one in installed:
            home = site.folder / f"running-{one.peer.title}"
            try:
                running = RunningPeer(
                    one, home, upstream=field.upstream, core=site.cores.contestant
                )
                stack.callback(running.stop)
                lane = _lane(field, running, load, one.peer)
                lane()
            except (PeerMissing, BenchmarkFailed) as failed:
                tell(one.peer, failed)
                continue
            lanes[one.peer.title] = lane
            started.append(one.peer)
        if not started:
            return
        found = interleaved(lanes, field.plan.rounds)
    cpu = {name: [sample.call_us for sample in samples] for name, samples in found.items()}
    for peer in started:
        theirs = cpu[peer.title]
        yield Figure(peer.cost, theirs, cpu["nginx"])
        yield Figure(peer.lighter, [a / b for a, b in zip(theirs, cpu["ours"], strict=True)])


def _lane(field: Field, running: RunningPeer, load: Load, peer: Peer) -> Callable[[], Sample]:
    headers = (*HEADERS, *(header.format(upstream=field.upstream) for header in peer.headers))
    return lambda: sampled(field, running, load, headers=headers)
