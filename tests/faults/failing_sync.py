"""A disk whose syncs fail: strace (Debian: strace) gives the program EIO for each of them."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.missing import Missing

PATIENCE = 60.0


@contextmanager
def failing_syncs(process: int, report: Path, *, when: str = "1+") -> Iterator[None]:
    """While the block runs, `fsync` and `fdatasync` of *process* fail; *when* as strace wants it.

    What strace has seen is in the file *report* afterwards.

    Raises:
        Missing: there is no strace, or the system does not let it.
    """
    program = shutil.which("strace")
    if program is None:
        raise Missing("strace is not installed (Debian: apt install strace)")
    rule = f"inject=fsync,fdatasync:error=EIO:when={when}"
    tracing = ("-f", "-qq", "-o", str(report), "-e", "trace=fsync,fdatasync", "-e", rule)
    watcher = subprocess.Popen(
        (program, *tracing, "-p", str(process)), stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_until_attached(watcher, process)
        yield
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(timeout=PATIENCE)


def _wait_until_attached(watcher: "subprocess.Popen[str]", process: int) -> None:
    deadline = time.monotonic() + PATIENCE
    threads = Path(f"/proc/{process}/task")
    while not all(_is_traced(thread) for thread in threads.iterdir()):
        if watcher.poll() is not None:
            _, complaints = watcher.communicate()
            raise Missing(f"strace may not trace here: {complaints.strip()}")
        assert time.monotonic() < deadline, "strace does not attach"
        time.sleep(0.01)


def _is_traced(thread: Path) -> bool:
    try:
        return "TracerPid:\t0\n" not in (thread / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # A thread that has ended meanwhile need not be traced.
        return True
