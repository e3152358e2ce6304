"""Query parameters that narrow the call log and its statistics down, as a filter of storage."""

from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from officeai_proxy.api.values import (
    NAME_SCHEMA,
    MomentQuery,
    TextQuery,
    label_or_none,
    plain_digits,
)
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.model import Caller, Outcome
from officeai_proxy.storage.calls.filter import CallFilter

MOST_MILLISECONDS = 1e12

Milliseconds = Annotated[float | None, Query(ge=0, le=MOST_MILLISECONDS, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the call log may be narrowed down to."""

    user: Annotated[
        str | None,
        AfterValidator(label_or_none("user")),
        WithJsonSchema(NAME_SCHEMA),
        Query(description="As in `X-User-ID`, or the client's address."),
    ] = None
    session: Annotated[TextQuery, Query(description="As in `X-Session-ID`.")] = None
    model: Annotated[TextQuery, Query(description="Asked for or served.")] = None
    key: Annotated[TextQuery, Query(description="The id of a key, as in `key_id`.")] = None
    upstream: Annotated[TextQuery, Query(description="Such as `api.openai.com`.")] = None
    method: Annotated[TextQuery, Query(description="Such as `POST`.")] = None
    client_ip: Annotated[TextQuery, Query(description="The caller's address.")] = None
    outcome: Annotated[Outcome | None, Query(description="How the call ended.")] = None
    status: Annotated[
        int | None,
        Query(ge=100, le=599, description="The status that the caller got."),
        BeforeValidator(plain_digits),
    ] = None
    api: Annotated[TextQuery, Query(description="Such as `/v1/chat/completions`.")] = None
    exchange_id: Annotated[UUID | None, Query(description="As in `X-Exchange-ID`.")] = None
    stream: Annotated[bool | None, Query(description="Whether a stream was asked for.")] = None
    has_error: Annotated[
        bool | None, Query(description="Whether the call failed, or its status is 400 or more.")
    ] = None
    min_latency_ms: Annotated[
        Milliseconds, Query(description="At least so long until the reply's end.")
    ] = None
    max_latency_ms: Annotated[
        Milliseconds, Query(description="At most so long until the reply's end.")
    ] = None
    min_ttft_ms: Annotated[
        Milliseconds, Query(description="At least so long until the reply's first byte.")
    ] = None
    after: MomentQuery = None
    before: MomentQuery = None

    def of(self, caller: Caller) -> CallFilter:
        """The same in storage's words, within what *caller* may see."""
        given = asdict(self)
        user = check_user(caller, self.user, param="user")
        exchange_id = None if self.exchange_id is None else str(self.exchange_id)
        return CallFilter(**{**given, "user": user, "exchange_id": exchange_id})
