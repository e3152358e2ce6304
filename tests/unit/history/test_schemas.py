"""What the conversation routes take: limits to the byte, and nothing read as something else."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from officeai_proxy.history.schemas import (
    MAX_METADATA,
    ConversationChange,
    NewConversation,
    PostedMessage,
    PostedMessages,
)

POSTED: TypeAdapter[Any] = TypeAdapter(PostedMessages)


def test_metadata_is_measured_as_json():
    """Metadata may be as large as said, in bytes of JSON, and not a byte larger."""
    frame = len('{"a":""}')
    largest = {"a": "é" * ((MAX_METADATA - frame) // 2)}

    assert NewConversation.model_validate({"metadata": largest}).metadata == largest
    with pytest.raises(ValidationError, match="at most 65536 bytes"):
        NewConversation.model_validate({"metadata": {"a": largest["a"] + "b"}})


@pytest.mark.parametrize("value", [1, "a", [], True])
def test_metadata_is_an_object(value: Any):
    """Only a JSON object is metadata; null is none."""
    assert not NewConversation.model_validate({"metadata": None}).metadata
    with pytest.raises(ValidationError):
        NewConversation.model_validate({"metadata": value})


def test_a_change_says_something():
    """A change of nothing is refused; null means unchanged."""
    for nothing in ({}, {"title": None}, {"metadata": None}):
        with pytest.raises(ValidationError, match="Give a `title`"):
            ConversationChange.model_validate(nothing)

    change = ConversationChange.model_validate({"title": " new ", "metadata": None})
    assert (change.title, change.metadata) == ("new", None)


def test_a_fault_in_a_list_is_found_at_its_place():
    """The place of a fault tells which message of a list is meant."""
    with pytest.raises(ValidationError) as caught:
        POSTED.validate_python([{"role": "user", "content": "a"}, {"role": "user"}])

    assert caught.value.errors()[0]["loc"] == ("<list>", 1, "content")


def test_tokens_are_counted_up_to_what_databases_hold():
    """The largest count that fits is taken."""
    message = {"role": "user", "content": "", "token_count": 2**63 - 1}

    assert PostedMessage.model_validate(message).token_count == 2**63 - 1


def test_one_and_several_are_told_apart():
    """An object is one message, a list is several."""
    one = {"role": "user", "content": "a"}

    assert isinstance(POSTED.validate_python(one), PostedMessage)
    assert len(POSTED.validate_python([one, one])) == 2
