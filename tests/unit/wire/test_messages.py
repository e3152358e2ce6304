"""What is stored of a message, and that nothing of it is lost."""

import json
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json, JsonObject, NewMessage, Outcome
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.identity import identity
from officeai_proxy.wire.messages import (
    RequestMessages,
    extra_of,
    new_messages,
    rebuild,
    reply_message,
    role_of,
    split_of_any,
    text_of,
)
from officeai_proxy.wire.replies import Choice

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IMAGE: Final[JsonObject] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=10)
KEYS = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "refusal",
        "audio",
        "transcript",
        "$",
        "without",
        "whole",
        "x",
    ]
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=8,
)
PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, ANY_TEXT | st.integers(0, 5)),
        st.builds(lambda text: {"type": "refusal", "refusal": text}, ANY_TEXT | st.integers(0, 5)),
        st.just(IMAGE),
        ANY_TEXT,
        JSON_VALUES,
    ),
    max_size=4,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "a role that is far too long", "\0"])
        | JSON_VALUES,
        "content": ANY_TEXT | PARTS | JSON_VALUES,
        "refusal": ANY_TEXT | JSON_VALUES,
        "audio": st.fixed_dictionaries({"transcript": ANY_TEXT}) | JSON_VALUES,
        "$": JSON_VALUES,
        "name": JSON_VALUES,
    },
)


def stored_and_back(message: JsonObject) -> JsonObject:
    """*message* through the three columns."""
    return rebuild(role_of(message), clean_text(text_of(message)), extra_of(message))


@given(MESSAGES)
@settings(deadline=None, max_examples=500)
def test_every_message_comes_back_whole(message: JsonObject) -> None:
    """Nulls, absent fields, odd roles, long integers and lone surrogates all survive."""
    assert json.dumps(stored_and_back(message), sort_keys=True) == json.dumps(
        message, sort_keys=True
    )


@given(MESSAGES)
@settings(deadline=None)
def test_what_is_stored_fits_into_any_database(message: JsonObject) -> None:
    """No column holds a NUL or a lone surrogate, and the role is short."""
    [new] = new_messages([message], timestamp=NOW, model_name="m")
    assert len(new.role) <= 16
    for column in (new.role, new.content, new.extra or ""):
        assert "\0" not in column
        column.encode()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, ""),
        ({"content": None}, ""),
        ({"content": 5}, ""),
        ({"content": {"type": "text", "text": "x"}}, ""),
        ({"content": {}}, ""),
        ({"content": {"name": "Emily", "age": 32}}, '{"name":"Emily","age":32}'),
        ({"content": []}, ""),
        ({"content": [IMAGE]}, ""),
        ({"content": ""}, ""),
        ({"content": "a", "refusal": "no"}, "a"),
        ({"content": [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [{"type": "input_text", "text": "a"}, "b"]}, "ab"),
        ({"content": [{"type": "refusal", "refusal": "no"}], "refusal": "x"}, "no"),
        ({"content": None, "refusal": "no", "audio": {"transcript": "t"}}, "no"),
        ({"content": "", "refusal": "no"}, "no"),
        ({"content": None, "audio": {"id": "1", "transcript": "t"}}, "t"),
    ],
)
def test_the_text_of_a_message_is_what_it_says(message: JsonObject, words: str) -> None:
    """Content first, then a refusal, then the words of its audio, else nothing."""
    assert text_of(message) == words


@pytest.mark.parametrize(
    ("message", "role"),
    [
        ({}, ""),
        ({"role": None}, ""),
        ({"role": 5}, ""),
        ({"role": "user"}, "user"),
        ({"role": "x" * 20}, "x" * 16),
        ({"role": "a\0"}, "a␀"),
    ],
)
def test_the_role_of_a_message_is_short_text(message: JsonObject, role: str) -> None:
    """A missing role is empty, a long one is cut; the message keeps what it had."""
    assert role_of(message) == role
    assert stored_and_back(message) == message


@pytest.mark.parametrize(
    ("message", "extra"),
    [
        ({"role": "user", "content": "a"}, None),
        ({"role": "user", "content": ""}, None),
        ({"role": "user", "content": "a", "name": None}, {"name": None}),
        ({"role": "assistant", "content": None}, {"content": None}),
        ({"role": "assistant"}, {"$": {"without": ["content"]}}),
        ({"content": "a"}, {"$": {"without": ["role"]}}),
        ({"role": 5, "content": "a"}, {"role": 5}),
        (
            {"role": "user", "content": [{"type": "text", "text": "hello"}, IMAGE, "you"]},
            {"content": [{"type": "text", "text": 5}, IMAGE, 3], "$": {"text": "parts"}},
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"content": [{"type": "refusal", "refusal": 2}], "$": {"text": "refusals"}},
        ),
        (
            {"role": "assistant", "content": None, "refusal": "never"},
            {"content": None, "refusal": 5, "$": {"text": "refusal"}},
        ),
        (
            {"role": "assistant", "content": "", "refusal": "never"},
            {"content": "", "refusal": 5, "$": {"text": "refusal"}},
        ),
        (
            {"role": "assistant", "audio": {"id": "1", "transcript": "hey"}},
            {"audio": {"id": "1", "transcript": 3}, "$": {"text": "audio", "without": ["content"]}},
        ),
        (
            {"role": "user", "content": "a", "$": 1},
            {"$": {"whole": {"role": "user", "content": "a", "$": 1}}},
        ),
    ],
)
def test_no_text_is_stored_twice(message: JsonObject, extra: Json) -> None:
    """What follows from role and text is left out; a length stands where a text was cut."""
    text = extra_of(message)
    assert (None if text is None else json.loads(text)) == extra
    assert stored_and_back(message) == message


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "a\0b"},
        {"role": "user", "content": [{"type": "text", "text": "a\ud800"}]},
        {"role": "assistant", "content": None, "refusal": "\0"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": 1}]},
        {"role": "user", "content": ["a", 1]},
    ],
)
def test_a_text_that_cannot_be_cut_out_again_is_kept_whole(message: JsonObject) -> None:
    """When cleaning changed the text, or a number stands in its place, the original is kept."""
    assert json.loads(extra_of(message) or "")["content"] == message["content"]
    assert stored_and_back(message) == message


@pytest.mark.parametrize("extra", ["", "{", "[]", "5", '{"$":{"text":"nowhere"}}'])
def test_a_broken_extra_is_a_value_error(extra: str) -> None:
    """What `extra_of` never wrote is refused."""
    with pytest.raises(ValueError, match=r".+"):
        rebuild("user", "a", extra)


@pytest.mark.parametrize("extra", ['{"$":5}', '{"$":{"without":5}}', '{"$":{"whole":5}}'])
def test_a_strange_mark_is_passed_over(extra: str) -> None:
    """A mark that says nothing leaves role and content."""
    assert rebuild("user", "a", extra) == {"role": "user", "content": "a"}


def test_the_messages_of_a_request_are_ready_to_store() -> None:
    """Each with role, clean text, identity, time and the model asked for."""
    messages: list[JsonObject] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "a\0"},
    ]
    assert new_messages([], timestamp=NOW, model_name=None) == []
    assert new_messages(messages, timestamp=NOW, model_name="m\0") == [
        NewMessage(
            role="system",
            content="be brief",
            identity=identity(messages[0]),
            timestamp=NOW,
            model_name="m␀",
        ),
        NewMessage(
            role="user",
            content="a␀",
            identity=identity(messages[1]),
            timestamp=NOW,
            extra=r'{"content":"a\u0000"}',
            model_name="m␀",
        ),
    ]


@pytest.mark.parametrize("role", [{}, {"role": None}, {"role": ""}])
def test_the_message_of_a_reply_is_ready_to_store(role: JsonObject) -> None:
    """With tokens, reason and outcome; one that names no role is the assistant's."""
    new = reply_message(
        Choice(1, role | {"content": "Hi"}, "length"),
        timestamp=NOW,
        model_name=None,
        token_count=7,
        outcome=Outcome.CLIENT_CLOSED,
    )
    assert new == NewMessage(
        role="assistant",
        content="Hi",
        identity=identity({"role": "assistant", "content": "Hi"}),
        timestamp=NOW,
        token_count=7,
        finish_reason="length",
        outcome=Outcome.CLIENT_CLOSED,
    )


@given(MESSAGES)
@settings(deadline=None, max_examples=300)
def test_the_shortcut_for_usual_messages_gives_what_the_rules_give(message: JsonObject) -> None:
    """Most messages need no rules; what is stored of them is what the rules would store."""
    [new] = new_messages([message], timestamp=NOW, model_name=None)

    assert (new.content, new.extra) == split_of_any(message)
    assert (new.content, new.extra) == (clean_text(text_of(message)), extra_of(message))


@given(st.lists(MESSAGES, max_size=4))
@settings(deadline=None)
def test_the_messages_of_a_request_are_the_same_one_by_one(messages: list[JsonObject]) -> None:
    """Roles and identities are there for all, and each message when it is asked for."""
    request = RequestMessages(messages, timestamp=NOW, model_name="m\0")
    expected = new_messages(messages, timestamp=NOW, model_name="m\0")

    assert list(request) == request[:] == expected
    assert [message.role for message in expected] == request.roles
    assert [message.identity for message in expected] == request.identities
    assert len(request) == len(messages)
    assert request[-1:] == expected[-1:]
