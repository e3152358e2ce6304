"""Standard input, output and error as a program may find them: open, closed, or full.

When a program is started with one of them closed, the next file that it opens gets that number, 0,
1 or 2, and what is meant for a person would go into a database. For Python such a stream is None:
what is printed to it is gone without a word, and to ask whether it is a terminal fails.
"""

import codecs
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TextIO

import click

P = ParamSpec("P")

SECONDS_BETWEEN_LINES = 5.0

_STREAMS = (0, 1, 2)

# C0 and C1 (ECMA-48), but for what breaks lines and sets columns: whoever writes a message could
# rename the window with them, or hide what stands above.
_OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def hold_places() -> bool:
    """Fill the place of each stream that is closed, before a file takes it; whether output was.

    To print to such an output fails, as it does on a full disk. What is told on such a standard
    error is dropped: that nobody hears it is no reason not to do the work.
    """
    was_closed = [number for number in _STREAMS if not _is_open(number)]
    for number in was_closed:
        # What is read from it ends at once, and what is written to it is refused.
        opened = os.open(os.devnull, os.O_RDONLY)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    if 1 in was_closed:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if 2 in was_closed:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return 1 in was_closed


def show_by_escapes() -> None:
    """Let any text be printed, also where the encoding lacks letters, as with `LANG=de_DE`.

    What it lacks is written as Python escapes it; otherwise even `--help` would fail.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _has_all_letters(stream):
            stream.reconfigure(errors="backslashreplace")


def _has_all_letters(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding).name == "utf-8"


def give_up_output() -> None:
    """Throw away what is still in the buffer of standard output.

    Python would try to write it once more at exit, and fail again (Python documentation, "Note on
    SIGPIPE").
    """
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def can_print() -> bool:
    """Whether standard output is open for writing; that a disk is full does not show here."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except (OSError, ValueError):
        return False
    return True


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def in_one_line(text: str) -> str:
    """*text* with what a terminal would not show, or would obey, written as Python escapes it."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def harmless(text: str) -> str:
    """*text* in its lines, with what a terminal would obey written as Python escapes it."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def now_and_then(told: Callable[P, str]) -> Callable[P, None]:
    """A function to call as often as you like: every few seconds it prints what *told* gives."""
    last = time.monotonic()

    def tell(*given: P.args, **named: P.kwargs) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            click.echo(told(*given, **named), err=True)

    return tell


def json_line(value: object) -> str:
    """*value* as JSON on one line, safe for scripts and for terminals."""
    text = json.dumps(value, ensure_ascii=not _has_all_letters(sys.stdout))
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
