"""The list of conversations as the reader has narrowed it down, and more of it while scrolling."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from officeai_proxy.page.desk import ReadingDesk, here, see_other
from officeai_proxy.page.listing import Chosen, stretch_of

router = APIRouter()

Choice = Annotated[Chosen, Depends()]


@router.get("/ui")
@router.head("/ui")
async def show_list(
    desk: ReadingDesk,
    chosen: Choice,
    cursor: Annotated[str, Query(max_length=1000)] = "",
    day: Annotated[str, Query(max_length=40)] = "",
    binned: Annotated[int, Query(ge=0)] = 0,
    told: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The conversations, newest activity first.

    `binned` is the conversation that was just deleted and can be had back; `told` names what else
    was just done.
    """
    stretch = await stretch_of(desk, chosen, cursor=cursor, day=day)
    template = "part_list.html" if desk.part == "more" else "list.html"
    return await desk.show(
        template, chosen=chosen, stretch=stretch, binned=binned, told=told, reading=None, at=None
    )


@router.get("/ui/")
async def lead_to_the_list(request: Request) -> Response:
    """To the same address without the stroke at its end, which people type."""
    return see_other(here(request).replace("/ui/", "/ui", 1))
