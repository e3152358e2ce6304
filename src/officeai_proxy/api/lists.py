"""What stands around the items of a list: a page and what was asked for in, its frame out."""

from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, Field
from pydantic.config import JsonDict, JsonValue

from officeai_proxy.storage.paging import Page, PageRequest

AList = Annotated[Literal["list"], Field(description="What this is, as in OpenAI's API.")]
LimitAsked = Annotated[int, Field(description="How many items the page may have.")]
HasMore = Annotated[bool, Field(description="Whether a page follows.")]
NextCursor = Annotated[
    str | None, Field(description="Pass it as `cursor` to get the next page; null on the last.")
]


class Frame(TypedDict):
    """The fields of a `ListFrame` that a page gives."""

    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None


class ListFrame(BaseModel):
    """A list without its items."""

    object: AList = "list"
    total: int = Field(description="Items of all pages together.")
    limit: LimitAsked
    offset: int = Field(description="How many items were passed over, as `offset` asked for.")
    has_more: HasMore
    next_cursor: NextCursor


def frame(page: Page[Any], wanted: PageRequest) -> Frame:
    """What stands around the items of *page*, which *wanted* asked for."""
    return {
        "total": page.total,
        "limit": wanted.limit,
        "offset": wanted.offset,
        "has_more": page.has_more,
        "next_cursor": page.next_cursor,
    }


def example_of(item: JsonValue, *, limit: int = 100) -> JsonDict:
    """A page with nothing but *item*, for `/docs`."""
    around = ListFrame(total=1, limit=limit, offset=0, has_more=False, next_cursor=None)
    return {**around.model_dump(), "data": [item]}
