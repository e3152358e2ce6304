"""Which keys a journal on the disk needs, and a refusal of others; reads no call.

It decides while the database is away: what the last start has found right is noted beside the
segments, sealed with each of its keys, and frames that still wait tell by the id of their key.
"""

import os
from contextlib import suppress
from pathlib import Path

import orjson

from officeai_proxy.crypto.boxes import Box
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import ConfigurationError, Unopenable
from officeai_proxy.recording import frames, pieces, segments
from officeai_proxy.recording.frame_seal import HEAD_BYTES, key_of
from officeai_proxy.recording.mapped_file import mapped

NOTE = "keys.json"

SETTING = "OFFICEAI_ENCRYPTION_KEYS"

_PROOF = b"officeai-proxy"


def check_keys(directory: Path, keys: MasterKeys | None) -> None:
    """Make sure that *keys* are those that the journal in *directory* was written with.

    Raises:
        ConfigurationError: one of them is missing, or is another one under the same id.
    """
    noted = _read(directory)
    if keys is None:
        names = sorted(noted or {name for name in waiting_keys(directory) if name is not None})
        if names:
            raise ConfigurationError(
                f"{SETTING}: what is in {directory} was written with the key "
                f"{', '.join(map(repr, names))}; give that key"
            )
        return
    for name in waiting_keys(directory) - {None}:
        if name not in keys:
            raise ConfigurationError(
                f"{SETTING}: the key {name!r} is missing; calls that wait in {directory} need it"
            )
    boxes = keys.boxes("journal note")
    for name in noted.keys() & boxes.keys():
        if not _proves(boxes[name], noted[name], name):
            raise ConfigurationError(
                f"{SETTING}: the key {name!r} is not the one that {directory} was written with"
            )
    if noted and not noted.keys() & boxes.keys():
        raise ConfigurationError(
            f"{SETTING}: {directory} was written with the key "
            f"{', '.join(map(repr, sorted(noted)))}; give that key too"
        )


def note_keys(directory: Path, keys: MasterKeys | None) -> None:
    """Note that *keys* are right, now that the database has said so."""
    if keys is None:
        return
    boxes = keys.boxes("journal note")
    noted = _read(directory)
    if noted.keys() == boxes.keys():
        return
    proofs = {name: box.seal(_PROOF, name.encode()).hex() for name, box in boxes.items()}
    fresh = directory / f"{NOTE}.{os.getpid()}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(proofs))
    fresh.replace(directory / NOTE)


def waiting_keys(directory: Path) -> set[str | None]:
    """The ids of the keys of all frames that are in *directory*; None stands for plain ones."""
    found: set[str | None] = set()
    for name in segments.sizes(directory):
        try:
            descriptor = os.open(directory / name, os.O_RDONLY)
        except OSError:
            # One that cannot be read is told of in `/health`, and holds up no start.
            continue
        try:
            with suppress(OSError):
                found |= _keys_in(descriptor)
        finally:
            os.close(descriptor)
    for name in segments.sizes(directory, suffix=pieces.SUFFIX):
        with suppress(OSError), mapped(directory / name) as data:
            found |= {key_of(frame.payload) for frame in frames.scan(data)}
    return found


def _keys_in(descriptor: int) -> set[str | None]:
    found: set[str | None] = set()
    at = 0
    while (head := frames.read_header(os.pread(descriptor, frames.HEADER_SIZE, at))) is not None:
        found.add(key_of(os.pread(descriptor, HEAD_BYTES, at + frames.HEADER_SIZE)))
        at += head.size
    return found


def _read(directory: Path) -> dict[str, str]:
    try:
        noted = orjson.loads((directory / NOTE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _proves(box: Box, proof: str, name: str) -> bool:
    try:
        return box.open(bytes.fromhex(proof), name.encode()) == _PROOF
    except (Unopenable, ValueError):
        return False
