"""Processes seen from outside: the CPU time and the memory of a tree of them, where they run, and
how long their cores had nothing to do.

Everything comes out of /proc (proc(5)), so that a contestant is measured without its doing anything
for it. Nothing here starts or ends a process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Positions in /proc/PID/stat after the name of the program, which may itself contain spaces.
_PARENT = 1
_TIMES = slice(11, 15)
_OWN_TIMES = slice(11, 13)
_RESIDENT = 21

# Positions in a core's line of /proc/stat after its name: idle, and idle while a disk works.
_IDLE = slice(3, 5)


def cpu_seconds(root: int) -> float:
    """User and system time of *root* and of all that came of it, what has ended included.

    The kernel adds a child's time to its parent's when the parent has waited for it.
    """
    return sum(
        sum(int(ticks) for ticks in stat[_TIMES]) / _TICKS_PER_SECOND
        for stat in _tree(root).values()
    )


def cpu_by_process(root: int) -> dict[int, float]:
    """User and system time of *root* and of each of its descendants, by process id."""
    return {
        pid: sum(int(ticks) for ticks in stat[_OWN_TIMES]) / _TICKS_PER_SECOND
        for pid, stat in _tree(root).items()
    }


def idle_seconds(cores: Sequence[int]) -> float:
    """How long *cores* together have had nothing to do since the machine was started."""
    lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
    wanted = {f"cpu{core}" for core in cores}
    ticks = (line.split()[1:][_IDLE] for line in lines if line.partition(" ")[0] in wanted)
    return sum(int(number) for some in ticks for number in some) / _TICKS_PER_SECOND


def resident_bytes(root: int) -> int:
    """Resident memory of *root* and of its descendants; pages they share count more than once."""
    return sum(int(stat[_RESIDENT]) * _PAGE_BYTES for stat in _tree(root).values())


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: load and upstream, the contestant, and one that has two workers.

    Two workers have a core each if there are two, and leave the load's alone if there are three.
    """

    load: int
    contestant: int
    workers: tuple[int, ...]

    @classmethod
    def allowed(cls) -> "Cores":
        """Divide the cores on which this thread may run now, so ask before it is pinned."""
        found = sorted(os.sched_getaffinity(0))
        return cls(found[0], found[-1], tuple(found[-2:]))

    @property
    def is_shared(self) -> bool:
        """Whether there is only one."""
        return self.load == self.contestant


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Run on *cores*: this thread, and the processes and threads that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _tree(root: int) -> dict[int, list[str]]:
    """The lines of /proc/PID/stat of *root* and of its descendants, by process id."""
    stats = {int(path.name): stat for path in _numbered() if (stat := _stat(path))}
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(int(stat[_PARENT]), []).append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if pid in stats:
            found[pid] = stats[pid]
    return found


def _numbered() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())


def _stat(process: Path) -> list[str] | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return None
