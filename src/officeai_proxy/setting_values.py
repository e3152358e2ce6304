"""The types of settings: the text of one in, its value out, or what is wrong; shows no secret.

What is wrong is a `ValueError`, whose text goes on behind the name of the setting.
"""

import base64
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretBytes, SecretStr
from pydantic_settings import NoDecode

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


def _entries_of(text: str) -> Iterator[str]:
    """What stands between the commas of *text*, where something does."""
    return filter(None, map(str.strip, text.split(",")))


def _check_host(text: str) -> str:
    # An empty one would be taken for all addresses of the machine.
    if not text.strip() or not text.isprintable():
        raise ValueError("must be an address such as 127.0.0.1, or 0.0.0.0 for all")
    return text


Host = Annotated[str, AfterValidator(_check_host)]
"""An address to listen on."""


def _split_keys(value: object) -> object:
    return tuple(_entries_of(value)) if isinstance(value, str) else value


def _check_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Each must be what a client can send behind `Bearer`, where white space ends it."""
    for key in keys:
        text = key.get_secret_value()
        _check_header_text(text)
        if not text or " " in text:
            raise ValueError(
                "a key may not be empty or hold white space; commas stand between keys"
            )
    return keys


def _check_header_text(key: str) -> None:
    if not key.isascii() or not key.isprintable():
        raise ValueError("a key may hold printable ASCII characters only")


Keys = Annotated[
    tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys), AfterValidator(_check_keys)
]
"""Keys with commas between them."""


def _read_upstream_key(key: SecretStr | None) -> SecretStr | None:
    if key is None:
        return None
    # Files with secrets end in a newline, and some of them get here with it.
    text = key.get_secret_value().strip()
    _check_header_text(text)
    return SecretStr(text) if text else None


UpstreamKey = Annotated[SecretStr | None, AfterValidator(_read_upstream_key)]
"""One key; an empty one is none."""


def _read_encryption_keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(_entries_of(value), start=1):
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


EncryptionKeys = Annotated[dict[str, SecretBytes], NoDecode, BeforeValidator(_read_encryption_keys)]
"""`id:base64` with commas between them, by their ids."""


def _read_aliases(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be a JSON object such as {"officeai": "gpt-4o"}') from None


def _check_aliases(aliases: dict[str, str]) -> dict[str, str]:
    if not all(name.strip() for pair in aliases.items() for name in pair):
        raise ValueError("a model has no empty name")
    return aliases


Aliases = Annotated[
    dict[str, str], NoDecode, BeforeValidator(_read_aliases), AfterValidator(_check_aliases)
]
"""A JSON object of names."""


def _check_database(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(_DATABASES):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return url


DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_check_database)]
"""The URL of a database of a known kind; it may hold a password."""


def _read_addresses(text: str) -> str:
    """The same without the white space. What else stands there would never be an address that
    something comes from.
    """
    entries = list(_entries_of(text))
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


Addresses = Annotated[str, AfterValidator(_read_addresses)]
"""IP addresses and networks with commas between them, or `*` alone."""


def _read_base_url(text: str) -> str:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        # Its own words would show what stands there, and that may be a password.
        raise ValueError(
            "must be a URL such as https://api.openai.com/v1; the port of one is a number"
        ) from None
    # `urlsplit` leaves tabs and line ends out of what it looks at, and they would stay in `text`.
    if url.scheme not in DEFAULT_PORTS or not url.hostname or " " in text or not text.isprintable():
        raise ValueError("must be a URL such as https://api.openai.com/v1")
    if url.query or url.fragment or url.username or url.password:
        raise ValueError("must have no user, query or fragment; the key has its own setting")
    return text.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_read_base_url)]
"""An http or https URL, without the stroke at its end."""


def is_own_address(base_url: str, *, host: str, port: int) -> bool:
    """Whether *base_url* leads to the program itself, which listens on *host* and *port*."""
    url = urlsplit(base_url)
    listens_locally = host in ("0.0.0.0", "::") or is_loopback(host)  # noqa: S104 - compared, not bound
    is_same_host = url.hostname == host or (is_loopback(url.hostname) and listens_locally)
    return is_same_host and (url.port or DEFAULT_PORTS[url.scheme]) == port


def is_loopback(host: str | None) -> bool:
    """Whether *host* is this machine as it calls itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
