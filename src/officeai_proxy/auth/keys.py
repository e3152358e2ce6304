"""The keys of this proxy: how one is made, told apart and shown; a key itself is never stored."""

import hashlib
import secrets

PREFIX = "sk-oai-"

# 32 random bytes are 43 characters of URL-safe base64 without padding.
RANDOM_BYTES = 32

# Whoever sees a hint must still have more to guess than anybody can.
SHORTEST_WITH_HINT = 32


def new_key() -> str:
    """A key nobody has: `sk-oai-` and 43 URL-safe characters, 256 random bits."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest(key: str | bytes) -> bytes:
    """What is stored of *key*, and how it is found again: its SHA-256.

    A slow password hash would protect guessable words; 256 random bits need none, and this runs on
    every call.
    """
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).digest()


def hint(key: str) -> str:
    """How *key* is shown in lists: its first 8 and last 4 characters, nothing of a short one."""
    return f"{key[:8]}…{key[-4:]}" if len(key) >= SHORTEST_WITH_HINT else "…"
