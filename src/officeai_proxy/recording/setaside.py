"""Exchanges that can never be stored: kept whole in a folder of their own, for a person to see.

With a seal, both the exchange and the reason are sealed, for a reason may quote what was said.
"""

from pathlib import Path
from uuid import uuid4

import orjson

from officeai_proxy.errors import Unopenable
from officeai_proxy.recording.frame_seal import FrameSeal, key_of
from officeai_proxy.recording.frames import Undecodable, decode
from officeai_proxy.recording.reader import Entry

FOLDER = "set-aside"


def set_aside(journal: Path, entry: Entry, *, reason: str, seal: FrameSeal | None = None) -> Path:
    """Keep *entry* and the reason why it cannot be stored; the folder is made when needed."""
    folder = journal / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = str(entry.exchange.id) if entry.exchange else uuid4().hex
    kept = folder / f"{name}.frame"
    about = orjson.dumps({"reason": reason})
    kept.write_bytes(_sealed(entry.payload, seal))
    kept.with_suffix(".json").write_bytes(_sealed(about, seal))
    return kept


def count(journal: Path) -> int:
    """How many exchanges are set aside."""
    return sum(1 for _ in (journal / FOLDER).glob("*.frame"))


class SetAsideFolder:
    """What is set aside in one journal, to be erased together with the person whose it is."""

    def __init__(self, journal: Path, seal: FrameSeal | None = None) -> None:
        """The journal is in the folder *journal*; *seal* opens what is sealed."""
        self._folder = journal / FOLDER
        self._seal = seal

    def erase(self, *, workspace: str, user: str) -> int:
        """Delete what is set aside of *user* for good; how many exchanges that was.

        An exchange without a user is that of its caller's address. One that this version cannot
        read is left for a person to see.
        """
        count = 0
        for kept in self._folder.glob("*.frame"):
            try:
                found = kept.read_bytes()
                exchange = decode(found if self._seal is None else self._seal.open(found))
            except (Undecodable, Unopenable, FileNotFoundError):
                continue
            if (exchange.workspace, exchange.user or exchange.client_ip) == (workspace, user):
                kept.with_suffix(".json").unlink(missing_ok=True)
                kept.unlink(missing_ok=True)
                count += 1
        return count

    def reseal(self) -> int:
        """Seal with the present key what is plain or sealed with another; how much that was.

        Raises:
            Unopenable: a file was changed, or is sealed with a key that is not there any more.
        """
        count = 0
        for kept in [*self._folder.glob("*.frame"), *self._folder.glob("*.json")]:
            found = kept.read_bytes()
            if self._seal is not None and key_of(found) != self._seal.current:
                fresh = kept.with_suffix(f"{kept.suffix}.new")
                fresh.write_bytes(self._seal.seal(self._seal.open(found)))
                fresh.replace(kept)
                count += 1
        return count


def _sealed(data: bytes, seal: FrameSeal | None) -> bytes:
    """*data* sealed; what is sealed already stays as it is."""
    return data if seal is None or key_of(data) is not None else seal.seal(data)
