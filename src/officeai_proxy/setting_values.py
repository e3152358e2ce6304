"""The text of a setting in, its value out, or a ValueError that says why not; shows no secret."""

import base64
import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator

_KEY_ID = re.compile("[A-Za-z0-9_-]{1,32}")
_SECRET_BYTES = 32

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The schemes that an upstream may have."""

ANYBODY = "*"
"""Stands for all addresses."""

_DATABASES = (
    "sqlite://",
    "sqlite+aiosqlite://",
    "postgresql://",
    "postgres://",
    "postgresql+asyncpg://",
)


def _refuse_switch(value: object) -> object:
    """*value*, unless it is true or false.

    Python takes `true` for 1, and what was to turn retention on would keep a single day.
    """
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_refuse_switch)]
"""A number; no switch."""

WholeNumber = Annotated[int, BeforeValidator(_refuse_switch)]
"""A whole number; no switch."""


def entries_of(text: str) -> Iterator[str]:
    """What stands between the commas of *text*, where something does."""
    return filter(None, map(str.strip, text.split(",")))


def read_encryption_keys(text: str) -> dict[str, bytes]:
    """`id:base64` with commas, by the ids."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(entries_of(text), start=1):
        name, _, secret = entry.partition(":")
        if not _KEY_ID.fullmatch(name) or name in keys:
            raise ValueError(f"entry {number} needs an id of its own: letters, digits, - and _")
        keys[name] = _read_secret(secret, number)
    return keys


def _read_secret(text: str, number: int) -> bytes:
    """32 bytes in base64; the message of the error never repeats them."""
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise ValueError(
            f"entry {number} must be id:base64 of 32 bytes; `openssl rand -base64 32` makes some"
        )
    return secret


def check_header_text(key: str) -> None:
    """Whether *key* can stand in a header."""
    if not key.isascii() or not key.isprintable():
        raise ValueError("a key may hold printable ASCII characters only")


def check_key(key: str) -> None:
    """Whether *key* can be what a client sends behind `Bearer`, where white space ends it."""
    check_header_text(key)
    if not key or " " in key:
        raise ValueError("a key may not be empty or hold white space; commas stand between keys")


def check_database_url(url: str) -> None:
    """Whether *url* names a kind of database that is known."""
    if not url.startswith(_DATABASES):
        raise ValueError("must start with sqlite:/// or postgresql://")


def read_addresses(text: str) -> str:
    """IP addresses and networks with commas, or `*` alone, without the white space between them.

    Whatever else stands there would never be an address that something comes from.
    """
    entries = list(entries_of(text))
    if entries == [ANYBODY]:
        return ANYBODY
    for number, entry in enumerate(entries, start=1):
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            raise ValueError(
                f"entry {number} is no IP address and no network such as 10.0.0.0/8; "
                "write addresses with commas between them, or * alone for all"
            ) from None
    return ",".join(entries)


def read_base_url(text: str) -> str:
    """An http or https URL, without the stroke at its end."""
    url = urlsplit(text)
    # `urlsplit` leaves tabs and line ends out of what it looks at, and they would stay in `text`.
    if url.scheme not in DEFAULT_PORTS or not url.hostname or " " in text or not text.isprintable():
        raise ValueError("must be a URL such as https://api.openai.com/v1")
    if url.query or url.fragment or url.username or url.password:
        raise ValueError("must have no user, query or fragment; the key has its own setting")
    _ = url.port
    return text.rstrip("/")


def is_loopback(host: str | None) -> bool:
    """Whether *host* is this machine as it calls itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether who listens on *host* is reached through the loopback interface, too."""
    return host in ("0.0.0.0", "::") or is_loopback(host)  # noqa: S104 - compared, not bound
