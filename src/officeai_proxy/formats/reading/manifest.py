"""The manifest of an archive of ours in, whose conversation each of its files is out.

A file to read, such as one of Markdown, does not say it itself.
"""

from dataclasses import dataclass
from typing import BinaryIO

from officeai_proxy.formats.reading.encoded import utf8_pieces
from officeai_proxy.formats.reading.splitter import CutOff, NotSplittable, split
from officeai_proxy.formats.writing.zip_archive import FORMAT
from officeai_proxy.model import Json
from officeai_proxy.wire.jsontext import value_or_none

_FILES = "files"
_LONGEST_ENTRY = 10_000


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and the session that a conversation belongs to."""

    user_identifier: str
    session_id: str


def owners_in(file: BinaryIO) -> dict[str, Owner]:
    """The owner of each file that *file* names one of; none when it is no manifest of ours."""
    owners: dict[str, Owner] = {}
    is_ours = False
    try:
        for piece in split(utf8_pieces(file), limit=_LONGEST_ENTRY, into=_FILES):
            value = value_or_none(piece.data)
            if piece.key == "format":
                is_ours = value == FORMAT
            elif piece.is_item and is_ours:
                owners.update(_owner_in(value))
    except (CutOff, NotSplittable):
        return {}
    return owners


def tells_of_nothing(file: BinaryIO) -> bool:
    """Whether *file* is the manifest of an archive of ours with no conversation in it."""
    told = value_or_none(file.read(_LONGEST_ENTRY))
    return isinstance(told, dict) and (told.get("format"), told.get(_FILES)) == (FORMAT, [])


def _owner_in(entry: Json) -> dict[str, Owner]:
    """The one owner that an entry of the manifest names, by the name of its file."""
    if not isinstance(entry, dict) or entry.get("conversations") != 1:
        return {}
    name, user, session = (entry.get(key) for key in ("name", "user_identifier", "session_id"))
    if not (isinstance(name, str) and isinstance(user, str) and isinstance(session, str)):
        return {}
    return {name: Owner(user, session)} if user and session else {}
