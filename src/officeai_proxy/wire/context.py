"""What a session already holds and a chat request in, what to send of the first before the second
out; and the request's body with it. Nothing here reads a database, and nothing is stored.

A client without memory sends its newest message only. What goes before it are the newest messages
of the session, whole, as many as a budget allows: a tool call is sent with all of its results or
not at all, because OpenAI refuses one without the other.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from officeai_proxy.model import Json, JsonObject, Role
from officeai_proxy.wire.identity import identity, is_instruction
from officeai_proxy.wire.jsontext import dumps, dumps_readable
from officeai_proxy.wire.messages import role_of, text_of
from officeai_proxy.wire.requests import places_of

MESSAGE_TOKENS = 4
"""What a message takes beside its content (OpenAI cookbook, counting tokens)."""

# What a request may say of a message. Replies have more, such as the reasoning, which servers
# refuse or bill when it comes back to them, but for that of a turn in which tools are called:
# DeepSeek ("Thinking Mode") and Kimi refuse a request without it.
_SENT_BACK = frozenset(("role", "content", "name", "tool_calls", "tool_call_id", "function_call"))
_THOUGHT = "reasoning_content"
_ALWAYS_SAID = frozenset(("role", "content", "tool_call_id"))

_NO_ID = ""
_ASCII_PER_TOKEN = 4
_BETWEEN = ", \t\r\n"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a session may be sent again."""

    messages: int
    tokens: int


def context_of(
    path: Sequence[JsonObject],
    new: Sequence[JsonObject],
    budget: Budget,
    *,
    is_broken_off: bool = False,
) -> list[JsonObject]:
    """The messages of *path*, oldest first, that are to be sent before *new* ones.

    *is_broken_off* says that the path ends with half of an answer, whose call failed. A request
    that holds an answer of the model brings its own history, and gets nothing. One that has
    instructions of its own gets none of the stored ones.
    """
    if any(message.get("role") == Role.ASSISTANT for message in new):
        return []
    has_instructions = any(is_instruction(role_of(message)) for message in new)
    told = [
        message
        for message in _without_retried(path, new, is_broken_off=is_broken_off)
        if not (has_instructions and is_instruction(role_of(message)))
    ]
    told = [
        _sendable(message, calls_tools=calls_tools)
        for message, calls_tools in zip(told, _turns_with_tools(told), strict=True)
    ]
    return _newest([group for group in _groups(told, new) if _has_content(group[0])], budget)


def with_context(body: bytes, context: Sequence[JsonObject]) -> bytes:
    """*body* with *context* before its messages, but behind its own leading instructions.

    *body* is a JSON object with a list of messages; every other byte of it stays as it was.

    Raises:
        ValueError: there is no list of messages in it.
    """
    place = _place_of_messages(body)
    if place is None:
        raise ValueError("it has no list of messages")
    text = body[place:].decode()
    end, following = _leading_instructions(text)
    # An upstream that reads strictly would refuse half an emoji, and with it each call to come.
    added = ",".join(dumps_readable(message) for message in context)
    own = "," if end > 1 else ""
    rest = text[end:] if following is None else f",{text[following:]}"
    return body[:place] + f"{text[:end]}{own}{added}{rest}".encode()


def tokens_of(message: JsonObject) -> int:
    """About how many tokens *message* takes: four ASCII characters each, any other character one.

    It errs on the side of too many, as a budget has to.
    """
    text = dumps({name: value for name, value in message.items() if name != "role"})
    plain = sum(character.isascii() for character in text)
    return MESSAGE_TOKENS + plain // _ASCII_PER_TOKEN + len(text) - plain


def _without_retried(
    path: Sequence[JsonObject], new: Sequence[JsonObject], *, is_broken_off: bool
) -> Sequence[JsonObject]:
    """*path* without the unanswered message at its end that *new* says again.

    Half of an answer goes with it: what is asked again is to be answered from the beginning.
    """
    said = {identity(message) for message in new if not is_instruction(role_of(message))}
    asked = set[int]()
    for place in reversed(range(len(path) - is_broken_off)):
        role = role_of(path[place])
        if is_instruction(role):
            continue  # Some clients put them behind the question.
        if role == Role.ASSISTANT or identity(path[place]) not in said:
            break
        asked.add(place)
    if asked and is_broken_off:
        asked.add(len(path) - 1)
    return [message for place, message in enumerate(path) if place not in asked]


def _turns_with_tools(path: Iterable[JsonObject]) -> Iterator[bool]:
    """Of each message, whether tools are called between the users' messages around it."""
    for _, run in groupby(path, key=lambda message: role_of(message) == Role.USER):
        turn = list(run)
        yield from [any(map(_calls_in, turn))] * len(turn)


def _sendable(message: JsonObject, *, calls_tools: bool) -> JsonObject:
    """What a request may say of *message*. A refusal and what was spoken are sent as text.

    *calls_tools* says that it is of a turn in which tools are called. Replies of vLLM and others
    have an empty list of tool calls, or null, which OpenAI refuses.
    """
    sent = {
        name: value
        for name, value in message.items()
        if (name in _SENT_BACK or (calls_tools and name == _THOUGHT))
        and (name in _ALWAYS_SAID or value)
    }
    if not sent.get("content") and (text := text_of(message)):
        sent["content"] = text
    return sent


def _groups(path: Sequence[JsonObject], new: Sequence[JsonObject]) -> Iterator[list[JsonObject]]:
    """*path* in pieces that belong together: a message, or calls of tools with all their results.

    Calls whose results are neither there nor in *new* are left out, and results without a call.
    """
    brought = _results_in(new)
    at = 0
    while at < len(path):
        message, end = path[at], at + 1
        asked = _calls_in(message)
        while end < len(path) and _is_result(path[end]):
            end += 1
        results = path[at + 1 : end] if asked else []
        if _are_answered(asked, _results_in(results) + brought) and not _is_result(message):
            yield [message, *(one for one in results if _answered_by(one) in asked)]
        at = end if asked or _is_result(message) else at + 1


def _newest(groups: Sequence[list[JsonObject]], budget: Budget) -> list[JsonObject]:
    """As many groups from the end as the budget allows; leading instructions count as well."""
    kept: list[list[JsonObject]] = []
    messages, tokens = budget.messages, budget.tokens
    for group in reversed(groups):
        messages -= len(group)
        tokens -= sum(map(tokens_of, group))
        if messages < 0 or tokens < 0:
            break
        kept.append(group)
    return [message for group in reversed(kept) for message in group]


def _calls_in(message: JsonObject) -> Counter[str]:
    """How many calls in *message* have which id; a legacy function call goes by its name."""
    calls, function = message.get("tool_calls"), message.get("function_call")
    listed = calls if isinstance(calls, list) else []
    named = [_id_of(call.get("id")) for call in listed if isinstance(call, dict)]
    if isinstance(function, dict):
        named.append(_id_of(function.get("name")))
    return Counter(named)


def _results_in(messages: Sequence[JsonObject]) -> Counter[str]:
    """How many results in *messages* answer which call."""
    return Counter(_answered_by(message) for message in messages if _is_result(message))


def _answered_by(result: JsonObject) -> str:
    return _id_of(result.get("tool_call_id" if role_of(result) == Role.TOOL else "name"))


def _id_of(value: Json) -> str:
    return value if isinstance(value, str) else _NO_ID


def _are_answered(asked: Counter[str], answered: Counter[str]) -> bool:
    """Whether each call has a result; those without an id, as Gemini streams them, are counted."""
    return asked.keys() <= answered.keys() and asked[_NO_ID] <= answered[_NO_ID]


def _is_result(message: JsonObject) -> bool:
    return role_of(message) in (Role.TOOL, Role.FUNCTION)


def _has_content(message: JsonObject) -> bool:
    """Whether there is something in it; a reply that was cut off at once has nothing."""
    return bool(message.get("content") or message.get("tool_calls") or message.get("function_call"))


def _place_of_messages(body: bytes) -> int | None:
    """Where the list of messages begins; of repeated keys the last one counts."""
    places = list(places_of(body, "messages"))
    return places[-1] if places and body.startswith(b"[", places[-1]) else None


def _leading_instructions(text: str) -> tuple[int, int | None]:
    """Where the instructions end with which the list in *text* begins, and where the next message
    begins, if there is one.
    """
    decoder = json.JSONDecoder()
    end = 1
    while True:
        start = len(text) - len(text[end:].lstrip(_BETWEEN))
        if text[start] == "]":
            return end, None
        message, behind = decoder.raw_decode(text, start)
        if not (isinstance(message, dict) and is_instruction(role_of(message))):
            return end, start
        end = behind
