"""A posted form in, its fields as text out; small forms only, never a file.

And what a form without a change, a filter, puts into the address.
"""

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import Query, Request
from pydantic import StringConstraints
from starlette.requests import ClientDisconnect

from officeai_proxy.api.values import PlainText
from officeai_proxy.errors import BodyTooLarge, InvalidRequest, UnsupportedMedia

MAX_BYTES = 64 * 1024
MAX_FIELDS = 50

Name = Annotated[PlainText, StringConstraints(strip_whitespace=True), Query(max_length=1000)]
"""A name to look for. No name has blanks at its ends; what is pasted into a field often does."""

Cursor = Annotated[str, Query(max_length=1000)]
"""Where a list goes on; empty where it begins."""

_TYPE = "application/x-www-form-urlencoded"


def address_of(path: str, **given: object) -> str:
    """*path* with those of the values *given* that are not empty."""
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of the form that *request* carries; of a repeated one the last.

    Raises:
        UnsupportedMedia: it carries something else.
        BodyTooLarge: it is larger than any form of ours.
        InvalidRequest: it broke off, or is not UTF-8.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise UnsupportedMedia("Send the form as a browser does.")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                raise BodyTooLarge("The form is larger than any form of this page.")
    except ClientDisconnect as exc:
        raise InvalidRequest("The form broke off before it was whole.") from exc
    try:
        pairs = parse_qsl(
            bytes(body).decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as exc:
        raise InvalidRequest("The form cannot be read; load the page again.") from exc
    return dict(pairs)
