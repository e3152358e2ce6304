"""Which conversations a list shows and in what order, as statements; runs none of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal, select, tuple_

from officeai_proxy.model import Conversation
from officeai_proxy.storage.conditions import where_given
from officeai_proxy.storage.conversations.models import has_model
from officeai_proxy.storage.paging import Key, PageRequest, make_cursor, read_cursor
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS
from officeai_proxy.storage.tables import conversations

SORTED = 1000
"""Characters of a title that decide its place: a cursor holds them, and stands in an address."""

_c = conversations.c


class Deleted(StrEnum):
    """Whether conversations in the bin are meant."""

    NO = "no"
    ONLY = "only"
    WITH = "with"


class ConversationSort(StrEnum):
    """The order of a list; a minus sign puts the largest first. Ties are broken by the id."""

    NEWEST_ACTIVITY = "-updated_at"
    OLDEST_ACTIVITY = "updated_at"
    NEWEST = "-created_at"
    OLDEST = "created_at"
    TITLE = "title"
    TITLE_BACKWARDS = "-title"

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return self.value.startswith("-")

    @property
    def field(self) -> str:
        """The column that decides."""
        return self.value.removeprefix("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations are wanted. `…_after` includes its moment, `…_before` does not.

    `above` and `through` are ids: those greater than the one, and not greater than the other.
    """

    user_identifier: str | None = None
    model: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    above: int | None = None
    through: int | None = None
    deleted: Deleted = Deleted.NO
    sort: ConversationSort = ConversationSort.NEWEST_ACTIVITY


def in_state(deleted: Deleted) -> list[ColumnElement[bool]]:
    """The condition on the bin."""
    if deleted is Deleted.NO:
        return [_c.deleted_at.is_(None)]
    if deleted is Deleted.ONLY:
        return [_c.deleted_at.is_not(None)]
    return []


def conditions_of(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    """The conditions of a filter; the caller's wall comes beside them."""
    return in_state(wanted.deleted) + where_given(
        (wanted.user_identifier, _c.user_identifier.__eq__),
        (wanted.model, has_model),
        (wanted.created_after, _c.created_at.__ge__),
        (wanted.created_before, _c.created_at.__lt__),
        (wanted.updated_after, _c.updated_at.__ge__),
        (wanted.updated_before, _c.updated_at.__lt__),
        (wanted.above, _c.id.__gt__),
        (wanted.through, _c.id.__le__),
    )


def is_as_it_was(one: Conversation) -> tuple[ColumnElement[bool], ...]:
    """The conditions that *one* is still there and nothing of it has changed since it was read."""
    return (
        _c.id == one.id,
        _c.message_count == one.message_count,
        _c.updated_at == literal(one.updated_at, _c.updated_at.type),
        _c.deleted_at.is_not_distinct_from(literal(one.deleted_at, _c.deleted_at.type)),
    )


def select_page(
    conditions: Sequence[ColumnElement[bool]], page: PageRequest, *, sort: ConversationSort
) -> Select[Any]:
    """One row more than the page asks for, which tells whether there are more.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
    """
    key = _sort_key(sort)
    rows = select(*CONVERSATION_COLUMNS).where(*conditions)
    if page.cursor is not None:
        kind = str if sort.field == "title" else datetime
        last = read_cursor(page.cursor, _listing(sort), (kind, int))
        here = tuple_(key, _c.id)
        behind = tuple_(literal(last[0], key.type), literal(last[1], _c.id.type))
        rows = rows.where(here < behind if sort.is_descending else here > behind)
    order = (key.desc(), _c.id.desc()) if sort.is_descending else (key, _c.id)
    return rows.order_by(*order).limit(page.limit + 1).offset(page.offset)


def select_total(mine: ColumnElement[bool], wanted: ConversationFilter) -> Select[int]:
    """How many conversations of the caller's own *wanted* describes.

    Whether one is in the bin is in no index of the list, and to look it up for each of 100,000
    takes most of the time of a first page. So those in the bin, which have an index, are taken from
    all, which are counted in an index alone.
    """
    if wanted.deleted is not Deleted.NO:
        return select(_count(mine, wanted))
    everywhere = _count(mine, replace(wanted, deleted=Deleted.WITH))
    return select(everywhere - _count(mine, replace(wanted, deleted=Deleted.ONLY)))


def _count(mine: ColumnElement[bool], wanted: ConversationFilter) -> ScalarSelect[int]:
    conditions = [mine, *conditions_of(wanted)]
    if wanted.deleted is Deleted.ONLY:
        # True of every one. Without statistics SQLite takes the index that most conditions fit,
        # and this is one more for the index of the bin.
        conditions.append(_c.session_id >= "")
    return select(func.count()).select_from(conversations).where(*conditions).scalar_subquery()


def cursor_behind(conversation: Conversation, *, sort: ConversationSort) -> str:
    """The cursor of the page that follows *conversation*."""
    keys: dict[str, Key] = {
        "title": (conversation.title or "")[:SORTED],
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }
    return make_cursor(_listing(sort), (keys[sort.field], conversation.id))


def title_cursor(cursor: str, *, sort: ConversationSort) -> tuple[str, int]:
    """The title and the id behind which a page by title begins.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
    """
    title, number = read_cursor(cursor, _listing(sort), (str, int))
    return str(title), int(str(number))


def _sort_key(sort: ConversationSort) -> ColumnElement[Any]:
    if sort.field == "title":
        return func.substr(func.coalesce(_c.title, ""), 1, SORTED, type_=_c.title.type)
    return _c[sort.field]


def _listing(sort: ConversationSort) -> str:
    return f"conversations:{sort.value}"
