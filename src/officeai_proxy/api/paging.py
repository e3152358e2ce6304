"""The page of a list: what a caller asks for in, storage's words for it out."""

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.storage.paging import PageRequest


def page_request(*, limit: int, offset: int = 0, cursor: str | None = None) -> PageRequest:
    """The page that a caller asks for.

    Raises:
        UnprocessableInput: both `offset` and `cursor` say where it begins.
    """
    if cursor is not None and offset:
        raise UnprocessableInput("Give `cursor` or `offset`, not both.", param="cursor")
    return PageRequest(limit=limit, offset=offset, cursor=cursor)
