"""A disk that is full whenever a test wants it to be.

It is a tmpfs of a few megabytes, which only an administrator may mount. Where nobody may, a limit
on the size of files (setrlimit(2), RLIMIT_FSIZE) on the running program stands in: then its writes
to files fail with EFBIG instead of ENOSPC, and those to sockets do not.
"""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.missing import Missing
from tests.proxies import RunningProxy


class FillableDisk(Protocol):
    """A place for files that can be filled, and emptied again."""

    def fill(self, proxy: RunningProxy) -> None:
        """From now on nothing more can be written."""

    def free(self, proxy: RunningProxy) -> None:
        """There is room again."""


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs, filled with one big file."""

    folder: Path

    def fill(self, _proxy: RunningProxy) -> None:
        descriptor = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    os.write(descriptor, bytes(size))
        os.close(descriptor)

    def free(self, _proxy: RunningProxy) -> None:
        (self.folder / "filler").unlink()


@dataclass(frozen=True)
class FileSizeLimit:
    """Files of the program must not grow beyond *limit* bytes."""

    limit: int

    def fill(self, proxy: RunningProxy) -> None:
        resource.prlimit(
            proxy.process.pid, resource.RLIMIT_FSIZE, (self.limit, resource.RLIM_INFINITY)
        )

    def free(self, proxy: RunningProxy) -> None:
        endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, endless)


@contextmanager
def small_disk(folder: Path, *, megabytes: int = 8) -> Iterator[SmallDisk]:
    """A small disk at *folder*, with room for what is written while it is not filled.

    Raises:
        Missing: nobody may mount one here.
    """
    folder.mkdir()
    mounting = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    made = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Missing(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(("umount", "-l", str(folder)), check=True)
