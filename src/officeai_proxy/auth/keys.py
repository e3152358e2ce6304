"""The keys of this proxy: how one is made, told apart and shown; a key itself is never stored."""

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from officeai_proxy.model import DEFAULT_WORKSPACE, ApiKey, Limits, Scope

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


def make_key(
    name: str,
    *,
    now: datetime,
    workspace: str = DEFAULT_WORKSPACE,
    scopes: frozenset[Scope] = frozenset(Scope),
    user: str | None = None,
    expires_at: datetime | None = None,
    limits: Limits | None = None,
    key_id: str | None = None,
) -> tuple[str, ApiKey]:
    """A new key, and what is stored of it; *key_id* is its id if it must not be any."""
    key = new_key()
    stored = ApiKey(
        id=key_id or _new_id(),
        name=name,
        digest=digest(key),
        hint=hint(key),
        workspace=workspace,
        scopes=scopes,
        created_at=now,
        user=user,
        expires_at=expires_at,
        limits=None if limits == Limits() else limits,
    )
    return key, stored


def rotated(
    old: ApiKey, *, now: datetime, expires_at: datetime | None, key_id: str | None = None
) -> tuple[str, ApiKey]:
    """A new key with the rights of *old*, which ends at *expires_at*, and what is stored of it.

    The end is not that of *old*, for which an overlap may run already. The new key's calls count on
    the limits of the old one, so that a rotation does not double them.
    """
    key = new_key()
    stored = replace(
        old,
        id=key_id or _new_id(),
        digest=digest(key),
        hint=hint(key),
        created_at=now,
        expires_at=expires_at,
        replaces=old.account,
    )
    return key, stored


def end_of_overlap(old: ApiKey, *, now: datetime, overlap: timedelta) -> datetime:
    """Until when *old* goes on working beside the key that takes its place."""
    end = now + overlap
    return end if old.expires_at is None else min(end, old.expires_at)


def id_of(*said: str) -> str:
    """The id of the key that is made because somebody *said* this: said again, it is the same.

    So what comes twice makes one key, for there is no second one of an id.
    """
    text = "\0".join(said).encode("utf-8", "surrogatepass")
    return f"key_{hashlib.sha256(text).hexdigest()[:16]}"


def _new_id() -> str:
    return f"key_{uuid4().hex[:16]}"
