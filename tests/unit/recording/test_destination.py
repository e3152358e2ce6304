"""One journal, one database: who has another is told so while somebody works there."""

import fcntl
from errno import ENOSPC
from pathlib import Path

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.recording.destination import NOTE, Destination


def test_another_database_is_refused_while_somebody_serves(tmp_path: Path) -> None:
    """Workers of one program share it; who comes when all are gone brings what they like."""
    workers = [Destination(tmp_path, "sqlite /one.db") for _ in range(2)]
    for worker in workers:
        with pytest.raises(ConfigurationError, match="OFFICEAI_DATA_DIR: another program"):
            Destination(tmp_path, "sqlite /two.db")
        worker.close()
        worker.close()

    other = Destination(tmp_path, "sqlite /two.db")
    with pytest.raises(ConfigurationError):
        Destination(tmp_path, "sqlite /one.db")
    other.close()
    assert b"two" not in (tmp_path / NOTE).read_bytes()


def test_a_folder_that_takes_no_file_keeps_nobody_from_serving(tmp_path: Path) -> None:
    """What is wrong with it is told elsewhere."""
    Destination(tmp_path / "missing", "sqlite /one.db").close()
    (tmp_path / NOTE).mkdir()
    Destination(tmp_path, "sqlite /one.db").close()


def test_a_note_that_cannot_be_written_keeps_no_worker_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program itself opens it before its workers do; on a full disk it locked them out."""

    def full(*_: object) -> int:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("officeai_proxy.recording.destination.os.pwrite", full)
    program = Destination(tmp_path, "sqlite /one.db")
    with (tmp_path / NOTE).open("rb") as note:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    program.close()
