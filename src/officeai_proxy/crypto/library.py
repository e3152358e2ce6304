"""The parts of cryptography that are used, loaded when something is to be sealed, and not before.

Most programs never seal anything, and loading it takes 6 MB and a tenth of a second.
"""

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PRIMITIVES = "cryptography.hazmat.primitives"


def aes_gcm(key: bytes) -> "AESGCM":
    """AES-GCM with *key*: `encrypt` and `decrypt` take a nonce, data and what goes with it."""
    return cast("AESGCM", importlib.import_module(f"{_PRIMITIVES}.ciphers.aead").AESGCM(key))


def hkdf_sha256(secret: bytes, *, info: bytes, length: int) -> bytes:
    """*length* bytes derived from *secret* for *info* (RFC 5869)."""
    sha256 = importlib.import_module(f"{_PRIMITIVES}.hashes").SHA256()
    hkdf = importlib.import_module(f"{_PRIMITIVES}.kdf.hkdf").HKDF
    derived: bytes = hkdf(algorithm=sha256, length=length, salt=None, info=info).derive(secret)
    return derived


def invalid_tag() -> type[Exception]:
    """What `decrypt` raises for data that is not what was encrypted."""
    kind: type[Exception] = importlib.import_module("cryptography.exceptions").InvalidTag
    return kind
