"""Types of options that several commands take: text in, a checked value out or what is wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click
from typing_extensions import override

from officeai_proxy.auth.durations import parse_lifetime
from officeai_proxy.auth.labels import check_label
from officeai_proxy.errors import ProxyError
from officeai_proxy.model import Scope


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


class Moment(click.ParamType[datetime]):
    """A moment such as 2026-01-31 or 2026-01-31T12:00:00Z; without a zone it is UTC."""

    name = "moment"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the moment."""
        if isinstance(value, datetime):
            return value
        try:
            read = datetime.fromisoformat(str(value).upper())
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a moment such as 2026-01-31T12:00:00Z.", param, ctx)


class Span(click.ParamType[timedelta]):
    """A duration such as `90d`, `12h` or `30m`."""

    name = "duration"

    def __init__(self, read: Callable[[str], timedelta] = parse_lifetime) -> None:
        """*read* says which durations are taken; it raises ValueError for others."""
        self._read = read

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read the duration."""
        if isinstance(value, timedelta):
            return value
        try:
            return self._read(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Scopes(click.ParamType[frozenset[Scope]]):
    """A comma-separated list of scopes."""

    name = "scopes"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[Scope]:
        """Read the list."""
        if isinstance(value, frozenset):
            return value
        try:
            scopes = frozenset(Scope(part.strip()) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: the scopes are {', '.join(Scope)}.", param, ctx)
        return scopes
