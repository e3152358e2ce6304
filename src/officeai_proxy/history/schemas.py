"""What the conversation routes take and give, as pydantic models; no route and no query is here."""

from datetime import datetime
from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from officeai_proxy.api.lists import ListFrame, frame
from officeai_proxy.api.values import (
    MAX_LIMIT,
    Moment,
    PlainText,
    label_or_none,
)
from officeai_proxy.history import examples
from officeai_proxy.model import (
    MAX_INTEGER,
    Conversation,
    Json,
    JsonObject,
    Message,
    Role,
    UserSummary,
)
from officeai_proxy.storage.paging import Page, PageRequest
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import text_of

MAX_METADATA = 64 * 1024
"""Bytes of the JSON text."""


def _metadata(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError("Input should be a JSON object")
    size = len(jsontext.dumps(cast("Json", value)).encode())
    if size > MAX_METADATA:
        raise ValueError(f"Input should be at most {MAX_METADATA} bytes as JSON, and is {size}")
    return value


def _content(value: object) -> object:
    """Text, or OpenAI's list of parts; nothing inside a part is looked at."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return value
    raise ValueError("Input should be a text, or a list of content parts (JSON objects)")


def _title(title: str | None) -> str | None:
    return (title or "").strip() or None


def _new_title(title: str | None) -> str | None:
    if title is not None and not title.strip():
        raise ValueError("Input should not be blank")
    return title and title.strip()


Metadata = Annotated[
    Any,
    BeforeValidator(_metadata),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
Content = Annotated[
    Any,
    BeforeValidator(_content),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "object"}, "minItems": 1},
            ]
        }
    ),
]
AnyObject = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": True})]


class NewConversation(BaseModel):
    """A conversation to create."""

    model_config = ConfigDict(extra="forbid")

    user_identifier: Annotated[str | None, AfterValidator(label_or_none("user_identifier"))] = (
        Field(None, description="Whose it is; a key that is bound to a user need not say.")
    )
    title: Annotated[PlainText | None, AfterValidator(_title)] = Field(
        None, description="Without one, the first user message gives it."
    )
    session_id: str | None = Field(
        None, description="Its name, 1 to 255 characters; blank or absent: a UUID."
    )
    metadata: Metadata | None = Field(None, description="Yours; at most 64 KB as JSON.")


class ConversationChange(BaseModel):
    """What to change in a conversation; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[PlainText | None, AfterValidator(_new_title)] = Field(
        None, description="The new title."
    )
    metadata: Metadata | None = Field(None, description="Replaces the old metadata whole.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.title is None and self.metadata is None:
            raise ValueError("Give a `title`, `metadata` or both")
        return self


class PostedMessage(BaseModel):
    """A message to add."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Field(description="Who speaks.")
    content: Content = Field(description="Text, or OpenAI's content parts.")
    model_name: PlainText | None = Field(None, description="The model, if any.")
    token_count: int | None = Field(
        None, ge=0, le=MAX_INTEGER, strict=True, description="Its tokens, if they are known."
    )
    metadata: Metadata | None = Field(None, description="Yours; at most 64 KB as JSON.")
    timestamp: Moment | None = Field(None, description="When it was said; now, if absent.")
    raw: AnyObject | None = Field(
        None,
        description="The OpenAI message whole, if it has more than a role and content, such as "
        "`tool_calls`; its role and text are those of `role` and `content`.",
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.raw is not None:
            told: JsonObject = {"role": self.role.value, "content": self.content}
            if not isinstance(self.raw, dict) or self.raw.get("role") != self.role.value:
                raise ValueError("`raw` should be a JSON object with the same role as `role`")
            if text_of(self.raw) != text_of(told):
                raise ValueError("`raw` should have the same text as `content`")
        return self

    def message(self) -> JsonObject:
        """The OpenAI message."""
        if self.raw is not None:
            return cast("JsonObject", self.raw)
        return {"role": self.role.value, "content": self.content}


def _kind_of_body(value: object) -> str:
    return "<list>" if isinstance(value, list) else "<one>"


# The tags stand in brackets so that the place of a fault does not name them.
PostedMessages = Annotated[
    Annotated[PostedMessage, Tag("<one>")]
    | Annotated[list[PostedMessage], Field(min_length=1, max_length=MAX_LIMIT), Tag("<list>")],
    Discriminator(_kind_of_body),
]


class ConversationOut(BaseModel):
    """A conversation without its messages."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_extra={"example": examples.CONVERSATION}
    )

    id: int = Field(description="Its number.")
    session_id: str = Field(description="What `X-Session-ID` named.")
    title: str | None = Field(
        description="As given; else what the first question says. Null while there is neither."
    )
    user_identifier: str = Field(description="Whose it is: what `X-User-ID` named.")
    workspace: str = Field(description="The workspace of the keys that see it.")
    metadata: AnyObject = Field(description="Yours, as it was given.")
    message_count: int = Field(description="Messages of the whole tree.")
    created_at: datetime = Field(description="When it began, UTC.")
    updated_at: datetime = Field(description="When it was last added to or changed, UTC.")
    deleted_at: datetime | None = Field(description="In the bin since then; null: it is not.")

    @classmethod
    def of(cls, conversation: Conversation) -> Self:
        """The answer that tells *conversation*."""
        return cls.model_validate(conversation)


class MessageOut(BaseModel):
    """A message."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": examples.MESSAGE})

    id: int = Field(description="Its number.")
    parent_id: int | None = Field(description="The message it follows; null at the root.")
    role: str = Field(description="Who speaks.")
    content: str = Field(description="The text; empty for a message without any.")
    model_name: str | None = Field(description="The model that gave the answer, if it is one.")
    token_count: int | None = Field(description="Its tokens, where the upstream told them.")
    timestamp: datetime = Field(description="When it was said, UTC.")
    metadata: AnyObject = Field(description="Of the call that brought it, or yours.")
    raw: AnyObject = Field(description="The OpenAI message whole.")

    @classmethod
    def of(cls, message: Message) -> Self:
        """The answer that tells *message*."""
        return cls.model_validate(message)


class ConversationFrame(ConversationOut):
    """A conversation, and whether there are more messages than those that are told of it."""

    has_more: bool = Field(description="Whether the path has more messages.")
    next_cursor: str | None = Field(
        description="Pass it as `cursor`, here or at `/conversations/{session_id}/messages`."
    )

    @classmethod
    def with_page(cls, conversation: Conversation, page: Page[Message]) -> Self:
        """What stands around the messages of *page*, which are some of *conversation*."""
        return cls(
            **ConversationOut.of(conversation).model_dump(),
            has_more=page.has_more,
            next_cursor=page.next_cursor,
        )


class ConversationWithMessages(ConversationFrame):
    """A conversation and messages of its path."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CONVERSATION_WITH_MESSAGES})

    messages: list[MessageOut] = Field(description="A page of its path, oldest first.")


class ConversationList(ListFrame):
    """A page of conversations."""

    model_config = ConfigDict(json_schema_extra={"example": examples.CONVERSATION_LIST})

    data: list[ConversationOut] = Field(description="The conversations.")

    @classmethod
    def of(cls, page: Page[Conversation], wanted: PageRequest) -> Self:
        """The answer that tells *page*, which *wanted* asked for."""
        data = [ConversationOut.of(conversation) for conversation in page.items]
        return cls(data=data, **frame(page, wanted))


class MessageList(ListFrame):
    """A page of messages."""

    model_config = ConfigDict(json_schema_extra={"example": examples.MESSAGE_LIST})

    data: list[MessageOut] = Field(description="The messages.")


class UserOut(BaseModel):
    """A user; the counts leave out what is in the bin."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_extra={"example": examples.ONE_USER}
    )

    user_identifier: str = Field(description="What `X-User-ID` named.")
    conversations: int = Field(description="How many conversations the user has.")
    messages: int = Field(description="How many messages are in them.")
    first_seen_at: datetime = Field(description="When the oldest of them began, UTC.")
    last_active_at: datetime = Field(description="When one was last added to or changed, UTC.")

    @classmethod
    def of(cls, user: UserSummary) -> Self:
        """The answer that tells of *user*."""
        return cls.model_validate(user)


class UserList(ListFrame):
    """A page of users."""

    model_config = ConfigDict(json_schema_extra={"example": examples.USER_LIST})

    data: list[UserOut] = Field(description="The users.")

    @classmethod
    def of(cls, page: Page[UserSummary], wanted: PageRequest) -> Self:
        """The answer that tells *page*, which *wanted* asked for."""
        return cls(data=[UserOut.of(user) for user in page.items], **frame(page, wanted))


class Erased(BaseModel):
    """What was deleted for good; `calls`: lines of the call log beyond those conversations."""

    model_config = ConfigDict(json_schema_extra={"example": examples.ERASED})

    user_identifier: str = Field(description="Whose data it was.")
    conversations: int = Field(description="How many conversations, those in the bin too.")
    messages: int = Field(description="How many messages were in them.")
    calls: int = Field(description="How many other lines of the call log.")


class Cleared(BaseModel):
    """How many conversations went to the bin."""

    deleted: int = Field(description="How many.")
