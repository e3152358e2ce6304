"""Conversations in, a file out that `import` reads back; nothing is deleted here.

The file is the program's own `jsonl`: every conversation with all its branches, one a line. It has
its name only once it is whole, was read back, and is on the disk.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from officeai_proxy.errors import ProxyError
from officeai_proxy.exports import Export, Order, open_export
from officeai_proxy.formats.file_names import safe_name
from officeai_proxy.formats.reading.files import read_items
from officeai_proxy.formats.reading.imported import ImportedConversation, Reading
from officeai_proxy.formats.writing.passages import Counts, Options
from officeai_proxy.model import Caller, Conversation
from officeai_proxy.storage.conversations.conversations import ConversationFilter
from officeai_proxy.storage.database import Database

FORMAT = "jsonl"

# What was written on this machine a moment ago may be of any size.
_NO_LIMIT = 2**62


class ArchiveNotWritten(ProxyError):
    """The archive cannot be written, so nothing was deleted."""


def check_directory(directory: Path) -> None:
    """Try whether an archive could be written to *directory*, which is made if it is not there.

    Raises:
        ArchiveNotWritten: it could not.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=directory, buffering=0) as file:
            file.write(b"\n")
    except OSError as exc:
        raise ArchiveNotWritten(
            f"{directory} cannot be written ({exc.strerror}), so retention deletes nothing; make "
            "room, or set OFFICEAI_ARCHIVE_DIR to another folder."
        ) from exc


async def write_archive(
    database: Database,
    caller: Caller,
    found: Sequence[Conversation],
    *,
    before: datetime,
    directory: Path,
    now: datetime,
) -> set[tuple[str, str]]:
    """Archive the live conversations that are older than *before*, from the first of *found* to the
    last of them; the session and the user of each that can be read back from the file.

    Raises:
        ArchiveNotWritten: the disk does not take it, or gives back something else.
        DatabaseUnavailable: the database went away.
    """
    wanted = ConversationFilter(updated_before=before, above=found[0].id - 1, through=found[-1].id)
    order = Order(format=FORMAT, options=Options(exported_at=now), conversations=wanted)
    name = f"{safe_name(caller.workspace) or 'workspace'} {now:%Y-%m-%dT%H%M%SZ}"
    whole = directory / f"{name} {found[0].id}-{found[-1].id}.{FORMAT}"
    part = whole.with_name(f"{whole.name}.part")
    try:
        async with open_export(database, caller, order) as export:
            await _write(export, part)
            kept = await asyncio.to_thread(_read_back, part, export.written, now)
        await asyncio.to_thread(_give_name, part, whole)
    except OSError as exc:
        raise ArchiveNotWritten(
            f"{whole} cannot be written ({exc.strerror}), so nothing was deleted; make room, or "
            "set OFFICEAI_ARCHIVE_DIR to another folder."
        ) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return kept


async def _write(export: Export, part: Path) -> None:
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        async for piece in export.pieces():
            await asyncio.to_thread(file.write, piece)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())


def _read_back(part: Path, written: Counts, now: datetime) -> set[tuple[str, str]]:
    """Read the file as an import does; the sessions and users in it.

    Raises:
        ArchiveNotWritten: it does not hold what was written.
    """
    kept: set[tuple[str, str]] = set()
    messages = 0
    if written.conversations == 0:
        return kept
    with part.open("rb") as file:
        for item in read_items(file, Reading(now=now, item_bytes=_NO_LIMIT, total_bytes=_NO_LIMIT)):
            if isinstance(item, ImportedConversation):
                kept.add((item.session_id, item.user_identifier or ""))
                messages += len(item.messages)
    if (len(kept), messages) != (written.conversations, written.messages):
        raise ArchiveNotWritten(
            f"{part} was written and cannot be read back whole, so nothing was deleted; "
            "look at its disk."
        )
    return kept


def _give_name(part: Path, whole: Path) -> None:
    """Rename the file, and bring its new name onto the disk as well."""
    part.replace(whole)
    folder = os.open(whole.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
