"""Where a command writes: a path in, a file to write to out; a half file never takes its name.

What was said goes into files and pipes byte for byte; a terminal is never made to obey it.
"""

import codecs
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from typing_extensions import Buffer, override

from officeai_proxy.cli.standard import harmless
from officeai_proxy.errors import ProxyError

STANDARD_OUTPUT = Path("-")
_ITS_DEVICE = Path("/dev/stdout")


class OutputNotWritten(ProxyError):
    """The output cannot be written."""


def is_standard_output(output: Path) -> bool:
    """Whether *output* means what the command prints to."""
    return output in {STANDARD_OUTPUT, _ITS_DEVICE}


@contextmanager
def open_output(output: Path) -> Iterator[io.BufferedIOBase]:
    """The file at *output*; a regular one gets its name at the end, when it is whole.

    A pipe or a device is written to as it is: to rename a file over it would take it away from
    everybody else. Of a link the file that it points to is written.

    Raises:
        OutputNotWritten: it cannot be opened, or not be written to the end.
    """
    if is_standard_output(output):
        file = cast("io.BufferedIOBase", sys.stdout.buffer)
        yield _Terminal(file) if sys.stdout.isatty() else file
        file.flush()
        return
    is_special = output.exists() and not output.is_file()
    try:
        with output.open("wb") if is_special else _whole_file(output) as file:
            yield file
    except OSError as exc:
        raise OutputNotWritten(f"{output} cannot be written: {exc.strerror}") from exc


@contextmanager
def _whole_file(output: Path) -> Iterator[io.BufferedIOBase]:
    """A new file beside the one that it replaces at the end; deleted if there is no good one.

    Who may read the old file may read the new one, and nobody else.
    """
    target = Path(os.path.realpath(output))
    part = target.with_name(f".officeai-{os.urandom(8).hex()}.part")
    with part.open("xb") as file:
        try:
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


class _Terminal(io.BufferedIOBase):
    """Shows a text that comes as UTF-8, in pieces, to whoever sits there."""

    def __init__(self, terminal: io.BufferedIOBase) -> None:
        super().__init__()
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @override
    def write(self, buffer: Buffer, /) -> int:
        self._terminal.write(harmless(self._decoder.decode(bytes(buffer))).encode())
        return memoryview(buffer).nbytes
