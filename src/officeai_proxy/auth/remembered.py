"""What is needed to check the managed keys, in a file of this host; never a key itself.

A start while the database is away would otherwise know no managed key, and refuse every call until
it is back. A copy is as good as what a host that was not restarted has in memory: a key that was
revoked while neither could reach the database opens until they can.

The workers of one host share the file: a key that one of them has just made is known to the others
before they read the database again.

The file holds what the table in the database holds in the clear, but the names of the keys. Nothing
in it opens anything. It is bound to its database: that of another one is not believed.
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from officeai_proxy.model import ApiKey, Limits, Scope

FILE = "managed-keys.json"

_FORMAT = "officeai-keys-1"

Version = tuple[int, int]
"""Which file it is, by its inode and its time: each is written once, and then replaced."""

_log = logging.getLogger(__name__)


class RememberedKeys:
    """The copy of one host. Several processes may write it: each time all of it is replaced."""

    def __init__(self, data_dir: Path, database: str) -> None:
        """It is in *data_dir*; *database* tells one database from every other."""
        self._path = data_dir / FILE
        self._database = hashlib.sha256(database.encode("utf-8", "surrogateescape")).hexdigest()
        self._kept: str | None = None
        self._known: Version | None = None
        self._has_failed = False

    def newer(self) -> list[ApiKey] | None:
        """The keys that another worker wrote since this one read or wrote any; None: no such."""
        return None if self.version() == self._known else self.read()

    def read(self) -> list[ApiKey] | None:
        """The keys of that database as they were known last; None when nothing is known of them."""
        self._known = self.version()
        try:
            text = self._path.read_text("utf-8")
            kept = json.loads(text)
            if (kept["format"], kept["database"]) != (_FORMAT, self._database):
                return None
            keys = [_key_of(row) for row in kept["keys"]]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            # A file that was damaged is none: the database has the keys.
            _log.warning("the copy of the keys in %s cannot be read: %s", self._path, exc)
            return None
        self._kept = text
        return keys

    def keep(self, keys: Sequence[ApiKey], read_at: Version | None) -> bool:
        """From now on *keys* are known; the file is left alone when it has them. Never fails.

        False: not kept, because the file is not the one of *read_at* any more, when the keys were
        read. Another worker may have newer ones.
        """
        rows = [_row_of(key) for key in sorted(keys, key=lambda key: key.id)]
        text = json.dumps({"format": _FORMAT, "database": self._database, "keys": rows})
        if text == self._kept:
            return True
        try:
            if not self._replace(text, read_at):
                return False
        except OSError as exc:
            if not self._has_failed:
                _log.warning("the keys cannot be kept for a start without the database: %s", exc)
            self._has_failed = True
        else:
            self._kept, self._has_failed = text, False
        return True

    def version(self) -> Version | None:
        """Which file there is now, if there is one."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _replace(self, text: str, read_at: Version | None) -> bool:
        fresh = self._path.with_name(f"{FILE}.{uuid4().hex[:12]}.new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            if self.version() != read_at:
                return False
            fresh.replace(self._path)
            self._known = self.version()
        finally:
            fresh.unlink(missing_ok=True)
        return True


def _row_of(key: ApiKey) -> dict[str, object]:
    limits = key.limits
    return {
        "id": key.id,
        "digest": key.digest.hex(),
        "workspace": key.workspace,
        "scopes": sorted(key.scopes),
        "user": key.user,
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "limits": None if limits is None else [limits.rpm, limits.tpm, limits.concurrency],
        "replaces": key.replaces,
    }


def _key_of(row: dict[str, Any]) -> ApiKey:
    expires_at, limits = row["expires_at"], row["limits"]
    return ApiKey(
        id=row["id"],
        name="",
        digest=bytes.fromhex(row["digest"]),
        hint="…",
        workspace=row["workspace"],
        scopes=frozenset(map(Scope, row["scopes"])),
        created_at=datetime.fromisoformat(row["created_at"]),
        user=row["user"],
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        limits=None if limits is None else Limits(*limits),
        replaces=row["replaces"],
    )
