"""Every error of the routes in, OpenAI's error object out; never a stack trace, never the input."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from officeai_proxy.api.outages import OutageLog
from officeai_proxy.error_handlers import error_body, error_headers, error_object
from officeai_proxy.errors import (
    METHODS,
    InvalidJson,
    MethodNotAllowed,
    NotFound,
    ProxyError,
    RequestRefused,
    UnprocessableInput,
)

INTERNAL = "Something went wrong inside the proxy. Try again; its log says what it was."

MAX_SHOWN = 200
"""Characters of an address or a field's name that a message repeats."""

MAX_FAULTS = 5
"""Faults of one request that a message tells."""

# What OpenAI's clients ask for when their base URL lacks its end, or has a slash too many.
_OF_CLIENTS = re.compile(
    r"/(?:(?:chat/)?completions|embeddings|models|responses|files|moderations|images/\w+|audio/\w+)$"
)
_BASE_URL = "The base URL of an OpenAI client ends in /v1 here. "

# pydantic names the branches of a union and its validators in the location of a fault, in
# brackets or as `function-…`; no caller sent a field of that name.
_NOT_A_FIELD = re.compile(r"^<.*>$|^function-|\[")


def install(app: FastAPI) -> None:
    """Make every error of *app*'s routes an error object."""
    app.state.outages = OutageLog()
    app.add_exception_handler(ProxyError, _on_proxy_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_anything_else)


def response_of(error: ProxyError) -> Response:
    """The answer that tells a client about *error*."""
    response = Response(error_body(error), error.status)
    for name, value in error_headers(error):
        response.headers[name.decode()] = value.decode()
    return response


async def _on_proxy_error(request: Request, error: Exception) -> Response:
    raised = cast("ProxyError", error)
    outages: OutageLog = request.app.state.outages
    outages.note(raised)
    return response_of(raised)


async def _on_http_exception(request: Request, raised: Exception) -> Response:
    """Errors of the framework itself: no such address, not this method, an unreadable body."""
    error = cast("HTTPException", raised)
    where = f"{request.method} {_shown(request.url.path)}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        next_step = _BASE_URL if _OF_CLIENTS.search(request.url.path) else ""
        told = f"Invalid URL ({where}). {next_step}All addresses are listed at /docs."
        return response_of(_UnknownUrl(told))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _method_not_allowed(request)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return response_of(InvalidJson("The body cannot be read; send one JSON value in UTF-8."))
    refused = error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    kind = RequestRefused.type if refused else ProxyError.type
    body = error_object(error.detail, kind=kind, param=None, code=None)
    return Response(body, error.status_code, error.headers, "application/json")


class _UnknownUrl(NotFound):
    """There is nothing at this address."""

    code = "unknown_url"


def _method_not_allowed(request: Request) -> Response:
    allowed = methods_at(request)
    told = f"Not allowed to {request.method} on {_shown(request.url.path)}."
    return response_of(MethodNotAllowed(f"{told} Use {', '.join(allowed)}.", allow=allowed))


def methods_at(request: Request) -> tuple[str, ...]:
    """The methods that some route takes here; the framework tells those of the first one only."""
    scope = {key: request.scope[key] for key in ("type", "path", "root_path", "headers")}
    routes = request.app.routes
    return tuple(
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    )


async def _on_validation_error(_: Request, error: Exception) -> Response:
    faults = cast("RequestValidationError", error).errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return response_of(InvalidJson())
    named = [(_field(fault["loc"]), fault["msg"]) for fault in faults]
    told = [f"{field or 'The body'}: {_told(message)}" for field, message in named[:MAX_FAULTS]]
    if len(named) > MAX_FAULTS:
        told.append(f"and {len(named) - MAX_FAULTS} more.")
    return response_of(UnprocessableInput(" ".join(told), param=named[0][0] or None))


def _field(location: Sequence[int | str]) -> str:
    """The place of a fault as OpenAI writes it: `messages[3].role`."""
    path = ""
    for part in location[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _NOT_A_FIELD.search(part):
            path += f".{part}" if path else part
    return _shown(path)


def _told(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."


def _shown(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


async def _on_anything_else(_: Request, __: Exception) -> Response:
    """Tell nothing. Starlette raises the error again after this, so that the server logs it."""
    return Response(
        error_object(INTERNAL, kind=ProxyError.type, param=None, code="internal_error"),
        HTTPStatus.INTERNAL_SERVER_ERROR,
        media_type="application/json",
    )
