"""What is logged is safe to read, whoever wrote a part of it."""

import logging
import sys

import pytest

from officeai_proxy.server.logs import MAX_RECORD, SafeFormatter


def lines(message: str, *arguments: object, error: Exception | None = None) -> list[str]:
    """A record as it is written, in lines."""
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, message, arguments, info)
    return SafeFormatter("T %(levelname)s %(message)s").format(record).split("\n")


FORGERIES = ["a\nT INFO forged", "a\r\nT INFO forged", "a\x85T", "a\u2028T INFO forged", "a\x0bT"]


@pytest.mark.parametrize("text", FORGERIES)
def test_no_text_makes_a_record_of_its_own(text: str) -> None:
    """A line break in what a caller sent begins no line that looks like ours."""
    first, *rest = lines("said %s", text)

    assert first.startswith("T INFO said a")
    assert all(line.startswith("    ") for line in rest)
    assert len("\n".join([first, *rest]).splitlines()) == 1 + len(rest)


def test_a_terminal_gets_no_commands() -> None:
    """Escape sequences, bells and half characters are shown, not obeyed."""
    [line] = lines("%s", "\x1b[2J\x07\x00\ud800")

    assert line == r"T INFO \x1b[2J\x07\x00\ud800"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-ghi",
        "{'authorization': 'bearer abc.def-ghi'}",
        "key sk-oai-abcdefghijklmno was refused",
        "postgresql://user:abc.def-ghi@host/db",
    ],
)
def test_a_key_that_slips_in_is_taken_out(text: str) -> None:
    """No message is to hold one, and if a library's does, the log does not."""
    [line] = lines("it failed: %s", text)

    assert "abc" not in line
    assert "…" in line


def test_tracebacks_are_indented_and_safe() -> None:
    """An error's text, which may be a caller's, cannot forge a line either."""
    try:
        raise ValueError("x\nT INFO forged \x1b[0m postgresql://u:secret@h")
    except ValueError as error:
        first, *rest = lines("failed", error=error)

    assert first == "T INFO failed"
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert "secret" not in "".join(rest)
    assert "\x1b" not in "".join(rest)
    assert sys.exc_info() == (None, None, None)


def test_a_record_has_an_end() -> None:
    """A megabyte of somebody's text is not a megabyte of log."""
    [line] = lines("%s", "x" * 1_000_000)

    assert len(line) < MAX_RECORD + 100
    assert "characters)" in line
