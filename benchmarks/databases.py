"""A folder for a run, and empty databases for it: SQLite files in it, or a PostgreSQL server's.

All of it is gone at the end of the run.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Cores
from tests.databases import PostgresServer, postgres_programs

NewDatabase = Callable[[str], str]
"""Makes an empty database of a name, and returns its URL."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is measured: a folder for files, cores, and a way to make databases."""

    folder: Path
    cores: Cores
    new_database: NewDatabase

    @property
    def journal(self) -> Path:
        """The journal with which the recorder is measured by itself, again and again."""
        return self.folder / "recorder" / "journal"


@contextmanager
def databases(kind: str) -> Iterator[tuple[Path, NewDatabase]]:
    """A folder for the run, and a way to make empty databases of *kind*, sqlite or postgresql."""
    with tempfile.TemporaryDirectory(prefix="officeai-bench-") as name:
        folder = Path(name)
        programs = postgres_programs()
        if kind == "sqlite" or programs is None:
            yield folder, lambda database: f"sqlite:///{folder / database}.db"
            return
        server = PostgresServer(programs)
        try:
            server.start()
            yield folder, server.create
        finally:
            server.remove()
