"""A page of a list: what is asked for in, storage's words for it out; and the frame of the answer.

All lists look alike, whatever is in them.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic.config import JsonDict, JsonValue

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.storage.paging import Page, PageRequest


class ListFrame(BaseModel):
    """A list without its items."""

    object: Literal["list"] = "list"
    total: int = Field(description="Items of all pages together.")
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page.")


def page_request(*, limit: int, offset: int = 0, cursor: str | None = None) -> PageRequest:
    """The page that a caller asks for.

    Raises:
        UnprocessableInput: both `offset` and `cursor` say where it begins.
    """
    if cursor is not None and offset:
        raise UnprocessableInput("Give `cursor` or `offset`, not both.", param="cursor")
    return PageRequest(limit=limit, offset=offset, cursor=cursor)


def frame_of(page: Page[Any], wanted: PageRequest) -> dict[str, Any]:
    """The values of a ListFrame around *page*, which *wanted* asked for."""
    return {
        "total": page.total,
        "limit": wanted.limit,
        "offset": wanted.offset,
        "has_more": page.has_more,
        "next_cursor": page.next_cursor,
    }


def example_of(item: JsonValue, *, limit: int = 100) -> JsonDict:
    """A page with nothing but *item*, for `/docs`."""
    frame = ListFrame(total=1, limit=limit, offset=0, has_more=False, next_cursor=None)
    return {**frame.model_dump(), "data": [item]}
