"""A database URL in, what the drivers need out; opens nothing and never shows a password.

SQLite: `sqlite:///relative.db`, `sqlite:////absolute.db`. PostgreSQL: a libpq connection URI, which
asyncpg reads by itself (PostgreSQL manual 34.1.1.2): `sslmode`, `sslrootcert`, several hosts,
`target_session_attrs`. Of what it does not know, that which only tunes a connection of libpq is
left out, and the rest becomes a setting of the server.
"""

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from officeai_proxy.errors import ConfigurationError

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRESQL = ("postgres", "postgresql", "postgresql+asyncpg")
_SECRET = ("password", "passfile", "sslpassword")
_SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_NO_PLACE = (*_SECRET, *_SSL_FILES, "sslmode", "application_name")
"""Options that say how a database is reached, and not which one it is."""

_DEFAULT_PORT = re.compile(r":5432(?=,|$)")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
_TUNING = (
    "connect_timeout",
    "fallback_application_name",
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("sslcompression", "sslsni"),
)
"""How libpq waits for a server and introduces itself; here the program has its own ways."""

_IF_POSSIBLE = {"channel_binding": ("disable", "prefer"), "gssencmode": ("disable", "prefer")}
"""What the driver never does is no loss where it may be left out."""

_SSL_WORDS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


class Dialect(StrEnum):
    """Which database it is."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    `location` is for people, `identity` tells it from every other; there is no password in either.
    `path` is SQLite's file, `dsn` PostgreSQL's URI. `statement_cache` is
    how many prepared statements a connection keeps, None for the driver's default; behind a
    PgBouncer that pools transactions it must be 0 (`?statement_cache_size=0`), unless PgBouncer
    (from 1.21 on) has `max_prepared_statements`.
    """

    dialect: Dialect
    location: str
    identity: str
    path: Path | None = None
    dsn: str = field(default="", repr=False)
    statement_cache: int | None = None


def read_address(url: str) -> Address:
    """Read a database URL.

    Raises:
        ConfigurationError: it cannot be used; the message never contains the URL itself.
    """
    scheme = url.partition("://")[0]
    if scheme in _SQLITE:
        return _sqlite(url)
    if scheme in _POSTGRESQL:
        return _postgresql(url)
    raise ConfigurationError(
        "OFFICEAI_DATABASE_URL: use sqlite:///path/to/file.db or postgresql://user:password@host/name"
    )


def _sqlite(url: str) -> Address:
    _, _, rest = url.partition("://")
    name = rest.removeprefix("/")
    if name in ("", ":memory:") or name.startswith("file:") or not rest.startswith("/"):
        raise ConfigurationError(
            "OFFICEAI_DATABASE_URL: SQLite needs a file that several processes can share; "
            "use sqlite:///path/to/file.db"
        )
    if "?" in name:
        raise ConfigurationError("OFFICEAI_DATABASE_URL: a SQLite path takes no options after `?`")
    path = Path(name).expanduser()
    # By whatever way its folder is reached. What stands at its place may change while it is away.
    identity = f"sqlite {Path(os.path.realpath(path.parent), path.name)}"
    return Address(Dialect.SQLITE, str(path), identity, path=path)


def _postgresql(url: str) -> Address:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(
            "OFFICEAI_DATABASE_URL: brackets belong around an IPv6 address, as in "
            "postgresql://[::1]:5432/name; write those of a password as %5B and %5D"
        ) from None
    login, _, hosts = parts.netloc.rpartition("@")
    _check_hosts(hosts, login=login, tail=f"{parts.path}{parts.query}{parts.fragment}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    cache = _statement_cache(options)
    _normalise_ssl(options)
    _check_ssl_files(options)
    _check_session_attrs(options)
    _leave_out_tuning(options)
    dsn = parts._replace(scheme="postgresql", query=urlencode(options)).geturl()
    location = f"{hosts or options.get('host', 'localhost')}{parts.path}"
    # Where the URL names no database, it is that of the user's name; options can name a schema.
    open_options = {name: value for name, value in options.items() if name not in _NO_PLACE}
    same_hosts = _DEFAULT_PORT.sub("", hosts.lower())
    identity = f"postgresql {parts.username}@{same_hosts}{parts.path}?{urlencode(open_options)}"
    return Address(Dialect.POSTGRESQL, location, identity, dsn=dsn, statement_cache=cache)


def _check_hosts(hosts: str, *, login: str, tail: str) -> None:
    if "@" in tail or "@" in login:
        # A raw `/`, `?` or `#` in a password ends the host part too early, and the rest of the
        # password would then be taken for the database's name and be shown. A raw `@` ends the
        # password too early, and the driver would ask name servers for the rest of it.
        raise ConfigurationError(
            "OFFICEAI_DATABASE_URL: write special characters of the password as %2F, %3F, %23, %40"
        )
    try:
        for host in hosts.split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise ConfigurationError(
            "OFFICEAI_DATABASE_URL: the port must be a number, as in postgresql://host:5432/name"
        ) from None


def _statement_cache(options: dict[str, str]) -> int | None:
    given = [
        options.pop(name, None)
        for name in ("statement_cache_size", "prepared_statement_cache_size")
    ]
    sizes = [size for size in given if size is not None]
    if not all(size.isascii() and size.isdigit() for size in sizes):
        raise ConfigurationError("OFFICEAI_DATABASE_URL: statement_cache_size must be a number")
    return min(map(int, sizes), default=None)


def _check_session_attrs(options: dict[str, str]) -> None:
    if options.get("target_session_attrs", "any") not in _SESSION_ATTRS:
        raise ConfigurationError(
            "OFFICEAI_DATABASE_URL: target_session_attrs must be one of "
            f"{', '.join(_SESSION_ATTRS)}"
        )


def _leave_out_tuning(options: dict[str, str]) -> None:
    for name in _TUNING:
        options.pop(name, None)
    for name, without in _IF_POSSIBLE.items():
        if options.get(name) in without:
            del options[name]


def _check_ssl_files(options: dict[str, str]) -> None:
    for name in _SSL_FILES:
        # The driver would say that there is no such file, and not which.
        if options.get(name) and not os.access(options[name], os.R_OK):
            raise ConfigurationError(
                f"OFFICEAI_DATABASE_URL: {name} is {options[name]}, which is no file that can be "
                "read here; name one of this machine"
            )


def _normalise_ssl(options: dict[str, str]) -> None:
    mode = options.pop("ssl", None) or options.pop("sslmode", None)
    if mode is None:
        return
    mode = _SSL_WORDS.get(mode.lower(), mode)
    if mode not in _SSL_MODES:
        raise ConfigurationError(
            f"OFFICEAI_DATABASE_URL: sslmode must be one of {', '.join(_SSL_MODES)}"
        )
    options["sslmode"] = mode
