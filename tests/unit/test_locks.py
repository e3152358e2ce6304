"""An open file or a path in, whether somebody holds its lock out."""

import os
from pathlib import Path

import pytest

from officeai_proxy import locks


def test_a_lock_has_one_holder_until_its_file_is_closed(tmp_path: Path) -> None:
    """Whoever comes second does not get it, also in one process; closing the file gives it back."""
    path = tmp_path / "lock"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2))

    assert not locks.is_held(path)
    assert locks.taken(first)
    assert not locks.taken(second)
    assert locks.is_held(path)

    os.close(first)
    assert not locks.is_held(path)
    assert locks.taken(second)
    os.close(second)


def test_a_file_that_is_not_there_is_held_by_nobody(tmp_path: Path) -> None:
    """It is for the caller to say what a file means that is gone."""
    with pytest.raises(FileNotFoundError):
        locks.is_held(tmp_path / "gone")
