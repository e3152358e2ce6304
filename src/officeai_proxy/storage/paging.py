"""A list in pages: what is asked for, what comes back, and the opaque cursor between two of them.

A cursor holds the sort keys of the last item, so that a page costs the same wherever it is and
what is added meanwhile shifts nothing. It is not secret and grants nothing: every query carries the
caller's wall beside it.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Select, literal, tuple_

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import MAX_INTEGER

T = TypeVar("T")

Key: TypeAlias = int | str | datetime


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted: *limit* items after *cursor*, *offset* skipped.

    Raises:
        UnprocessableInput: a number is out of range.
    """

    limit: int
    offset: int = 0
    cursor: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no list can answer."""
        if not 1 <= self.limit < MAX_INTEGER:
            raise UnprocessableInput("limit must be at least 1", param="limit")
        if not 0 <= self.offset <= MAX_INTEGER:
            raise UnprocessableInput("offset must be 0 or more", param="offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch(Generic[T]):
    """Items of a list that nobody counts; `next_cursor` is None at its end."""

    items: list[T]
    next_cursor: str | None

    @property
    def has_more(self) -> bool:
        """Whether items follow."""
        return self.next_cursor is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Stretch[T]):
    """Items of a list, and how many the whole list has."""

    total: int


def newest_first(
    rows: Select[Any],
    page: PageRequest,
    listing: str,
    moment: ColumnElement[datetime],
    number: ColumnElement[int],
) -> Select[Any]:
    """Of *rows* those of a page of *listing*, by their *moment* and their *number*; and one more,
    which tells whether there are more.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
    """
    if page.cursor is not None:
        last = read_cursor(page.cursor, listing, (datetime, int))
        behind = tuple_(literal(last[0], moment.type), literal(last[1], number.type))
        rows = rows.where(tuple_(moment, number) < behind)
    newest = rows.order_by(moment.desc(), number.desc())
    return newest.limit(page.limit + 1).offset(page.offset)


def cut(
    found: Sequence[T], page: PageRequest, listing: str, keys: Callable[[T], Sequence[Key]]
) -> tuple[Sequence[T], str | None]:
    """Of what was *found*, which is one more than the page has if there are more: the page, and the
    cursor behind it. *keys* gives the sort keys of an item.
    """
    if len(found) <= page.limit:
        return found, None
    shown = found[: page.limit]
    return shown, make_cursor(listing, keys(shown[-1]))


def make_cursor(listing: str, keys: Sequence[Key]) -> str:
    """The cursor behind the item with the sort keys *keys* in *listing*."""
    plain = [key.isoformat() if isinstance(key, datetime) else key for key in keys]
    text = json.dumps([listing, *plain], separators=(",", ":"), ensure_ascii=False)
    whole = text.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def read_cursor(cursor: str, listing: str, kinds: Sequence[type[Key]]) -> list[Key]:
    """The sort keys in *cursor*, of the types *kinds*.

    Raises:
        UnprocessableInput: the cursor is not one of *listing*.
    """
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        tag, *keys = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if tag != listing:
            raise ValueError(tag)
        return [_read_key(key, kind) for key, kind in zip(keys, kinds, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise UnprocessableInput(
            "cursor does not belong to this list; take next_cursor of its last answer as it is",
            param="cursor",
        ) from None


def _read_key(key: object, kind: type[Key]) -> Key:
    if kind is datetime and isinstance(key, str):
        moment = datetime.fromisoformat(key)
        if moment.tzinfo is None:
            raise ValueError(key)
        return moment.astimezone(UTC)
    if kind is int and type(key) is int and abs(key) <= MAX_INTEGER:
        return key
    if kind is str and isinstance(key, str) and "\0" not in key:
        key.encode()
        return key
    raise ValueError(key)
