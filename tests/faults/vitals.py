"""A running program seen from outside: its memory, its open files, its tasks; changes nothing.

Memory and files come out of /proc (proc(5)). Tasks and Python's blocks of memory are counted by a
`sitecustomize` module that the program finds on its PYTHONPATH and that answers SIGUSR2.
"""

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.proxies import RunningProxy

PATIENCE = 60.0

# `gc.get_objects` would find them all, and break tuples that another thread is just building: they
# must not be seen by anybody before they are done (CPython, Objects/tupleobject.c).
_PROBE = """
import asyncio, os, pathlib, signal, sys

def tell(number, frame):
    count = len(asyncio.all_tasks(asyncio.get_running_loop()))
    fresh = pathlib.Path(os.environ["VITALS"] + f".{os.getpid()}.new")
    fresh.write_text(f"{count} {sys.getallocatedblocks()}")
    fresh.replace(os.environ["VITALS"] + f".{os.getpid()}")

signal.signal(signal.SIGUSR2, tell)
"""


@dataclass(frozen=True)
class Vitals:
    """What a process holds at one moment; `memory` in bytes, `blocks` as Python counts them."""

    memory: int
    descriptors: int
    tasks: int
    blocks: int


def with_probe(proxy: RunningProxy) -> RunningProxy:
    """*proxy*, not started yet, with what `vitals` needs."""
    probe = proxy.folder / "probe"
    probe.mkdir(parents=True)
    (probe / "sitecustomize.py").write_text(_PROBE)
    proxy.environment |= {"PYTHONPATH": str(probe), "VITALS": str(probe / "tasks")}
    return proxy


def vitals(proxy: RunningProxy) -> Vitals:
    """What *proxy*, a single process, holds now."""
    process = proxy.process.pid
    told = proxy.folder / "probe" / f"tasks.{process}"
    told.unlink(missing_ok=True)
    os.kill(process, signal.SIGUSR2)
    deadline = time.monotonic() + PATIENCE
    while not told.exists():
        assert time.monotonic() < deadline, "the program does not say how many tasks it has"
        time.sleep(0.01)
    descriptors = len(list(Path(f"/proc/{process}/fd").iterdir()))
    tasks, blocks = map(int, told.read_text().split())
    return Vitals(resident(process), descriptors, tasks, blocks)


def resident(process: int) -> int:
    """The memory of *process* now, in bytes."""
    return _status(process, "VmRSS")


def peak_bytes(process: int) -> int:
    """The most memory that *process* has had since `forget_peak`."""
    return _status(process, "VmHWM")


def forget_peak(process: int) -> int:
    """Measure the peak from now on; what there is now, in bytes."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
    return resident(process)


def _status(process: int, name: str) -> int:
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) * 1024
