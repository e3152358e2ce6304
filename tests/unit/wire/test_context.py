"""What is sent of a session before a new message, and the body that it is put into."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.wire.context import Budget, context_of, tokens_of, with_context

PLENTY = Budget(messages=1000, tokens=1_000_000)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def calls(*ids: str) -> dict[str, Any]:
    made = [
        {"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": f"result of {id_}"}


SYSTEM = {"role": "system", "content": "Be brief."}
TALK = [SYSTEM, user("one"), answer("1"), user("two"), answer("2")]


def test_the_newest_messages_come_oldest_first():
    """A number of messages is that of the newest ones."""
    assert context_of(TALK, [user("three")], Budget(3, 1000)) == TALK[2:]
    assert context_of(TALK, [user("three")], PLENTY) == TALK
    assert context_of(TALK, [user("three")], Budget(0, 1000)) == []


def test_a_request_with_its_own_history_gets_nothing():
    """Whoever resends an answer has a memory."""
    assert context_of(TALK, [user("one"), answer("1"), user("two")], PLENTY) == []


def test_instructions_of_the_request_take_the_place_of_the_stored_ones():
    """Nobody is told two different things at once."""
    own = {"role": "developer", "content": "Be long."}
    assert context_of(TALK, [own, user("three")], PLENTY) == TALK[1:]


def test_a_question_without_answer_is_not_asked_twice():
    """The call of before failed, and the client tries again."""
    path = [*TALK, user("three")]
    assert context_of(path, [user("three ")], PLENTY) == TALK
    assert context_of(path, [user("four")], PLENTY) == path


def test_a_retry_with_instructions_behind_the_question_asks_once():
    """Wherever a client puts its instructions, the question before it is the one that failed."""
    path = [user("one"), answer("1"), user("two"), SYSTEM]

    assert context_of(path, [user("two"), SYSTEM], PLENTY) == path[:2]
    assert context_of(path, [user("two")], PLENTY) == [*path[:2], SYSTEM]
    assert context_of(path, [user("three")], PLENTY) == path


def test_a_retry_after_half_an_answer_asks_once():
    """It is stored as one question with one answer, and that is what the model is to see."""
    path = [*TALK, user("three"), answer("3 is")]

    assert context_of(path, [user("three")], PLENTY, is_broken_off=True) == TALK
    assert context_of(path, [user("go on")], PLENTY, is_broken_off=True) == path
    assert context_of(path, [user("three")], PLENTY) == path


def test_what_was_refused_or_spoken_is_sent_as_text():
    """A model that does not see that it refused is asked as if it had not heard."""
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    spoken = {"role": "assistant", "content": None, "audio": {"id": "a1", "transcript": "Yes."}}

    sent = context_of([user("one"), refused, user("two"), spoken], [user("three")], PLENTY)

    assert sent == [user("one"), answer("No."), user("two"), answer("Yes.")]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_call_of_tools_is_sent_with_all_its_results_or_not(count: int):
    """A budget that ends between them leaves the whole group out."""
    path = [user("look"), calls("a", "b"), result("a"), result("b"), answer("done")]
    expected = path[1:] if count == 4 else path[4:]
    assert context_of(path, [user("and?")], Budget(count, 1000)) == expected


def test_results_that_the_request_brings_belong_to_the_call():
    """A client without memory may send nothing but what its tool said."""
    path = [user("look"), calls("a", "b"), result("a")]
    assert context_of(path, [result("b")], PLENTY) == path


def test_half_a_group_is_left_out():
    """Calls whose results never came, and results without their call, would be refused."""
    path = [user("look"), calls("a", "b"), result("a"), user("hm"), answer("ok"), result("z")]
    assert context_of(path, [user("and?")], PLENTY) == [path[0], path[3], path[4]]


@pytest.mark.parametrize("blank", [None, "", 0])
def test_calls_without_an_id_have_as_many_results(blank: Any):
    """Gemini streams calls whose id is empty; one that nobody answered would be refused."""
    one, two = calls(blank), calls(blank, blank)
    ended = result("") | {"tool_call_id": blank}
    assert context_of([user("look"), one, ended], [user("and?")], PLENTY)[1:] == [one, ended]
    assert context_of([user("look"), one, user("hm")], [user("and?")], PLENTY)[1:] == [user("hm")]
    assert context_of([user("look"), two, ended], [user("and?")], PLENTY)[1:] == []
    other = ended | {"content": "the other"}
    assert context_of([user("look"), two, ended], [other], PLENTY)[1:] == [two, ended]


def test_replies_lose_what_requests_do_not_have():
    """Reasoning, refusals and annotations are not sent back."""
    path = [user("hi"), answer("ho", refusal=None, annotations=[], reasoning_content="hm")]
    assert context_of(path, [user("and?")], PLENTY) == [user("hi"), answer("ho")]


def test_what_was_thought_while_tools_were_called_is_sent_back():
    """DeepSeek and Kimi refuse a request that lacks it, and want no other thoughts."""
    thinking = {"reasoning_content": "hm", "reasoning": "hm"}
    plain = [user("hi"), answer("ho", **thinking)]
    turn = [user("look"), calls("a") | thinking, result("a"), answer("done", **thinking)]
    kept = {"reasoning_content": "hm"}
    sent = context_of([*plain, *turn, *plain], [user("and?")], PLENTY)
    ours = [user("look"), calls("a") | kept, result("a"), answer("done", **kept)]
    assert sent == [user("hi"), answer("ho"), *ours, user("hi"), answer("ho")]
    assert context_of(turn[:2], [result("a")], PLENTY) == ours[:2]


@pytest.mark.parametrize("nothing", [None, []])
def test_calls_that_are_none_are_not_sent_back(nothing: object) -> None:
    """Replies of vLLM and others say so, and OpenAI refuses an empty list and null."""
    path = [user("hi"), answer("ho", tool_calls=nothing, function_call=None, name=None)]
    assert context_of(path, [user("and?")], PLENTY) == [user("hi"), answer("ho")]


def test_a_reply_without_a_word_is_left_out():
    """It was cut off at once; servers refuse it."""
    assert context_of([user("hi"), answer("")], [user("?")], PLENTY) == [user("hi")]


def test_tokens_are_bounded():
    """The first message that is too much ends it."""
    path = [user("甲" * 50), user("乙" * 50), user("丙" * 10)]
    assert tokens_of(path[0]) >= 50
    assert context_of(path, [user("x")], Budget(10, 100)) == path[1:]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", '[{"role":"user","content":"x"}]'),
        (
            '[ {"role":"user","content":"n"} ]',
            '[{"role":"user","content":"x"},{"role":"user","content":"n"} ]',
        ),
        (
            '[{"role":"system","content":"]"} , {"role":"user","content":"n"}]',
            '[{"role":"system","content":"]"},{"role":"user","content":"x"},'
            '{"role":"user","content":"n"}]',
        ),
        (
            '[{"role":"system","content":"s"}]',
            '[{"role":"system","content":"s"},{"role":"user","content":"x"}]',
        ),
    ],
)
def test_the_rest_of_the_body_stays_as_it_was(before: str, after: str):
    """Only the list of messages grows, behind the request's own instructions."""
    frame = '{ "seed": 123456789012345678901, "a": {"messages": [1]}, "messages" : %s, "n":1.0}'
    made = with_context((frame % before).encode(), [user("x")])
    assert made.decode() == frame % after


def test_half_an_emoji_goes_as_the_sign_for_it():
    """What is stored of it would be refused by an upstream that reads strictly."""
    made = with_context(b'{"messages":[{"role":"user","content":"n"}]}', [user("cut \ud83d")])

    assert json.loads(made)["messages"] == [user("cut \ufffd"), user("n")]


@pytest.mark.parametrize("body", [b"{}", b'{"messages": 3}', b'{"messages": [], "messages": null}'])
def test_a_body_without_messages_is_refused(body: bytes):
    """There is nowhere to put them."""
    with pytest.raises(ValueError, match="no list"):
        with_context(body, [user("x")])


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "tool"]), "content": st.text()}
    )
)


@given(MESSAGES, MESSAGES.filter(bool), st.sampled_from([None, 2]), st.booleans())
def test_it_is_as_if_the_list_was_written_so(
    own: list[dict[str, str]], added: list[dict[str, str]], indent: int | None, ascii_: bool
):
    """However it is written: the leading instructions come first, then ours, then the rest."""
    body = json.dumps({"messages": own, "x": "messages"}, indent=indent, ensure_ascii=ascii_)
    made = json.loads(with_context(body.encode("utf-8", "surrogatepass"), added))
    lead = next((n for n, m in enumerate(own) if m["role"] != "system"), len(own))
    assert made == {"messages": own[:lead] + added + own[lead:], "x": "messages"}
