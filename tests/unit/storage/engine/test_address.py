"""Database URLs: what is refused, what is understood, and that no password is ever shown."""

import os
from pathlib import Path

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.storage.engine.address import Dialect, read_address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "officeai.db",
        "mysql://root@localhost/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///:memory:",
        "sqlite:///file:x?mode=memory",
        "sqlite://host/x.db",
        "sqlite:///x.db?mode=ro",
        "postgresql://host:port/x",
        "postgresql://[::1/x",
        "postgresql://host]/x",
        "postgresql://host:99999999/x",
        "postgresql://host/x?sslmode=maybe",
        "postgresql://host/x?statement_cache_size=many",
        "postgresql://host/x?statement_cache_size=-1",
        "postgresql://host/x?target_session_attrs=rw",
        "postgresql://host/x?sslmode=verify-full&sslrootcert=system",
        "postgresql://host/x?sslmode=require&sslcert=/no/such/file",
    ],
)
def test_unusable_is_refused(url: str) -> None:
    """A URL that cannot work is refused with the setting's name and what to write instead."""
    with pytest.raises(ConfigurationError, match="OFFICEAI_DATABASE_URL"):
        read_address(url)


@pytest.mark.parametrize("sign", ["/", "?", "#", "@", "/@", "?@", "@/", "[", "]"])
def test_raw_signs_in_a_password_do_not_leak_it(sign: str) -> None:
    """A password with a raw special sign is refused, and no part of it is in the message."""
    with pytest.raises(ConfigurationError) as refusal:
        read_address(f"postgresql://user:hun{sign}ter2@host/x")

    assert "hun" not in refusal.value.message
    assert "ter2" not in refusal.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host:5433/x",
        "postgres://user:hunter2@host:5433/x?sslmode=require",
        "postgresql+asyncpg://user:hunter2@host:5433/x",
        "postgresql://host:5433/x?user=user&password=hunter2",
        "postgresql://user:hunter2%40%2F@host:5433/x",
    ],
)
def test_password_is_in_no_words(url: str) -> None:
    """Neither the location nor the printed form shows the password, which the driver does get."""
    address = read_address(url)

    assert address.location == "host:5433/x"
    assert "hunter2" not in repr(address)
    assert "hunter2" in address.dsn
    assert address.dsn.startswith("postgresql://")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///officeai.db", "officeai.db"),
        ("sqlite:///data/officeai.db", "data/officeai.db"),
        ("sqlite:////var/lib/officeai.db", "/var/lib/officeai.db"),
        ("sqlite+aiosqlite:////var/lib/officeai.db", "/var/lib/officeai.db"),
        ("sqlite:///~/officeai.db", str(Path.home() / "officeai.db")),
        ("sqlite:////数据/a b%20#c.db", "/数据/a b%20#c.db"),
    ],
)
def test_sqlite_paths(url: str, path: str) -> None:
    """Three slashes are relative, four absolute, `~` is home; the rest is taken to the letter."""
    address = read_address(url)

    assert address.dialect is Dialect.SQLITE
    assert (address.path, address.location) == (Path(path), path)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ssl=true", "sslmode=require"),
        ("ssl=disable", "sslmode=disable"),
        ("sslmode=verify-full", "sslmode=verify-full"),
        ("sslmode=prefer&application_name=x", "application_name=x&sslmode=prefer"),
        ("target_session_attrs=read-write", "target_session_attrs=read-write"),
        ("statement_cache_size=0&application_name=x", "application_name=x"),
        ("connect_timeout=3&keepalives_idle=30&application_name=x", "application_name=x"),
        ("channel_binding=prefer&gssencmode=disable&sslmode=require", "sslmode=require"),
        ("channel_binding=require", "channel_binding=require"),
    ],
)
def test_options_in_libpq_words(query: str, expected: str) -> None:
    """Options reach the driver in libpq's words; the cache sizes are not the server's business."""
    address = read_address(f"postgresql://host/x?{query}")

    assert address.dsn == f"postgresql://host/x?{expected}"
    assert address.statement_cache == (0 if "cache" in query else None)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("postgresql://", "localhost"),
        ("postgresql:///x?host=/run/postgresql", "/run/postgresql/x"),
        ("postgresql://a:1,b:2/x", "a:1,b:2/x"),
        ("postgresql://[::1]:5432/x", "[::1]:5432/x"),
    ],
)
def test_location_of_unusual_hosts(url: str, location: str) -> None:
    """Sockets, several hosts and IPv6 are told as they were given."""
    assert read_address(url).location == location


def test_databases_are_told_apart_without_a_password() -> None:
    """Another host, name, user or schema is another database; another password is not."""
    base = read_address("postgresql://ann:secret@host/x").identity
    others = [
        "postgresql://ann:secret@host2/x",
        "postgresql://ann:secret@host/y",
        "postgresql://bob:secret@host/x",
        "postgresql://ann:secret@host/x?options=-csearch_path%3Dz",
        "postgresql://ann:secret@host",
        "sqlite:///x.db",
    ]

    assert read_address("postgres://ann:changed@host/x?password=changed").identity == base
    assert read_address("postgresql://ann@HOST:5432/x?sslmode=require").identity == base
    assert "secret" not in base
    assert len({base, *(read_address(url).identity for url in others)}) == len(others) + 1


def test_one_file_is_one_database_by_whatever_way(tmp_path: Path) -> None:
    """Relative, absolute, by a link or up and down again."""
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    ways = ["here/x.db", "link/x.db", "here/../here/x.db"]
    found = {read_address(f"sqlite:///{tmp_path / way}").identity for way in ways}
    found.add(read_address(f"sqlite:///{os.path.relpath(tmp_path)}/here/x.db").identity)

    assert found == {f"sqlite {tmp_path / 'here' / 'x.db'}"}
