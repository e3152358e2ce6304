"""What several commands take: options, and types of them: text in, a checked value out or what is
wrong.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

import click
from typing_extensions import override

from officeai_proxy.auth.durations import parse_lifetime, parse_overlap
from officeai_proxy.auth.labels import check_label
from officeai_proxy.errors import ProxyError
from officeai_proxy.model import DEFAULT_WORKSPACE, Scope, in_utc

T = TypeVar("T")
Function = Callable[..., Any]


class Name(click.ParamType[str]):
    """The name of a workspace, a session, a user or a key: what fits into a header and a column."""

    name = "text"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the name."""
        try:
            return check_label((param and param.name) or "name", str(value))
        except ProxyError as error:
            self.fail(error.message, param, ctx)


class Read(click.ParamType[T]):
    """What a function makes of a text."""

    def __init__(self, name: str, read: Callable[[str], T]) -> None:
        """*name* is what `--help` calls it; *read* raises ValueError for a text that is none."""
        self.name = name
        self._read = read

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Read the text; a default may be what it means already."""
        if not isinstance(value, str):
            return cast("T", value)
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _moment(text: str) -> datetime:
    try:
        return in_utc(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"{text!r} is not a moment such as 2026-01-31T12:00:00Z") from exc


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(part.strip()) for part in text.split(","))
    except ValueError as exc:
        raise ValueError(f"{text!r}: the scopes are {', '.join(Scope)}") from exc


MOMENT = Read("moment", _moment)
"""A moment such as 2026-01-31 or 2026-01-31T12:00:00Z; without a zone it is UTC."""

DURATION = Read("duration", parse_lifetime)
"""A duration such as `90d`, `12h` or `30m`."""

OVERLAP = Read("duration", parse_overlap)
"""How long a key that is being replaced goes on working; `0`: not at all."""

SCOPES = Read("scopes", _scopes)
"""A comma-separated list of scopes."""

workspace_option = click.option(
    "--workspace", type=Name(), default=DEFAULT_WORKSPACE, show_default=True
)
"""Whose walls a command works in."""


def limit_option(default: int, *, most: int, what: str) -> Callable[[Function], Function]:
    """How many of *what* a command shows: *default*, or what is asked for up to *most*."""
    return click.option(
        "--limit",
        type=click.IntRange(1, most),
        default=default,
        show_default=True,
        help=f"How many {what} at most.",
    )
