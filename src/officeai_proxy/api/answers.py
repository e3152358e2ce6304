"""Answers of the read side: values in, JSON bytes out, and the errors that the API page lists."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from typing_extensions import override

from officeai_proxy.wire import jsontext

_WHEN = {
    HTTPStatus.BAD_REQUEST: ("The body is not JSON, or a header is there twice.", "invalid_json"),
    HTTPStatus.UNAUTHORIZED: ("There is no key, or it opens nothing.", "invalid_api_key"),
    HTTPStatus.FORBIDDEN: ("The key lacks a scope, or is bound to another user.", "not_allowed"),
    HTTPStatus.NOT_FOUND: ("There is no such session in this workspace.", "not_found"),
    HTTPStatus.CONFLICT: (
        "It exists already; or several users have a session of this id (`ambiguous_session`).",
        "conflict",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The body is too large.", "request_too_large"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("The body is not JSON.", "unsupported_media_type"),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("A value cannot be used; `param` names it.", "invalid_value"),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "Too many exports run at this moment; try again after `Retry-After` seconds.",
        "too_many_exports",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The database is away; try again.", "database_unavailable"),
}

_ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


class ErrorDetail(BaseModel):
    """What is wrong and what to do (OpenAI API reference, "Error codes")."""

    message: str = Field(description="For a person: what is wrong, and what to do next.")
    type: str = Field(description="OpenAI's kind of error.")
    param: str | None = Field(description="The field or parameter it is about.")
    code: str | None = Field(description="For a program: which error.")


class ErrorAnswer(BaseModel):
    """Every error, on every route."""

    error: ErrorDetail = Field(description="What is wrong and what to do.")


class JsonAnswer(JSONResponse):
    """An answer that can carry every text a client ever sent, and that every reader takes.

    The usual encoders refuse half a surrogate pair, which a JSON body may hold as an escape; here
    it becomes U+FFFD.
    """

    @override
    def render(self, content: Any) -> bytes:
        """JSON text of *content*, which pydantic has made of plain values."""
        return jsontext.dumps_readable(content).encode()


def problems(*statuses: HTTPStatus, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The documented errors of a route: *statuses*, those of all routes and those of a *body*."""
    all_of_them = {*statuses, *_ALWAYS, *(_WITH_BODY if body else ())}
    return {int(status): _problem(status) for status in sorted(all_of_them)}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    when, code = _WHEN[status]
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    if status == HTTPStatus.FORBIDDEN:
        kind = "permission_error"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    error = {"message": when, "type": kind, "param": None, "code": code}
    return {
        "model": ErrorAnswer,
        "description": when,
        "content": {"application/json": {"example": {"error": error}}},
    }
