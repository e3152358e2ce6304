"""How far an export is, on standard error: a bar on a terminal, else a line every few seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from officeai_proxy.exports import Export

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(export: Export) -> Iterator[Callable[[], None]]:
    """A function to call whenever *export* has got further."""
    shown = _bar(export) if sys.stderr.isatty() else _lines(export)
    with shown as advance:
        yield advance


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


@contextmanager
def _lines(export: Export) -> Iterator[Callable[[], None]]:
    began = last = time.monotonic()

    def advance() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        done, total = export.written, export.expected
        rate = done.messages / (now - began)
        left = (total.messages - done.messages) / max(rate, 1)
        click.echo(
            f"{done.messages:,} of {total.messages:,} messages, {rate:,.0f} a second, "
            f"about {left:,.0f} s left",
            err=True,
        )

    yield advance
