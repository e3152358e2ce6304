"""Texts of one database in, texts that only its keys open out, and back; knows no table.

A sealed text is `<mark><key id>.<base64 of nonce, ciphertext and tag>`. The mark is derived from a
secret of the database, which was drawn when encryption was turned on: no text from before can
begin with it by chance or by somebody's wish, so both kinds can stand side by side.

What must be compared without being read has keys of its own: words of the search index become
keyed hashes, and the numbers that tell equal messages are hidden behind a mask for each row. These
keys come from the secret of the database as well, so they stay when the keys of the configuration
change.
"""

import base64
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from officeai_proxy.crypto.boxes import derived
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import Unopenable

WORD_BYTES = 6
"""Bytes of a hashed word: two words that share one make an index look once too often, no more."""

_MARK_BYTES = 9
_BETWEEN = "."

Hasher = Callable[[str], str]
"""A word of a text in, letters and digits out that stand for it in an index."""


class Sealer:
    """Seals the texts of one database with one key, and opens what any of its keys has sealed.

    While *takes_plain*, texts that were stored before encryption was turned on are read as they
    are; afterwards a plain text is a sign that somebody has put it there.
    """

    def __init__(self, keys: MasterKeys, *, current: str, secret: bytes, takes_plain: bool) -> None:
        """*current* is the id of the key that seals, *secret* the one of the database."""
        self.current = current
        self.takes_plain = takes_plain
        self._keys = keys
        self._secret = secret
        self._boxes = keys.boxes("values")
        mark = base64.urlsafe_b64encode(derived(secret, "mark")[:_MARK_BYTES]).decode()
        self._mark = mark
        self._prefix = f"{mark}{current}{_BETWEEN}"
        self._box = self._boxes[current]
        self._masks = blake2b(key=derived(secret, "identities"), digest_size=8)
        self._words = derived(secret, "words")
        self.hasher = lru_cache(maxsize=256)(self._hasher_of)

    def with_current(self, current: str, *, takes_plain: bool) -> "Sealer":
        """The same database's sealer, with another key that seals."""
        return Sealer(self._keys, current=current, secret=self._secret, takes_plain=takes_plain)

    def seal(self, text: str, place: str) -> str:
        """*text* sealed for *place*, such as the name of a column and the id of a row."""
        box = self._box.seal(text.encode(), place.encode())
        return self._prefix + base64.b64encode(box).decode()

    def open(self, stored: str, place: str) -> str:
        """The text that is stored at *place*.

        Raises:
            Unopenable: it was changed or moved here, it is plain and must not be, or its key is
                not among those of the configuration.
        """
        if not stored.startswith(self._mark):
            if self.takes_plain:
                return stored
            raise Unopenable(f"{place} is not sealed; somebody has put it there.")
        key_id, _, sealed = stored[len(self._mark) :].partition(_BETWEEN)
        box = self._boxes.get(key_id)
        if box is None:
            raise Unopenable(
                f"{place} is sealed with the key {key_id!r}; add it to OFFICEAI_ENCRYPTION_KEYS."
            )
        try:
            return box.open(base64.b64decode(sealed, validate=True), place.encode()).decode()
        except (Unopenable, ValueError) as exc:
            raise Unopenable(f"{place} cannot be opened: it was changed or moved there.") from exc

    def key_of(self, stored: str) -> str | None:
        """The id of the key that *stored* is sealed with; None for a plain text."""
        if not stored.startswith(self._mark):
            return None
        return stored[len(self._mark) :].partition(_BETWEEN)[0]

    def mask(self, number: int, row: int) -> int:
        """A signed 64-bit *number* of the row *row* hidden, or a hidden one as it was.

        A row has one such number for good, so no mask is ever used twice.
        """
        mask = self._masks.copy()
        mask.update(row.to_bytes(8, "big"))
        return number ^ int.from_bytes(mask.digest(), "big", signed=True)

    def _hasher_of(self, workspace: str) -> Hasher:
        """What hides words of one workspace; the same word is another one in the next."""
        key = blake2b(workspace.encode(), key=self._words, digest_size=32).digest()
        keyed = blake2b(key=key, digest_size=WORD_BYTES)

        def hashed(word: str) -> str:
            state = keyed.copy()
            state.update(word.encode())
            return state.hexdigest()

        return hashed
