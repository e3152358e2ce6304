"""Where a command writes: what a terminal is shown."""

import os
import sys
from pathlib import Path

import pytest

from officeai_proxy.cli.output import STANDARD_OUTPUT, open_output

PIECES = ("机器\tsays\r\n".encode(), "\x1b]0;own\x07\xc2".encode("latin-1"), b"\x9b2J\n")
"""A text in UTF-8, cut within a character that would clear the screen."""


def test_a_terminal_does_not_obey_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands are shown as escapes; line ends, tabs and every script are as they were."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb") as screen:
        monkeypatch.setattr(sys, "stdout", terminal)
        with open_output(STANDARD_OUTPUT) as file:
            for piece in PIECES:
                file.write(piece)
        shown = screen.read1(1000).decode().replace("\r", "")
    assert shown == "机器\tsays\n" + r"\x1b]0;own\x07\x9b2J" + "\n"


def test_a_file_gets_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal is given what was said."""
    kept = tmp_path / "kept"
    with kept.open("w") as file_out:
        monkeypatch.setattr(sys, "stdout", file_out)
        with open_output(STANDARD_OUTPUT) as file:
            for piece in PIECES:
                file.write(piece)
    assert kept.read_bytes() == b"".join(PIECES)
