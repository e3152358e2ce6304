"""Processes seen from outside: the CPU time and the memory of a tree of them, and where they run.

Everything comes out of /proc (proc(5)), so that a contestant is measured without its doing anything
for it. Nothing here starts or ends a process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Positions in /proc/PID/stat after the name of the program, which may itself contain spaces.
_PARENT = 1
_TIMES = slice(11, 15)
_RESIDENT = 21


def cpu_seconds(root: int) -> float:
    """User and system time of *root* and of all that came of it, what has ended included.

    The kernel adds a child's time to its parent's when the parent has waited for it.
    """
    return sum(
        sum(int(ticks) for ticks in stat[_TIMES]) / _TICKS_PER_SECOND for stat in _tree(root)
    )


def resident_bytes(root: int) -> int:
    """Resident memory of *root* and of its descendants; pages they share count more than once."""
    return sum(int(stat[_RESIDENT]) * _PAGE_BYTES for stat in _tree(root))


def cores() -> tuple[int, int]:
    """The core for load and upstream, and the core for the contestant; the same if there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run on *core*: this thread, and the processes and threads that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _tree(root: int) -> list[list[str]]:
    stats = {int(path.name): stat for path in _numbered() if (stat := _stat(path))}
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(int(stat[_PARENT]), []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if pid in stats:
            found.append(stats[pid])
    return found


def _numbered() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())


def _stat(process: Path) -> list[str] | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return None
