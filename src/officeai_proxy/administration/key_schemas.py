"""What the routes of keys take and give, as pydantic models; no route and no query is here."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from officeai_proxy.api.lists import ListFrame, example_of, frame
from officeai_proxy.api.values import label_or_none
from officeai_proxy.auth.durations import parse_lifetime, parse_overlap
from officeai_proxy.auth.key_lines import key_line
from officeai_proxy.auth.labels import check_label
from officeai_proxy.model import MAX_INTEGER, ApiKey, Limits, Scope
from officeai_proxy.storage.paging import Page, PageRequest

_NEW: JsonDict = {
    "name": "laptop",
    "scopes": ["chat", "read"],
    "user": "user123",
    "expires": "90d",
    "rpm": 60,
    "tpm": 100000,
    "concurrency": 4,
}
_KEY: JsonDict = {
    "id": "key_0123456789abcdef",
    "name": "laptop",
    "hint": "sk-oai-x…WXYZ",
    "workspace": "default",
    "scopes": ["chat", "read"],
    "user_identifier": "user123",
    "state": "active",
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": "2026-05-01T12:00:00Z",
    "revoked_at": None,
    "rpm": 60,
    "tpm": 100000,
    "concurrency": 4,
    "replaces": None,
}
_MADE: JsonDict = {**_KEY, "key": "sk-oai-shown-once"}


def _duration(parse: Callable[[str], timedelta], value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("Input should be a duration such as 90d, 12h or 30m")
    return parse(value)


def _scopes(value: object) -> object:
    """A list of scopes, or one text as the command line takes it."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value


_TEXT = WithJsonSchema({"type": "string", "pattern": "^(0|[0-9]{1,6}[smhd])$"})
Lifetime = Annotated[timedelta, BeforeValidator(partial(_duration, parse_lifetime)), _TEXT]
Overlap = Annotated[timedelta, BeforeValidator(partial(_duration, parse_overlap)), _TEXT]
Most = Annotated[int, Field(ge=1, le=MAX_INTEGER, strict=True)]


class NewKey(BaseModel):
    """A key to make. What is left out is as the key has it that makes it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _NEW})

    name: Annotated[str, AfterValidator(partial(check_label, "name"))] = Field(
        description="What the key is for."
    )
    workspace: Annotated[str | None, AfterValidator(label_or_none("workspace"))] = Field(
        None, description="Your own workspace; no other is possible."
    )
    scopes: Annotated[list[Scope], BeforeValidator(_scopes), Field(min_length=1)] | None = Field(
        None, description="What the key may do; at most what yours may."
    )
    user: Annotated[str | None, AfterValidator(label_or_none("user"))] = Field(
        None,
        validation_alias=AliasChoices("user", "user_identifier"),
        description="Bind the key to one user.",
    )
    expires: Lifetime | None = Field(None, description="When it ends: 90d, 12h, 30m.")
    rpm: Most | None = Field(None, description="Requests in a minute.")
    tpm: Most | None = Field(None, description="Tokens in a minute.")
    concurrency: Most | None = Field(None, description="Calls at one time.")

    def limits_within(self, own: Limits | None) -> Limits:
        """The limits asked for, and those of *own* for what was left out."""
        own = own or Limits()
        return Limits(
            own.rpm if self.rpm is None else self.rpm,
            own.tpm if self.tpm is None else self.tpm,
            own.concurrency if self.concurrency is None else self.concurrency,
        )


class Rotation(BaseModel):
    """How a key is to be replaced."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap": "24h"}})

    overlap: Overlap = Field(
        timedelta(hours=24),
        description="How long the old key goes on working; `0`: not at all; at most `7d`.",
        # pydantic would write it as ISO 8601 does, which is no form that is taken.
        json_schema_extra={"default": "24h"},
    )


class KeyOut(BaseModel):
    """A key as it is listed; the key itself is not kept."""

    model_config = ConfigDict(json_schema_extra={"example": _KEY})

    id: str = Field(description="How it is named in addresses and in the call log.")
    name: str = Field(description="What it is for.")
    hint: str = Field(description="How the key begins and ends.")
    workspace: str = Field(description="The workspace that it opens.")
    scopes: list[Scope] = Field(description="What it may do.")
    user_identifier: str | None = Field(description="The user that it is bound to.")
    state: Literal["active", "expired", "revoked"] = Field(description="Whether it still opens.")
    created_at: datetime = Field(description="When it was made, UTC.")
    expires_at: datetime | None = Field(description="When it ends, UTC; null: never.")
    revoked_at: datetime | None = Field(description="When it was made worthless, UTC.")
    rpm: int | None = Field(description="Requests in a minute; null: no limit.")
    tpm: int | None = Field(description="Tokens in a minute; null: no limit.")
    concurrency: int | None = Field(description="Calls at one time; null: no limit.")
    replaces: str | None = Field(description="The first key of a rotation; limits count there.")

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> Self:
        """The answer that tells of *key*."""
        return cls.model_validate(key_line(key, now))


class NewKeyOut(KeyOut):
    """A key that was just made: this is the only time that it is shown."""

    model_config = ConfigDict(json_schema_extra={"example": _MADE})

    key: str = Field(description="The key itself. Keep it: it is not shown again.")

    @classmethod
    def made(cls, stored: ApiKey, key: str, now: datetime) -> Self:
        """The answer that shows *key*, of which *stored* is kept."""
        return cls.model_validate({**key_line(stored, now), "key": key})


class KeyList(ListFrame):
    """A page of keys, revoked ones too, oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": example_of(_KEY)})

    data: list[KeyOut] = Field(description="The keys.")

    @classmethod
    def of(cls, page: Page[ApiKey], wanted: PageRequest, now: datetime) -> Self:
        """The answer that tells *page*, which *wanted* asked for."""
        return cls(data=[KeyOut.of(key, now) for key in page.items], **frame(page, wanted))
