"""An export in, a download out: an answer that is whole, or is broken off and looks broken off."""

import unicodedata
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import quote

from fastapi import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from officeai_proxy.api.dependencies import Slots
from officeai_proxy.exports import Export, Trail
from officeai_proxy.formats.file_names import safe_name
from officeai_proxy.history.pieces import send_while_wanted


class Download(Response):
    """The answer to a request for an export.

    Everything that can be refused is refused before the answer begins. What fails later breaks the
    connection off without the last chunk, which every client takes for an error (RFC 9112, 8).
    """

    def __init__(
        self,
        slots: Slots,
        opening: AbstractAsyncContextManager[Export],
        *,
        name: Callable[[Export], str],
        trail: Trail,
    ) -> None:
        """Send what *opening* gives, in one of *slots*, as a file called *name* of it.

        What is exported is left on *trail* before the first byte leaves; if that fails, nothing is.
        """
        super().__init__()
        self._trail = trail
        self._slots = slots
        self._opening = opening
        self._name = name

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file (ASGI specification)."""
        with self._slots.one():
            async with self._opening as export:
                # Outside of any group of tasks, which would make an error of its own of a refusal.
                await export.leave_on(self._trail)
                headers = _headers(export, self._name(export))
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send_while_wanted(export.pieces(), send, receive, what="an export")


def _headers(export: Export, name: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", export.format.media_type.encode()),
        (b"content-disposition", content_disposition(name, export.format.suffix).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def content_disposition(name: str, suffix: str) -> str:
    """The header that names a download (RFC 6266), for old clients in ASCII."""
    safe = safe_name(name) or "conversation"
    decomposed = unicodedata.normalize("NFKD", safe)
    ascii_name = safe_name("".join(c for c in decomposed if c.isascii())) or "conversation"
    plain = ascii_name.replace("%", "_")
    return f"attachment; filename=\"{plain}{suffix}\"; filename*=UTF-8''{quote(safe, '')}{suffix}"
