"""A message in, a number that tells equal messages out; never depends on process or version.

Clients resend what was said before, and seldom byte for byte: fields come and go, a string becomes
a list of parts, arguments are written anew. Two messages are the same when role, text, other parts,
tool calls, `tool_call_id` and `name` are the same. What a model thinks before it answers is no part
of that, wherever it stands: many models write it into the answer, and most clients cut it out of
what they send back. Half an emoji is U+FFFD, as in every answer and export: whoever sends back what
was read there says the same.

The numbers are stored. A change of anything here makes every stored conversation look different
from what its client resends, so that it would be stored a second time: what is hashed may never
change, down to the set of white space. The tests pin values.
"""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from struct import Struct

from officeai_proxy.model import Json, JsonObject, Role
from officeai_proxy.wire.cleantext import without_halves
from officeai_proxy.wire.jsontext import loads, without_half_escapes
from officeai_proxy.wire.parts import joined_refusal, joined_text, refusal_of_part, text_of_part

ROOT_CHAIN = 0
"""The chain of a path without messages."""

# Unicode's White_Space, written out: Python's own set belongs to its version.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
INSTRUCTIONS = frozenset({Role.SYSTEM.value, Role.DEVELOPER.value})
"""The roles of what is said to the model and stands outside the talk."""

_ANSWERS = Role.ASSISTANT.value
# As Qwen, DeepSeek and others write it where nobody takes it out for them. The template of some has
# the first mark, and the answer only the second.
_THINKING, _THOUGHT = "<think>", "</think>"

# Parts in which Mistral's models and those of Databricks think. A tuple, as types may be anything.
_THOUGHTS = ("thinking", "reasoning")

_ITS_OWN_NAMES = frozenset({_ANSWERS, "MiniMax AI", "MM智能助理"})
"""What servers call the assistant in each answer: some of Hugging Face's providers, and MiniMax."""

LONG = 256 * 1024
"""Characters of a text that are hashed at one time."""

_PLAIN_FIELDS = 2
# What counts of a message that says something, beside its role and its text.
_COUNTING = frozenset({"tool_calls", "function_call", "tool_call_id", "name"})
# Marks for the upstream's cache, which clients move from part to part as a talk goes on.
_CACHE_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
# Copies of it are made in half the time that a new one takes.
_NOTHING = blake2b(digest_size=8)
_NUMBER = Struct(">q")
_TWO_NUMBERS = Struct(">qq")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def identity(message: JsonObject) -> int:
    """The identity of *message*, a signed 64-bit number."""
    role, content = message.get("role"), message.get("content")
    if type(role) is str and type(content) is str:
        text = content.strip(_WHITE_SPACE)
        if len(message) == _PLAIN_FIELDS or (text and _COUNTING.isdisjoint(message)):
            return _hash_of(role, _spoken(role, text) or text, "")
    return identity_of_any(message)


def identities_of(messages: Iterable[JsonObject]) -> list[int]:
    """The identity of each of *messages*.

    A request may hold thousands, nearly all of which are known and plain: what `identity` does with
    those stands here once more, without a call for each step.
    """
    numbers: list[int] = []
    begin, unpack = _NOTHING.copy, _NUMBER.unpack
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if len(message) == _PLAIN_FIELDS and type(role) is str and type(content) is str:
            text = content.strip(_WHITE_SPACE)
            if role == _ANSWERS and _THOUGHT in text:
                text = _spoken(role, text) or text
            if len(text) > LONG:
                numbers.append(_hash_of_long(role, text, ""))
                continue
            framed = f"{len(role)}:{role}{len(text)}:{text}"
            state = begin()
            try:
                state.update(framed.encode())
            except UnicodeEncodeError:
                state.update(_bytes_of(framed))
            numbers += unpack(state.digest())
        else:
            numbers.append(identity(message))
    return numbers


def identity_of_any(message: JsonObject) -> int:
    """What `identity` gives, by the rules for every message and without a shortcut."""
    role, content = message.get("role"), message.get("content")
    text = joined_text(content).strip(_WHITE_SPACE) or _refusal_of(message)
    spoken = _spoken(role, text)
    others = _others_of(message, has_text=bool(spoken))
    rest = without_half_escapes(_CANONICAL.encode(_canonical(others))) if others else ""
    # Where there is nothing else, what was thought is all that there is.
    said = spoken if others else spoken or text
    return _hash_of(role if isinstance(role, str) else "", said, rest)


def chain(previous: int, identity: int) -> int:
    """The chain of a path that ended in chain *previous* and goes on with *identity*."""
    return _number_of(_TWO_NUMBERS.pack(previous, identity))


def chains(identities: Iterable[int], start: int = ROOT_CHAIN) -> Iterator[int]:
    """The chain of a path after each of *identities*, which go on from the chain *start*."""
    reached = start
    begin, pack, unpack = _NOTHING.copy, _TWO_NUMBERS.pack, _NUMBER.unpack
    for number in identities:
        state = begin()
        state.update(pack(reached, number))
        (reached,) = unpack(state.digest())
        yield reached


def is_instruction(role: str) -> bool:
    """Whether *role* is that of a system or developer message."""
    return role in INSTRUCTIONS


def _spoken(role: Json, text: str) -> str:
    """*text* without what a model thought before it; empty where it only thought."""
    if role != _ANSWERS or _THOUGHT not in text:
        return text
    thought, _, answer = text.partition(_THOUGHT)
    # An answer that speaks of the marks is none that begins with a thought.
    begins = thought.startswith(_THINKING) or _THINKING not in thought
    return answer.lstrip(_WHITE_SPACE) if begins else text


def _hash_of(role: str, text: str, rest: str) -> int:
    # The lengths keep role, text and rest apart, whatever characters they hold.
    if len(text) > LONG:
        return _hash_of_long(role, text, rest)
    framed = f"{len(role)}:{role}{len(text)}:{text}{rest}"
    return _number_of(_bytes_of(framed))


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_halves(text).encode()


def _number_of(data: bytes) -> int:
    state = _NOTHING.copy()
    state.update(data)
    number: int = _NUMBER.unpack(state.digest())[0]
    return number


def _hash_of_long(role: str, text: str, rest: str) -> int:
    """The same piece by piece, so that a text of many megabytes is not copied twice."""
    state = _NOTHING.copy()
    state.update(_bytes_of(f"{len(role)}:{role}{len(text)}:"))
    for at in range(0, len(text), LONG):
        state.update(_bytes_of(text[at : at + LONG]))
    state.update(rest.encode())
    number: int = _NUMBER.unpack(state.digest())[0]
    return number


def _name_of(message: JsonObject) -> Json:
    """Who speaks, where somebody gave a name.

    A name that the server puts into all of its answers is none: OpenAI's answers have no such
    field, so that most clients do not send it back.
    """
    name = message.get("name")
    is_the_servers = message.get("role") == _ANSWERS and isinstance(name, str)
    return None if is_the_servers and name in _ITS_OWN_NAMES else name


def _refusal_of(message: JsonObject) -> str:
    refusal = message.get("refusal")
    text = joined_refusal(message.get("content")) or (refusal if isinstance(refusal, str) else "")
    return text.strip(_WHITE_SPACE)


def _others_of(message: JsonObject, *, has_text: bool) -> JsonObject:
    """What counts beside role and text; a key is absent when the message has nothing of it."""
    others: JsonObject = {
        "parts": _other_parts(message.get("content")),
        "tool_calls": _tool_calls_of(message.get("tool_calls")),
        "function_call": _function_of(message.get("function_call")),
        "tool_call_id": message.get("tool_call_id"),
        "name": _name_of(message),
    }
    audio = message.get("audio")
    if not has_text and not others["parts"] and isinstance(audio, dict):
        others["audio"] = audio.get("id")
    return {key: value for key, value in others.items() if value not in (None, "", [])}


def _other_parts(content: Json) -> list[Json]:
    """The parts that are neither text, nor a refusal, nor a model's thinking, in order."""
    if content is None or isinstance(content, str):
        return []
    return [
        {key: value for key, value in part.items() if key not in _CACHE_MARKS}
        if isinstance(part, dict)
        else part
        for part in (content if isinstance(content, list) else [content])
        if not _is_said_otherwise(part)
    ]


def _is_said_otherwise(part: Json) -> bool:
    if text_of_part(part) is not None or refusal_of_part(part) is not None:
        return True
    return isinstance(part, dict) and part.get("type") in _THOUGHTS


def _tool_calls_of(calls: Json) -> Json:
    return [_tool_call_of(call) for call in calls] if isinstance(calls, list) else calls


def _tool_call_of(call: Json) -> Json:
    if not isinstance(call, dict):
        return call
    default = "custom" if "custom" in call else "function"
    kind = call.get("type") or default
    if kind not in ("function", "custom"):
        return call
    return [kind, call.get("id") or None, _function_of(call.get(kind))]


def _function_of(function: Json) -> Json:
    """Name and arguments of a call; a custom tool's `input` is text and compared as such."""
    if not isinstance(function, dict):
        return function
    name = function.get("name")
    if "input" in function:
        return [name, "input", function["input"]]
    return [name, *_arguments_of(function.get("arguments"))]


def _arguments_of(arguments: Json) -> list[Json]:
    """Arguments as the value that their JSON text means, or as text when it is none.

    A call without arguments comes as "", as null or as an empty object, and is one and the same.
    """
    if not isinstance(arguments, str):
        return ["value", {} if arguments is None else arguments]
    try:
        return ["value", loads(arguments) if arguments.strip(_WHITE_SPACE) else {}]
    except ValueError:
        return ["text", arguments]


def _canonical(value: Json) -> Json:
    """*value* with equal numbers written alike: JavaScript writes 1.0 as 1."""
    if isinstance(value, dict):
        return {key: _canonical(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
