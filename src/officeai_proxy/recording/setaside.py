"""Exchanges that can never be stored: kept whole in a folder of their own, for a person to see.

A person can have one tried again, or dropped for good. With a seal, both the exchange and the
reason are sealed, for a reason may quote what was said.

Bytes of the journal in which nothing can be read are kept here as well, as they stand there. Nobody
knows how many exchanges they were, or whose. There is nothing to try again.
"""

import re
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import orjson

from officeai_proxy.burials import burial_of_user, burials_of, graves_of
from officeai_proxy.errors import Conflict, NotFound, ProxyError, Unopenable
from officeai_proxy.model import Exchange
from officeai_proxy.recording.frame_seal import FrameSeal, key_of
from officeai_proxy.recording.frames import Undecodable, decode
from officeai_proxy.recording.reader import Damage, Entry
from officeai_proxy.recording.segments import replace_file

FOLDER = "set-aside"

_FRAME, _RETRIED, _DAMAGE = ".frame", ".retried", ".damage"
_KINDS = (_FRAME, _RETRIED, _DAMAGE)
_NAME = re.compile("[0-9A-Za-z-]{1,64}")
_STRANGE = re.compile("[^0-9A-Za-z-]")
_STEM = 40
"""Characters of a segment's name at most: a place in it follows."""


class Appending(Protocol):
    """A journal that takes what is to be tried again."""

    dropped: int

    def append_payload(self, payload: bytes) -> None:
        """Keep the payload of a frame."""

    def close(self) -> None:
        """Write what waits, and count what cannot be written."""


@dataclass(frozen=True, slots=True)
class Aside:
    """One exchange that is set aside, and why; `exchange` is None when it cannot be read here.

    With `is_damage` it is a part of the journal in which no exchange can be read.
    """

    name: str
    reason: str
    size: int
    set_aside_ns: int
    exchange: Exchange | None
    is_damage: bool = False


def set_aside(journal: Path, entry: Entry, *, reason: str, seal: FrameSeal | None = None) -> Path:
    """Keep *entry* and the reason why it cannot be stored; the folder is made when needed."""
    folder = journal / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = str(entry.exchange.id) if entry.exchange else uuid4().hex
    kept = folder / f"{name}{_FRAME}"
    about = orjson.dumps({"reason": reason})
    # Whoever sees the frame sees all of it, and why; a disk that gets full in between leaves none.
    replace_file(kept.with_suffix(".json"), _sealed(about, seal), is_synced=True)
    replace_file(kept, _sealed(entry.payload, seal), is_synced=True)
    return kept


def set_damage_aside(
    journal: Path, damage: Damage, found: bytes, *, seal: FrameSeal | None = None
) -> Path:
    """Keep *found*, the bytes that *damage* tells of; a second time it is the same file."""
    folder = journal / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    stem = _STRANGE.sub("-", Path(damage.segment).stem)[:_STEM]
    kept = folder / f"{stem}-{damage.start}{_DAMAGE}"
    reason = (
        f"the journal was damaged: no call can be read in bytes {damage.start} to {damage.end} "
        f"of {damage.segment}"
    )
    about = orjson.dumps({"reason": reason})
    replace_file(kept.with_suffix(".json"), _sealed(about, seal), is_synced=True)
    # Damaged bytes may begin like sealed ones: they are sealed whatever they look like.
    replace_file(kept, found if seal is None else seal.seal(found), is_synced=True)
    return kept


def is_set_aside(journal: Path, exchange_id: UUID) -> bool:
    """Whether that exchange is set aside."""
    return (journal / FOLDER / f"{exchange_id}{_FRAME}").exists()


def count(journal: Path) -> int:
    """How many exchanges, and damaged parts of the journal, are set aside."""
    return len(_names(journal / FOLDER))


def count_damage(journal: Path) -> int:
    """How many of them are damaged parts of the journal."""
    with suppress(OSError):
        return sum(file.suffix == _DAMAGE for file in _files(journal / FOLDER))
    return 0


class SetAsideFolder:
    """What is set aside in one journal."""

    def __init__(self, journal: Path, seal: FrameSeal | None = None) -> None:
        """The journal is in the folder *journal*; *seal* opens what is sealed."""
        self._folder = journal / FOLDER
        self._seal = seal

    def all(self) -> Iterator[Aside]:
        """Everything that is set aside, the oldest exchange first."""
        for name in sorted(_names(self._folder)):
            with suppress(NotFound):
                yield self.one(name)

    def one(self, name: str) -> Aside:
        """The exchange that is set aside under *name*.

        Raises:
            NotFound: there is none.
        """
        kept = self._find(name)
        is_damage = kept.suffix == _DAMAGE
        found = kept.read_bytes()
        about = b""
        with suppress(FileNotFoundError):
            about = kept.with_suffix(".json").read_bytes()
        changed = kept.stat().st_mtime_ns
        exchange = None if is_damage else self._exchange(found)
        return Aside(name, self._reason(about), len(found), changed, exchange, is_damage)

    def damaged_bytes(self, name: str) -> bytes:
        """What is set aside under *name* as it stood in the journal.

        Raises:
            NotFound: there is none.
        """
        return self._opened(self._find(name).read_bytes())

    def retry(self, name: str, journal: Appending) -> None:
        """Put what is set aside under *name* at the end of *journal*, which is closed then.

        The recorder stores it, or sets it aside once more. When this is broken off in the middle,
        both are there; the store takes an exchange once.

        Raises:
            NotFound: there is none.
            Conflict: it is damage, in which there is no exchange.
            ProxyError: the journal takes nothing; all is as it was.
        """
        kept = self._find(name)
        if kept.suffix == _DAMAGE:
            raise Conflict(
                f"{name!r} is a damaged part of the journal: there is no call in it to try again. "
                "`set-aside show` has what is left of it, `set-aside drop` deletes it."
            )
        # Under its own name it would be deleted below although it was set aside again meanwhile.
        retried = kept.with_suffix(_RETRIED)
        kept.rename(retried)
        journal.append_payload(retried.read_bytes())
        journal.close()
        if journal.dropped:
            retried.rename(kept.with_suffix(_FRAME))
            raise ProxyError("The journal cannot be written; look at its disk, then try again.")
        retried.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Delete what is set aside under *name* for good.

        Raises:
            NotFound: there is none.
        """
        kept = self._find(name)
        for suffix in (*_KINDS, ".json"):
            kept.with_suffix(suffix).unlink(missing_ok=True)

    def erase(
        self,
        *,
        workspace: str,
        user: str,
        session: str | None = None,
        until: datetime | None = None,
    ) -> int:
        """Delete what is set aside of *user* for good, or of one *session* of theirs; how many.

        With *until* only what began up to then.
        What is looked at is what a call named, see `burials`: one without a user is that of its
        caller's address. One that this version cannot read is left for a person to see.
        """
        wanted = {burial_of_user(workspace, user)}
        if session is not None:
            wanted = set(burials_of(workspace, user, session))
        erased = 0
        for aside in self._in(wanted, until):
            self.drop(aside.name)
            erased += 1
        return erased

    def has(self, *, workspace: str, user: str) -> bool:
        """Whether anything is set aside that `erase` would delete of *user*."""
        return next(self._in({burial_of_user(workspace, user)}), None) is not None

    def _in(self, wanted: Set[UUID], until: datetime | None = None) -> Iterator[Aside]:
        """What would be in one of the graves *wanted*, of what began up to *until*."""
        for aside in self.all():
            call = aside.exchange
            if call is None or (until is not None and call.started_at > until):
                continue
            if not wanted.isdisjoint(
                graves_of(call.workspace, call.user, call.session, call.client_ip)
            ):
                yield aside

    def reseal(self) -> int:
        """Seal with the present key what is plain or sealed with another; how much that was.

        Raises:
            Unopenable: a file was changed, or is sealed with a key that is not there any more.
            OSError: the folder or a file cannot be read; then its key is still needed.
        """
        resealed = 0
        for kept in [file for file in _files(self._folder) if file.suffix in (*_KINDS, ".json")]:
            found = kept.read_bytes()
            if self._seal is not None and key_of(found) != self._seal.current:
                is_damage = kept.suffix == _DAMAGE
                opened = self._opened(found) if is_damage else self._seal.open(found)
                replace_file(kept, self._seal.seal(opened), is_synced=True)
                resealed += 1
        return resealed

    def _find(self, name: str) -> Path:
        if _NAME.fullmatch(name):
            for suffix in _KINDS:
                kept = self._folder / f"{name}{suffix}"
                if kept.exists():
                    return kept
        raise NotFound(f"Nothing is set aside as {name!r}; `set-aside list` tells what is.")

    def _opened(self, found: bytes) -> bytes:
        """Damaged bytes may look sealed and be none; they are what they are then."""
        try:
            return found if self._seal is None else self._seal.open(found)
        except Unopenable:
            return found

    def _exchange(self, found: bytes) -> Exchange | None:
        try:
            return decode(found if self._seal is None else self._seal.open(found))
        except (Undecodable, Unopenable):
            return None

    def _reason(self, found: bytes) -> str:
        try:
            about = orjson.loads(found if self._seal is None else self._seal.open(found))
            return str(about["reason"])
        except (ValueError, KeyError, TypeError, Unopenable):
            return "not known: the note beside it cannot be read"


def _files(folder: Path) -> list[Path]:
    """What is in *folder*, which the first call that is set aside makes.

    Raises:
        OSError: it cannot be listed; `Path.glob` would find nothing then.
    """
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _names(folder: Path) -> set[str]:
    # Where the folder cannot be listed, `/health` says so of the journal around it.
    with suppress(OSError):
        return {file.stem for file in _files(folder) if file.suffix in _KINDS}
    return set()


def _sealed(data: bytes, seal: FrameSeal | None) -> bytes:
    """*data* sealed; what is sealed already stays as it is."""
    return data if seal is None or key_of(data) is not None else seal.seal(data)
