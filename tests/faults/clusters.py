"""Two PostgreSQL servers, the second a standby of the first, that take each other's place.

The first commits only what the second has too (PostgreSQL manual 27.2.8): without that, a failover
loses what the database itself had promised, and no client of it could help that.
"""

import shutil
import time
from pathlib import Path

from tests.databases import START_SECONDS, PostgresServer

STANDBY = "standby1"


class StandbyPair:
    """A primary and a standby; `fail_over` kills the primary and promotes the standby."""

    def __init__(self, programs: Path) -> None:
        """Make and start both."""
        self.primary, self.standby = PostgresServer(programs), PostgresServer(programs)
        self.primary.start()
        self._copy()
        self.standby.start()
        names = f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'"
        self.primary.execute(names)
        self.primary.execute("SELECT pg_reload_conf()")

    def url(self, name: str) -> str:
        """The URL of a new database *name* on whichever of both takes writes."""
        self.primary.create(name)
        return (
            f"postgresql://postgres@127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
            f"/{name}?target_session_attrs=read-write"
        )

    def fail_over(self, seconds: float) -> None:
        """Kill the primary, and promote the standby *seconds* later."""
        self.primary.stop("immediate")
        time.sleep(seconds)
        self.standby.execute("ALTER SYSTEM RESET synchronous_standby_names")
        self.standby.execute("SELECT pg_promote()")

    def remove(self) -> None:
        """Stop both and delete their files."""
        self.primary.remove()
        self.standby.remove()

    def _copy(self) -> None:
        data = self.standby._data
        shutil.rmtree(data)
        origin = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name={STANDBY}"
        copying = self.standby._run(
            "pg_basebackup", "-D", str(data), "-R", "-c", "fast", "-d", origin
        )
        _, complaints = copying.communicate(timeout=START_SECONDS)
        if copying.returncode != 0:
            raise RuntimeError(f"pg_basebackup failed: {complaints.decode(errors='replace')}")
