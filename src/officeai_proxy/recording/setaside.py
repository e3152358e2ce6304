"""Exchanges that can never be stored: kept whole in a folder of their own, for a person to see."""

from pathlib import Path
from uuid import uuid4

import orjson

from officeai_proxy.recording.reader import Entry

FOLDER = "set-aside"


def set_aside(journal: Path, entry: Entry, *, reason: str) -> Path:
    """Keep *entry* and the reason why it cannot be stored; the folder is made when needed."""
    folder = journal / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = str(entry.exchange.id) if entry.exchange else uuid4().hex
    kept = folder / f"{name}.frame"
    kept.write_bytes(entry.payload)
    kept.with_suffix(".json").write_bytes(orjson.dumps({"reason": reason}))
    return kept


def count(journal: Path) -> int:
    """How many exchanges are set aside."""
    return sum(1 for _ in (journal / FOLDER).glob("*.frame"))
