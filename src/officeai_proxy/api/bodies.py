"""JSON request bodies of our own routes: checked and bounded bytes in, a parsed value out.

The key is checked before the body is read, so that a stranger cannot make the proxy read anything.
"""

from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from typing_extensions import override

from officeai_proxy.api.dependencies import Services
from officeai_proxy.api.other_names import OtherNames
from officeai_proxy.api.repeated import refuse_repeated
from officeai_proxy.auth.dependencies import authenticate
from officeai_proxy.errors import (
    BodyTooLarge,
    InvalidJson,
    InvalidRequest,
    UnprocessableInput,
    UnsupportedMedia,
)
from officeai_proxy.model import Json
from officeai_proxy.wire import jsontext

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body was read and parsed before FastAPI asks for it.

    FastAPI makes every failure to read a body the same error 400; ours say what is wrong.
    """

    _bytes: bytes = b""
    _value: Json = None

    async def load(self, *, limit: int) -> None:
        """Read a body of at most *limit* bytes and parse it.

        Raises:
            UnsupportedMedia: it is not JSON, or it is compressed.
            BodyTooLarge: it is larger than *limit*.
            InvalidJson: it says it is JSON, and is not.
            UnprocessableInput: a number in it is larger than any that is kept.
            InvalidRequest: the caller left before it was whole.
        """
        self._bytes = await self._read(limit)
        if not self._bytes:
            return
        _check_media(self)
        try:
            self._value = jsontext.loads(self._bytes, clamps=False)
        except jsontext.OutOfRange as exc:
            raise UnprocessableInput(f"The body cannot be kept as it is: {exc}.") from exc
        except ValueError as exc:
            raise InvalidJson(
                "The body is not valid JSON; check quotes, commas and the encoding, UTF-8."
            ) from exc

    @override
    async def body(self) -> bytes:
        """The bytes that `load` read."""
        return self._bytes

    @override
    async def json(self) -> Json:
        """The value that `load` parsed."""
        return self._value

    async def _read(self, limit: int) -> bytes:
        _check_size(int(self.headers.get("content-length", 0)), limit)
        read = bytearray()
        try:
            async for piece in self.stream():
                read += piece
                _check_size(len(read), limit)
        except ClientDisconnect as exc:
            raise InvalidRequest("The body broke off before it was whole.") from exc
        return bytes(read)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(
            f"The body is larger than {limit} bytes. Send less, or raise OFFICEAI_MAX_BODY_MB."
        )


def _check_media(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media == "application/json" or (
        media.startswith("application/") and media.endswith("+json")
    )
    if not is_json:
        raise UnsupportedMedia("Send the body as `Content-Type: application/json`.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body uncompressed, without Content-Encoding.")


class JsonRoute(APIRoute):
    """A route that checks the key first and then reads its body, if it takes one, as JSON.

    Its query parameters may have their other names, and each is given once.
    """

    @override
    def get_route_handler(self) -> Handler:
        """FastAPI's handler behind our checks."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        other_names = OtherNames(self.dependant)

        async def checked(request: Request) -> Response:
            authenticate(request)
            refuse_repeated(request, other_names.known)
            named = other_names.resolved(request)
            if not takes_body:
                return await handle(named)
            services = cast("Services", request.app.state.services)
            json_request = JsonRequest(named.scope, named.receive)
            await json_request.load(limit=services.settings.max_body_bytes)
            return await handle(json_request)

        return checked
