"""How far an export is, on standard error: a bar on a terminal, else a line every few seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from officeai_proxy.cli.standard import now_and_then
from officeai_proxy.exports import Export


@contextmanager
def progress(export: Export) -> Iterator[Callable[[], None]]:
    """A function to call whenever *export* has got further."""
    if sys.stderr.isatty():
        with _bar(export) as advance:
            yield advance
    else:
        yield _lines(export)


@contextmanager
def _bar(export: Export) -> Iterator[Callable[[], None]]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("messages, {task.fields[rate]:,.0f} a second,"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task("Exporting", total=export.expected.messages, rate=0)

        def advance() -> None:
            done = export.written.messages
            rate = done / max(time.monotonic() - began, 0.001)
            bar.update(task, completed=done, rate=rate)

        yield advance


def _lines(export: Export) -> Callable[[], None]:
    began = time.monotonic()

    def told() -> str:
        done, total = export.written.messages, export.expected.messages
        rate = done / (time.monotonic() - began)
        left = (total - done) / max(rate, 1)
        return f"{done:,} of {total:,} messages, {rate:,.0f} a second, about {left:,.0f} s left"

    return now_and_then(told)
