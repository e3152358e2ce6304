"""Standard input, output and error as a program may find them: open, closed, or full.

A program that is started with one of them closed has its place, 0, 1 or 2, free for the next file
that is opened; what is meant for a person would go into a database. Python has None for it: what is
printed is gone without a word, and who asks whether it is a terminal fails.
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
    """Let nothing else take the place of a stream that is closed; whether output was.

    Whatever is printed then fails, as it does on a full disk. What is told on standard error is
    for nobody then, and no reason not to do the work.
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
    """Let output in an encoding of few letters, such as that of `LANG=de_DE`, have all of them.

    What the encoding lacks is written as Python escapes it; it would be a failure otherwise, of
    `--help` too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _has_all_letters(stream):
            stream.reconfigure(errors="backslashreplace")


def _has_all_letters(stream: TextIO) -> bool:
    return codecs.lookup(stream.encoding).name == "utf-8"


def give_up_output() -> None:
    """Let what is still in the buffer of standard output go nowhere.

    Python would try to write it once more at exit, and fail again (Python documentation, "Note on
    SIGPIPE").
    """
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def can_print() -> bool:
    """Whether standard output takes anything at all; of a disk that is full it cannot be told."""
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
    """Something to call as often as one likes: every few seconds a line says what *told* gives."""
    last = time.monotonic()

    def tell(*given: P.args, **named: P.kwargs) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            click.echo(told(*given, **named), err=True)

    return tell


def json_line(value: object) -> str:
    """*value* as JSON on one line, which every script and, as it is, every terminal can take."""
    text = json.dumps(value, ensure_ascii=not _has_all_letters(sys.stdout))
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
