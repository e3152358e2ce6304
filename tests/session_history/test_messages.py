"""Messages to OpenAI messages and back: nothing is lost, whatever stands in them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.session_history.messages import (
    Content,
    Message,
    Session,
    TextContent,
    as_messages,
    openai_message,
    read_message,
)

TEXTS = st.text(st.characters(), max_size=8)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TEXT_PARTS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS})
OTHER_PARTS = st.dictionaries(NAMES, VALUES, max_size=3).map(
    lambda fields: {**fields, "type": "image_url"}
)
MESSAGES = st.builds(
    lambda fields, content, role: {**fields, "role": role, **content},
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.just({})
    | st.just({"content": None})
    | st.lists(TEXT_PARTS | OTHER_PARTS, max_size=3).map(lambda parts: {"content": parts}),
    st.sampled_from(["user", "assistant", "tool", "system"]),
)


@given(MESSAGES)
def test_whatever_is_appended_comes_back(message: dict[str, Any]) -> None:
    """An OpenAI message with a list of parts is stored as it was, and read as it was appended."""
    [appended] = as_messages(message)

    assert openai_message(appended) == message
    assert read_message(openai_message(appended), role=appended.role) == appended
    assert as_messages([appended]) == [appended]


@given(VALUES, VALUES)
def test_whatever_was_recorded_can_be_read(content: Any, role: Any) -> None:
    """A recorded message with any content and any role, also a senseless one, is readable."""
    message = read_message({"role": role, "content": content}, role="")

    assert message.role == ""
    assert message.content is None or isinstance(message.content, list)
    message.model_dump()


class ForeignPart(BaseModel):
    """A part of another library."""

    kind: str = "file"
    id: UUID = UUID(int=1)


class Foreign(BaseModel):
    """A message of another library, with values that JSON does not have."""

    role: str = "user"
    content: list[ForeignPart] = [ForeignPart()]
    created: datetime = datetime(2026, 1, 31, tzinfo=UTC)


def test_values_of_other_libraries_become_json() -> None:
    """Dates and UUIDs in another library's message are kept as pydantic writes them in JSON."""
    [message] = as_messages(Foreign())

    assert openai_message(message) == {
        "role": "user",
        "content": [{"kind": "file", "id": str(UUID(int=1))}],
        "created": "2026-01-31T00:00:00Z",
    }


def test_names_that_no_model_can_have() -> None:
    """A field whose name holds half an emoji is kept under a name that can be had."""
    odd: dict[str, Any] = {"role": "user", "content": [{"type": "t", "a\ud83d": 1}], "b\ud83d": 2}
    told = {"role": "user", "content": [{"type": "t", "a\ufffd": 1}], "b\ufffd": 2}

    assert openai_message(read_message(odd, role="user")) == told
    assert [openai_message(message) for message in as_messages(odd)] == [told]


def test_a_foreign_part_in_our_message() -> None:
    """Our message takes another library's parts, and a text in place of a list."""
    message = Message.model_validate({"role": "user", "content": [ForeignPart(), "words"]})
    assert message.content

    assert isinstance(message.content[0], Content)
    assert message.content[1] == TextContent(text="words")
    assert Message.model_validate({"role": "user", "content": "words"}).content == [
        TextContent(text="words")
    ]


def test_too_deep_is_refused() -> None:
    """A message that no JSON reader of ours would take back is refused before it is kept."""
    for depth in (300, 30_000):
        deep: Any = []
        for _ in range(depth):
            deep = [deep]
        with pytest.raises(UnprocessableInput, match=r"messages\[0\]"):
            as_messages({"role": "user", "content": None, "deep": deep})


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"content": "x"}, "it has no role"),
        ({"role": None}, "`role`: Input should be a text"),
        ({"role": "robot"}, "its role 'robot' is none of system, developer, user"),
        ("hello", "it has no fields"),
        ({"role": "user", "content": object()}, "object"),
    ],
)
def test_what_is_wrong_is_one_line(wrong: object, fault: str) -> None:
    """Whoever gives what is no message reads what is wrong, and no other library's words."""
    with pytest.raises(UnprocessableInput) as caught:
        as_messages(wrong)

    assert caught.value.message.startswith("messages[0] is no message: ")
    assert fault in caught.value.message
    for foreign in ("\n", "pydantic", "http", "Field required"):
        assert foreign not in caught.value.message


def test_models_refuse_what_they_cannot_be() -> None:
    """A role or a text that is none is refused where it is given."""
    for wrong in ({"role": 1}, {}):
        with pytest.raises(ValidationError):
            Message.model_validate(wrong)
    with pytest.raises(ValidationError):
        TextContent.model_validate({"type": "text", "text": None})
    assert Session(id="s", user_id="u").messages == []
