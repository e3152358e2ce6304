"""Payloads of journal frames in, payloads that only the keys open out, and back; no files here.

A sealed payload begins with four bytes that no plain one can begin with, for they would be a length
beyond MAX_PAYLOAD: `ffffffff | length of the key's id u8 | id | nonce, ciphertext, tag`.
"""

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import Unopenable

SEALED = b"\xff\xff\xff\xff"

HEAD_BYTES = len(SEALED) + 1 + 32
"""Bytes of a payload that `key_of` needs at most."""

_PLACE = b"journal"


class FrameSeal:
    """Seals with the first of the keys, and opens what any of them has sealed."""

    def __init__(self, keys: MasterKeys) -> None:
        """Derive what *keys* seal frames with."""
        self.current = keys.first
        self._boxes = keys.boxes("journal")
        name = keys.first.encode()
        self._head = SEALED + bytes([len(name)]) + name

    @classmethod
    def of(cls, keys: MasterKeys | None) -> "FrameSeal | None":
        """The seal of *keys*; None when nothing is sealed."""
        return None if keys is None else cls(keys)

    def seal(self, payload: bytes) -> bytes:
        """*payload* sealed."""
        return self._head + self._boxes[self.current].seal(payload, _PLACE)

    def open(self, payload: bytes) -> bytes:
        """The plain payload; one that was never sealed comes back as it is.

        Raises:
            Unopenable: it was changed, or its key is not among ours.
        """
        key_id = key_of(payload)
        if key_id is None:
            return payload
        box = self._boxes.get(key_id)
        if box is None:
            raise Unopenable(
                f"It is sealed with the key {key_id!r}; add it to OFFICEAI_ENCRYPTION_KEYS."
            )
        return box.open(payload[len(SEALED) + 1 + len(key_id) :], _PLACE)


def key_of(payload: bytes) -> str | None:
    """The id of the key that *payload*, or the beginning of one, is sealed with; None: plain."""
    if not payload.startswith(SEALED):
        return None
    at = len(SEALED)
    size = payload[at] if len(payload) > at else 0
    return payload[at + 1 : at + 1 + size].decode("ascii", "replace")
