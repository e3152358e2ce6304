"""Answers of the read side: values in, JSON bytes out, and the errors that the API page lists."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from typing_extensions import override

from officeai_proxy.errors import (
    BodyTooLarge,
    Conflict,
    DatabaseUnavailable,
    InvalidJson,
    InvalidKey,
    NotAllowed,
    NotFound,
    ProxyError,
    TooManyExports,
    UnprocessableInput,
    UnsupportedMedia,
)
from officeai_proxy.wire import jsontext

_WHEN: Mapping[type[ProxyError], str] = {
    InvalidJson: "The body is not JSON, or a header is there twice.",
    InvalidKey: "There is no key, or it opens nothing.",
    NotAllowed: "The key lacks a scope, or is bound to another user.",
    NotFound: "There is no such session in this workspace.",
    Conflict: (
        "It exists already; or several users have a session of this id (`ambiguous_session`)."
    ),
    BodyTooLarge: "The body is too large.",
    UnsupportedMedia: "The body is not JSON.",
    UnprocessableInput: "A value cannot be used; `param` names it.",
    TooManyExports: "Too many exports run at this moment; try again after `Retry-After` seconds.",
    DatabaseUnavailable: "The database is away; try again.",
}
_ERRORS = {error.status: error for error in _WHEN}

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
    kind = _ERRORS[status]
    when = _WHEN[kind]
    error = {"message": when, "type": kind.type, "param": None, "code": kind.code}
    return {
        "model": ErrorAnswer,
        "description": when,
        "content": {"application/json": {"example": {"error": error}}},
    }
