"""What `/docs` says of the calls; the calls themselves never come through here.

The application hands `/v1` to `proxy.routes` before the framework sees it.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from officeai_proxy.api.answers import ErrorAnswer
from officeai_proxy.api.values import NAME_SCHEMA
from officeai_proxy.auth.dependencies import require
from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller, JsonObject, Scope

DESCRIPTION = """\
A recording proxy for OpenAI clients. Point a client's `base_url` at `/v1` of this server, name the
conversation in `X-Session-ID` and the user in `X-User-ID`, and every message is kept once.

**Authorize** with a key of this proxy, then try a call and read its conversation."""

EXAMPLE: JsonValue = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "你好，请介绍一下Python"}],
}


class ChatMessage(BaseModel):
    """One message, as in OpenAI's API; every other field is passed on."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(description="Who speaks: `system`, `user`, `assistant` or `tool`.")
    content: str | list[dict[str, object]] | None = Field(
        None, description="Text, or a list of content parts."
    )


_WITH_EXAMPLE: dict[str, JsonValue] = {"examples": [EXAMPLE]}


class ChatCompletionRequest(BaseModel):
    """A chat request, as in OpenAI's API; every other field is passed on."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_WITH_EXAMPLE)

    model: str = Field(description="A model of the upstream; `GET /v1/models` lists them.")
    messages: list[ChatMessage] = Field(description="What was said so far, oldest first.")
    stream: bool = Field(False, description="Whether the answer comes in events.")


router = APIRouter(prefix="/v1", tags=["Proxy"])

_REPLY: dict[str, JsonValue] = {
    "description": "The upstream's reply, byte for byte; events with `stream: true`.",
    # Without a schema: one for the whole text would be taken for one of each event.
    "content": {"text/event-stream": {}},
}
_ERRORS = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in (
        (400, "The body or a header cannot be used; the upstream was not called."),
        (401, "The key is not one of this proxy."),
        (403, "The key may not do this."),
        (413, "The body is larger than OFFICEAI_MAX_BODY_MB."),
        (415, "The body's content encoding is none of gzip, deflate, x-gzip and identity."),
        (429, "The key has used up a limit; try again after `Retry-After` seconds."),
        (502, "The upstream cannot be reached, or refuses the proxy's own key."),
        (503, "The proxy cannot take the call now; try again after `Retry-After` seconds."),
        (504, "The upstream stays silent."),
        # With this FastAPI adds no 422 of its own shape, which nobody ever gets.
        ("default", "What the upstream answers, as it answers."),
    )
}


@router.post(
    "/chat/completions",
    summary="Chat, recorded",
    response_model=None,
    responses={200: _REPLY, **_ERRORS},
)
async def chat_completions(
    body: ChatCompletionRequest,  # noqa: ARG001 - documentation only
    caller: Annotated[Caller, Depends(require(Scope.CHAT))],  # noqa: ARG001 - documentation only
    x_session_id: Annotated[  # noqa: ARG001 - documentation only
        str | None,
        WithJsonSchema(NAME_SCHEMA),
        Header(
            alias="X-Session-ID",
            description="Records the call into this conversation.",
            openapi_examples={"demo": {"value": "demo-session"}},
        ),
    ] = None,
    x_user_id: Annotated[  # noqa: ARG001 - documentation only
        str | None,
        WithJsonSchema(NAME_SCHEMA),
        Header(
            alias="X-User-ID",
            description="Whose conversation it is.",
            openapi_examples={"demo": {"value": "user123"}},
        ),
    ] = None,
    x_record: Annotated[  # noqa: ARG001 - documentation only
        Literal["on", "off"] | None,
        Header(alias="X-Record", description="`off`: do not record this call."),
    ] = None,
    x_session_context: Annotated[  # noqa: ARG001 - documentation only
        str | None,
        WithJsonSchema({"type": "string", "pattern": "^(all|[0-9]+)$"}),
        Header(
            alias="X-Session-Context",
            description="Send the newest messages of the session first: a number, or `all`.",
        ),
    ] = None,
) -> JsonObject:
    """Forward a chat request to the upstream and record both sides of it.

    Every other `/v1` address is passed on the same way, and logged without its content.
    """
    raise NotFound("The proxy is not running.")
