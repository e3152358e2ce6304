"""Which keys a journal needs is known without the database."""

from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.journal_keys import NOTE, check_keys, note_keys, waiting_keys

OLD = MasterKeys({"old": b"1" * 32})
BOTH = MasterKeys({"new": b"2" * 32, "old": b"1" * 32})
NEW = MasterKeys({"new": b"2" * 32})
WRONG = MasterKeys({"old": b"3" * 32})


def call_waits(folder: Path, keys: MasterKeys | None) -> None:
    journal = Journal(folder, seal=FrameSeal.of(keys))
    journal.append(an_exchange())
    journal.close()


@pytest.mark.parametrize("keys", [None, NEW, WRONG])
def test_a_noted_journal_takes_no_other_keys(tmp_path: Path, keys: MasterKeys | None) -> None:
    """Missing, other and wrong keys are refused, also while nothing waits."""
    note_keys(tmp_path, OLD)

    with pytest.raises(ConfigurationError, match=r"OFFICEAI_ENCRYPTION_KEYS.*'old'"):
        check_keys(tmp_path, keys)


@pytest.mark.parametrize("keys", [None, NEW])
def test_calls_that_wait_need_their_key(tmp_path: Path, keys: MasterKeys | None) -> None:
    """Without a note the calls themselves tell which key they were sealed with."""
    call_waits(tmp_path, OLD)

    with pytest.raises(ConfigurationError, match="'old'"):
        check_keys(tmp_path, keys)


def test_the_right_keys_are_taken(tmp_path: Path) -> None:
    """An empty folder takes any; a noted one its own, and new ones beside them."""
    check_keys(tmp_path, None)
    check_keys(tmp_path, OLD)
    note_keys(tmp_path, None)
    assert not (tmp_path / NOTE).exists()
    note_keys(tmp_path, OLD)
    call_waits(tmp_path, OLD)

    check_keys(tmp_path, OLD)
    check_keys(tmp_path, BOTH)


def test_an_old_key_can_be_dropped_once_a_new_one_was_noted(tmp_path: Path) -> None:
    """The journal follows the configuration, and is not the last to need a key."""
    note_keys(tmp_path, OLD)
    note_keys(tmp_path, BOTH)

    check_keys(tmp_path, NEW)


def test_a_damaged_note_shuts_nobody_out(tmp_path: Path) -> None:
    """A note that cannot be read is as good as none."""
    (tmp_path / NOTE).write_bytes(b"{")

    check_keys(tmp_path, None)


def test_waiting_keys_tell_plain_calls_too(tmp_path: Path) -> None:
    """Calls from before encryption are told apart from sealed ones."""
    assert waiting_keys(tmp_path) == set()
    call_waits(tmp_path, None)
    call_waits(tmp_path, OLD)

    assert waiting_keys(tmp_path) == {None, "old"}
