"""Sealed frames in the journal and beside it."""

from pathlib import Path

import pytest
from tests.factories import an_exchange, user

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import Unopenable
from officeai_proxy.recording import frames
from officeai_proxy.recording.frame_seal import FrameSeal, key_of
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.reader import JournalReader
from officeai_proxy.recording.setaside import FOLDER, SetAsideFolder, set_aside

OLD = MasterKeys({"old": b"1" * 32})
BOTH = MasterKeys({"new": b"2" * 32, "old": b"1" * 32})
OTHER = MasterKeys({"old": b"3" * 32})


def payload(seal: FrameSeal | None) -> bytes:
    (frame,) = frames.scan(frames.encode(an_exchange([user("canary")]), seal))
    return frame.payload


def test_a_version_without_the_keys_does_not_misread_it() -> None:
    """Without keys a sealed frame is one that cannot be decoded, never garbage."""
    with pytest.raises(frames.Undecodable):
        frames.decode(payload(FrameSeal(OLD)))


@pytest.mark.parametrize("keys", [OTHER, MasterKeys({"new": b"2" * 32})])
def test_other_keys_do_not_open_it(keys: MasterKeys) -> None:
    """A wrong key and a missing one are both told."""
    with pytest.raises(Unopenable):
        FrameSeal(keys).open(payload(FrameSeal(OLD)))


def test_nothing_of_a_call_is_in_the_journal(tmp_path: Path) -> None:
    """Neither what was said nor by whom is in the file, and the reader has all of it."""
    exchange = an_exchange([user("canary")], user="canary", error="canary")
    journal = Journal(tmp_path, seal=FrameSeal(OLD))
    journal.append(exchange)
    journal.close()
    (segment,) = tmp_path.glob("*.seg")
    assert b"canary" not in segment.read_bytes()

    batch = JournalReader(tmp_path, FrameSeal(BOTH)).next_batch(max_entries=9, max_bytes=10**6)
    assert [entry.exchange for entry in batch.entries] == [exchange]


def test_a_frame_that_does_not_open_tells_why(tmp_path: Path) -> None:
    """The reader goes on behind it, and says which key it was."""
    for keys in (OLD, MasterKeys({"new": b"2" * 32})):
        journal = Journal(tmp_path, seal=FrameSeal(keys))
        journal.append(an_exchange())
        journal.close()

    batch = JournalReader(tmp_path, FrameSeal(OLD)).next_batch(max_entries=9, max_bytes=10**6)
    assert [entry.exchange is None for entry in batch.entries] == [False, True]
    assert "'new'" in batch.entries[1].fault


def test_what_is_set_aside_is_sealed(tmp_path: Path) -> None:
    """A plain frame from before, and the reason that quotes it, are sealed; and once only."""
    journal = Journal(tmp_path)
    journal.append(an_exchange([user("canary")]))
    journal.close()
    reader = JournalReader(tmp_path)
    (entry,) = reader.next_batch(max_entries=9, max_bytes=10**6).entries
    reader.close()
    seal = FrameSeal(OLD)

    kept = set_aside(tmp_path, entry, reason="a canary sang", seal=seal)

    files = list((tmp_path / FOLDER).iterdir())
    assert len(files) == 2
    assert all(key_of(file.read_bytes()) == "old" for file in files)
    assert all(b"canary" not in file.read_bytes() for file in files)
    assert frames.decode(seal.open(kept.read_bytes())) == entry.exchange


def test_a_new_key_seals_them_anew(tmp_path: Path) -> None:
    """Plain files and those of an old key are sealed with the present one, and once only."""
    journal = Journal(tmp_path)
    for name in ("ann", "bob"):
        journal.append(an_exchange(user=name))
    journal.close()
    reader = JournalReader(tmp_path)
    entries = reader.next_batch(max_entries=9, max_bytes=10**6).entries
    reader.close()
    set_aside(tmp_path, entries[0], reason="plain")
    set_aside(tmp_path, entries[1], reason="old", seal=FrameSeal(OLD))

    folder = SetAsideFolder(tmp_path, FrameSeal(BOTH))
    assert folder.reseal() == 4
    assert folder.reseal() == 0
    assert {key_of(file.read_bytes()) for file in (tmp_path / FOLDER).iterdir()} == {"new"}
    assert folder.erase(workspace="default", user="bob") == 1


def test_a_folder_that_cannot_be_listed_is_not_called_sealed(tmp_path: Path) -> None:
    """Whoever is told that all is sealed anew gives the old key away; without a folder it is."""
    folder = SetAsideFolder(tmp_path, FrameSeal(BOTH))
    assert folder.reseal() == 0

    (tmp_path / FOLDER).write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        folder.reseal()
