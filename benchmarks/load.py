"""The two C programs: built, the mock upstream started, a load run and its report read.

Both run on the core that the caller is pinned to. A load in which one reply was not as it had to be
is a `BenchmarkFailed`, never a figure.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "tools"
PROGRAMS = ("mock_upstream", "load_client")

# In `max_tokens` this and a number of milliseconds tell the mock how long to rest between events.
_PACING = 1_000_000


class BenchmarkFailed(Exception):
    """Something that has to hold for the figures to mean anything does not."""


def build(folder: Path) -> None:
    """Compile both programs into *folder*."""
    for program in PROGRAMS:
        source = SOURCES / f"{program}.c"
        subprocess.run(["gcc", "-O2", "-Wall", "-o", folder / program, source], check=True)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running mock upstream, and what its replies are like. Lengths are of bodies, in bytes."""

    port: int
    json_bytes: int
    stream_bytes: int
    stream_events: int


@contextmanager
def mock_upstream(programs: Path, *, events: int) -> Iterator[Upstream]:
    """Run the mock upstream; its streams have *events* events with content."""
    process = subprocess.Popen(
        [programs / "mock_upstream", f"0:0:0:{events}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield Upstream(**json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load client is to do. `gap_ms` None asks for JSON replies, else for streams.

    `stagger` is the time in seconds between the beginnings of two connections. Replies that are not
    `exact` only have to be good ones: some gateways write them anew.
    """

    connections: int
    seconds: float
    gap_ms: int | None = None
    max_calls: int | None = None
    stagger: float = 0.0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What the load client saw. Latencies, ttft and gaps are microseconds."""

    done: int
    failed: int
    refused: int
    wrong: int
    events: int
    bytes: int
    connects: int
    elapsed: float
    rate: float
    latency_p50: float
    latency_p90: float
    latency_p99: float
    ttft_p50: float
    ttft_p90: float
    ttft_p99: float
    gap_p50: float
    gap_p90: float
    gap_p99: float
    complaint: str


class LoadClient:
    """Runs loads, with a folder for the bodies of its requests."""

    def __init__(self, programs: Path, upstream: Upstream, *, calls_per_session: int) -> None:
        """Use the program in *programs* and expect the replies of *upstream*."""
        self._programs = programs
        self._upstream = upstream
        self._calls_per_session = calls_per_session

    def run(self, load: Load, *, port: int, headers: Sequence[str]) -> Report:
        """Run *load* against *port* to its end.

        Raises:
            BenchmarkFailed: a call failed, or its reply was not the upstream's.
        """
        return self.finish(self.start(load, port=port, headers=headers))

    def start(self, load: Load, *, port: int, headers: Sequence[str]) -> "subprocess.Popen[str]":
        """Start *load*; hand the process to `finish`."""
        body = self._programs / f"body-{load.gap_ms}.json"
        body.write_bytes(_body(load.gap_ms))
        arguments = {
            "-p": port,
            "-b": body,
            "-c": load.connections,
            "-d": load.seconds,
            "-s": self._calls_per_session,
            "-S": load.stagger * 1e6,
        }
        if load.max_calls is not None:
            arguments["-n"] = load.max_calls
        is_stream = load.gap_ms is not None
        if load.exact:
            upstream = self._upstream
            arguments["-L"] = upstream.stream_bytes if is_stream else upstream.json_bytes
        if is_stream:
            arguments["-E"] = self._upstream.stream_events
        command = [str(self._programs / "load_client")]
        for option, value in arguments.items():
            command += [option, str(value)]
        for header in headers:
            command += ["-H", header]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finish(self, process: "subprocess.Popen[str]") -> Report:
        """Wait for a load that was started; what it saw.

        Raises:
            BenchmarkFailed: a call failed, or its reply was not the upstream's.
        """
        line, _ = process.communicate(timeout=600)
        if process.returncode != 0:
            raise BenchmarkFailed(f"the load client ended with {process.returncode}")
        report = Report(**json.loads(line))
        if report.failed or report.refused or report.wrong or not report.done:
            raise BenchmarkFailed(
                f"of {report.done + report.failed + report.refused} calls {report.failed} failed, "
                f"{report.refused} were refused and {report.wrong} had another length or number of "
                f"events than the upstream sent. The first refusal: {report.complaint or '-'}"
            )
        return report


def _body(gap_ms: int | None) -> bytes:
    messages = [
        {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
        {"role": "user", "content": "How does a proxy forward a stream that never pauses? " * 4},
    ]
    body: dict[str, object] = {"model": "gpt-4o-mini", "messages": messages, "temperature": 0.7}
    if gap_ms is not None:
        body |= {"stream": True, "max_tokens": _PACING + gap_ms}
    return json.dumps(body, separators=(",", ":")).encode()
