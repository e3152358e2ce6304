"""What a host knows of the managed keys over a restart, and what it does not believe."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from officeai_proxy.auth.keys import digest, make_key
from officeai_proxy.auth.remembered import FILE, RememberedKeys
from officeai_proxy.model import Limits, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

PLAIN = make_key("of Ann's laptop", now=NOW)
BOUND = make_key(
    "all of it",
    now=NOW,
    workspace="团队",
    scopes=frozenset({Scope.CHAT, Scope.READ}),
    user="ann",
    expires_at=NOW + timedelta(days=1),
    limits=Limits(rpm=1, concurrency=3),
)
KEYS = [PLAIN[1], replace(BOUND[1], replaces="key_0")]


def test_keys_come_back_as_they_are_checked(tmp_path: Path) -> None:
    """Whatever decides what a key may do is kept; its name and its hint decide nothing."""
    RememberedKeys(tmp_path, "here").keep(KEYS, None)

    found = RememberedKeys(tmp_path, "here").read()

    assert found is not None
    assert {key.id: key for key in found} == {
        key.id: replace(key, name="", hint="…") for key in KEYS
    }


def test_no_key_and_no_name_is_in_the_file(tmp_path: Path) -> None:
    """Nobody but its owner reads it, and nobody could use what is in it."""
    RememberedKeys(tmp_path, "here").keep(KEYS, None)

    text = (tmp_path / FILE).read_text("utf-8")

    assert digest(PLAIN[0]).hex() in text
    assert PLAIN[0] not in text
    assert BOUND[0] not in text
    assert "laptop" not in text
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_keys_of_another_database_are_not_believed(tmp_path: Path) -> None:
    """Whoever points the program at another database has none of the old keys let in."""
    RememberedKeys(tmp_path, "here").keep(KEYS, None)

    assert RememberedKeys(tmp_path, "there").read() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda text: text[:-9],
        lambda _: "[]",
        lambda text: text.replace("officeai-keys-1", "officeai-keys-2"),
        lambda text: text.replace('"chat"', '"everything"'),
        lambda text: text.replace('"digest"', '"digests"'),
        lambda text: json.dumps({**json.loads(text), "keys": [None]}),
    ],
    ids=["empty", "cut", "another shape", "another form", "an unknown scope", "no digest", "none"],
)
def test_a_damaged_file_is_none(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    """Half of the keys are not all of them, and a limit that cannot be read is no freedom."""
    RememberedKeys(tmp_path, "here").keep(KEYS, None)
    file = tmp_path / FILE
    file.write_text(damage(file.read_text("utf-8")), "utf-8")

    assert RememberedKeys(tmp_path, "here").read() is None


def test_it_is_written_when_keys_change(tmp_path: Path) -> None:
    """Every two seconds nothing is written; a key that was revoked is gone at once."""
    remembered = RememberedKeys(tmp_path, "here")
    remembered.keep(KEYS, remembered.version())
    (tmp_path / FILE).unlink()

    remembered.keep(list(reversed(KEYS)), remembered.version())
    assert not (tmp_path / FILE).exists()
    remembered.keep(KEYS[:1], remembered.version())
    assert [key.id for key in RememberedKeys(tmp_path, "here").read() or ()] == [KEYS[0].id]
    remembered.keep([], remembered.version())
    assert RememberedKeys(tmp_path, "here").read() == []


def test_a_key_that_another_worker_made_is_known_once(tmp_path: Path) -> None:
    """Whoever does not know a key looks for a file that neither it read nor it wrote."""
    one, other = RememberedKeys(tmp_path, "here"), RememberedKeys(tmp_path, "here")
    one.keep(KEYS[:1], None)
    assert len(other.newer() or ()) == 1
    assert other.newer() is None

    one.keep(KEYS, one.version())

    assert one.newer() is None
    assert len(other.newer() or ()) == 2
    assert other.newer() is None


def test_a_worker_that_read_earlier_does_not_write_later(tmp_path: Path) -> None:
    """It has to read again: what it has may lack the key that the other has just written."""
    one, other = RememberedKeys(tmp_path, "here"), RememberedKeys(tmp_path, "here")
    read_at = other.version()
    one.keep(KEYS, one.version())

    assert not other.keep(KEYS[:1], read_at)

    assert len(RememberedKeys(tmp_path, "here").read() or ()) == 2
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert other.keep(KEYS[:1], other.version())


def test_a_disk_that_takes_nothing_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once."""
    remembered = RememberedKeys(tmp_path / "gone", "here")

    assert remembered.keep(KEYS, None)
    assert remembered.keep(KEYS, None)

    assert len(caplog.records) == 1
