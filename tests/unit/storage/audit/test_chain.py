"""Rows of the audit log: their hash covers all of them but names, and names can go."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

import officeai_proxy
from officeai_proxy.storage.audit.chain import GENESIS, Action, Event, Row, digest_of_names, row_of

NOW = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
EVENT = Event(
    at=NOW,
    actor="key-1",
    action=Action.READ_CONVERSATION,
    workspace="default",
    user="alice",
    target="s1",
    detail={"messages": 2},
    client_ip="192.0.2.7",
)


def a_row(event: Event = EVENT) -> Row:
    return row_of(event, number=1, previous=GENESIS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 2),
        ("at", NOW.replace(microsecond=123457)),
        ("workspace", "other"),
        ("workspace", None),
        ("actor", "key-2"),
        ("action", "conversation.erase"),
        ("target_kind", "user"),
        ("detail", '{"messages":3}'),
        ("detail", None),
        ("client_ip", "192.0.2.8"),
        ("is_sealed", True),
        ("names_digest", bytes(32)),
        ("previous", b"\1" * 32),
    ],
)
def test_a_change_of_anything_shows(name: str, value: object) -> None:
    """No field can be changed without the hash being another one."""
    changed = replace(a_row(), **{name: value})

    assert changed.hash != changed.expected_hash()


@pytest.mark.parametrize(("user", "target"), [("bob", "s1"), ("alice", "s2"), (None, None)])
def test_other_names_show(user: str | None, target: str | None) -> None:
    """Names are not in the hash, but the digest of them is, and tells other names."""
    changed = replace(a_row(), user_identifier=user, target=target)

    assert changed.hash == changed.expected_hash()
    assert not changed.has_its_names()


def test_names_can_be_struck_out() -> None:
    """Without names and salt the row is still the one that was written, and leads to nobody."""
    row = a_row()
    struck = replace(row, user_identifier=None, target=None, names_salt=None)

    assert struck.hash == struck.expected_hash()
    assert struck.has_its_names()
    assert struck.is_anonymised
    assert not struck.is_about("alice", "s1")


def test_a_name_alone_cannot_stay_when_the_salt_goes() -> None:
    """A row without salt that has a name is not one that was written."""
    assert not replace(a_row(), names_salt=None).has_its_names()


def test_a_sealed_row_proves_a_name_and_does_not_tell_it() -> None:
    """Whoever knows the name can check it; nobody reads it there."""
    row = a_row(replace(EVENT, is_sealed=True))

    assert (row.user_identifier, row.target) == (None, None)
    assert row.is_about("alice", "s1")
    assert not row.is_about("alic", "es1")
    assert row.has_its_names()


def test_equal_names_have_different_digests() -> None:
    """Two rows about one person do not show that they are, once the names are gone."""
    assert a_row().names_digest != a_row().names_digest


def test_the_form_is_the_documented_one() -> None:
    """The hash can be computed from the document alone, in any language."""
    row = replace(a_row(), names_digest=digest_of_names(b"s" * 16, "ålice", None))

    assert row.names_digest == sha256(b"s" * 16 + b'["\\u00e5lice",null]').digest()
    text = (
        '["officeai-audit-1",1,"2026-11-20T09:00:00.123456+00:00","default","key-1",'
        '"conversation.read","conversation","{\\"messages\\":2}","192.0.2.7",false,'
        f'"{row.names_digest.hex()}","{"0" * 64}"]'
    )
    assert row.expected_hash() == sha256(text.encode()).digest()


def test_whatever_can_be_asked_for_is_left_by_something() -> None:
    """An action that nothing ever leaves would tell whoever looks for it that it was not done."""
    package = Path(officeai_proxy.__file__).parent
    sources = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))

    assert [one.name for one in Action if f"Action.{one.name}" not in sources] == []
