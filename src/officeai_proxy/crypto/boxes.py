"""Bytes in, bytes that only a key opens out, and back; AES-256-GCM, and never a nonce twice.

A box binds what is in it to a place (NIST SP 800-38D calls it additional authenticated data): what
is moved to another place does not open there.
"""

import os

from officeai_proxy.crypto.library import aes_gcm, hkdf_sha256, invalid_tag
from officeai_proxy.errors import Unopenable

KEY_BYTES = 32

NONCE_BYTES = 12


def derived(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose, so that no two purposes share one (HKDF-SHA256, RFC 5869)."""
    info = f"officeai-proxy {purpose}".encode()
    return hkdf_sha256(secret, info=info, length=KEY_BYTES)


class Box:
    """Seals and opens with one key. Nonces are random, 96 bits: good for 2^32 times per key."""

    def __init__(self, key: bytes) -> None:
        """*key* has KEY_BYTES."""
        self._cipher = aes_gcm(key)
        self._refusals = (invalid_tag(), ValueError)

    def seal(self, data: bytes, place: bytes) -> bytes:
        """*data* sealed for *place*; the nonce is in front."""
        nonce = os.urandom(NONCE_BYTES)
        sealed: bytes = self._cipher.encrypt(nonce, data, place)
        return nonce + sealed

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed for *place*.

        Raises:
            Unopenable: it was changed, was sealed for another place, or with another key.
        """
        try:
            data: bytes = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except self._refusals as exc:
            raise Unopenable from exc
        return data
