"""A SQLite file as the connections of one pool have opened it: is it still the one at its path?

SQLite goes on reading and writing a file that was replaced or deleted, for it holds it open, and
nobody finds what it writes there. The journal would be freed for it, and those calls be lost.
"""

from pathlib import Path

from officeai_proxy.errors import DatabaseMoved


class OpenedFile:
    """Remembers which file was opened first, and lets no connection work beside it."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet at *path*."""
        self._path = path
        self._first: tuple[int, int] | None = None

    def note(self) -> None:
        """A connection has opened the file."""
        self._first = self._first or self._now()

    def confirm(self) -> None:
        """Let somebody open the file or use a connection to it.

        Raises:
            DatabaseMoved: another file is at its path than the one that was opened first, or none.
        """
        if self._first is not None and self._now() != self._first:
            raise DatabaseMoved

    def _now(self) -> tuple[int, int] | None:
        # `stat` opens nothing: what opens the file and closes it drops the locks on it (fcntl(2)).
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
