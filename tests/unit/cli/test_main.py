"""What goes wrong in a command is one line on standard error."""

import sys
from pathlib import Path

import pytest

from officeai_proxy.cli import main


def test_what_a_database_said_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it speaks of a file whose name has two lines, or would clear the screen."""
    folder = tmp_path / "two\nlines\x1b[2J"
    folder.mkdir()
    monkeypatch.setenv("OFFICEAI_DATABASE_URL", f"sqlite:///{folder}")
    monkeypatch.setattr(sys, "argv", ["officeai-proxy", "keys", "list"])

    with pytest.raises(SystemExit) as ended:
        main()

    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert "It said: [Errno 21] Is a directory: '" in line
    assert line.isprintable()
