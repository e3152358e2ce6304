"""The body of an upstream's reply in, its choices, usage and error out.

A reply is read for the record only. What a server sent is kept as far as it can be understood, and
a body that is damaged beyond that gives a reply without choices. Only one that nobody here can
unpack is an error: it is whole, and somebody else may read it.
"""

import re
from codecs import getincrementaldecoder
from dataclasses import dataclass

from officeai_proxy.model import Json, JsonObject, Usage
from officeai_proxy.wire.assemble import REFERENCES
from officeai_proxy.wire.cleantext import clean_or_none
from officeai_proxy.wire.encoding import UndecodableBody, UnknownEncoding, decoded
from officeai_proxy.wire.failures import ReplyError, error_in, error_of_choice, failed_end
from officeai_proxy.wire.jsontext import loads
from officeai_proxy.wire.loosejson import loads_loosely
from officeai_proxy.wire.sse import BOM
from officeai_proxy.wire.streams import check_values, read_stream

MOST_VALUES = 2 * 1024 * 1024
"""Values in one event or one JSON text of a body that was packed, as far as can be told."""

_MAX_COUNT = 2**53  # Beyond it a count is garbage, and would not fit into a database's integer.
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+[{\[]")
_DONE_BEHIND = re.compile(rb"data:\s*+\[DONE\]\s*+\Z")
_STREAM_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:data|event|id|retry|error)?:")


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class Choice:
    """One answer: the OpenAI message object as a client would have got it in one piece."""

    index: int
    message: JsonObject
    finish_reason: str | None


@dataclass(slots=True)
class Reply:
    """What an upstream answered. `finished` says that nothing of it is missing."""

    choices: tuple[Choice, ...]
    usage: Usage
    model: str | None
    error: ReplyError | None
    finished: bool


def read_reply(
    body: bytes, *, content_type: str, content_encoding: str, limit: int, most_choices: int = 2
) -> Reply:
    """The reply in *body*, whole or cut off, an event stream or JSON.

    *most_choices* is how many were asked for. *limit* is the largest unpacked body in bytes; one
    that was packed may hold MOST_VALUES besides, for a kilobyte can unpack to values that take
    gigabytes. Beside a reply that was cut off, or ended in an error, stands what of its choices
    had arrived.

    Raises:
        UnknownEncoding: its content encoding is not read here.
    """
    try:
        unpacked = decoded(
            body, encoding=content_encoding, limit=limit, partial=True, by_packages=True
        )
        most_values = None if unpacked is body else MOST_VALUES
        if _is_stream(unpacked, content_type):
            return _read_stream(unpacked, most_choices, most_values=most_values)
        return _read_json(unpacked, most_values=most_values)
    except UnknownEncoding:
        raise
    except UndecodableBody as exc:
        return _failed(ReplyError(str(exc), None, "undecodable_body"))


def read_usage(usage: Json) -> Usage:
    """The counts in a `usage` object; None for each that is missing or no number of tokens.

    `/v1/responses` says input and output where chats say prompt and completion. Kimi counts cached
    tokens beside the prompt's, SGLang and Perplexity reasoning beside the reply's, and DeepSeek has
    a name of its own.
    """
    if not isinstance(usage, dict):
        return Usage()
    get = usage.get
    of_prompt = get("prompt_tokens_details", get("input_tokens_details"))
    of_reply = get("completion_tokens_details", get("output_tokens_details"))
    cached = _detail(of_prompt, "cached_tokens")
    if cached is None:
        cached = _count(get("prompt_cache_hit_tokens", get("cached_tokens")))
    thought = _detail(of_reply, "reasoning_tokens")
    if thought is None:
        thought = _count(get("reasoning_tokens"))
    heard, spoken = _detail(of_prompt, "audio_tokens"), _detail(of_reply, "audio_tokens")
    return Usage(
        _count(get("prompt_tokens", get("input_tokens"))),
        _count(get("completion_tokens", get("output_tokens"))),
        _count(get("total_tokens")),
        cached,
        thought,
        None if heard is spoken is None else (heard or 0) + (spoken or 0),
    )


def _detail(details: Json, name: str) -> int | None:
    return _count(details.get(name)) if details and isinstance(details, dict) else None


def _is_stream(body: bytes, content_type: str) -> bool:
    """Whether *body* is an event stream: some come as JSON, and some JSON as an event stream."""
    if "event-stream" in content_type.lower():
        return _JSON_START.match(body) is None
    return _STREAM_START.match(body) is not None


def _read_stream(body: bytes, most_choices: int, *, most_values: int | None) -> Reply:
    stream, is_done = read_stream(body, most_values=most_values)
    if most_choices <= 1:
        stream.join_choices()
    choices = tuple(
        Choice(choice.index, stream.message(choice), clean_or_none(choice.finish_reason))
        for choice in stream.choices
    )
    has_ended = bool(choices) and all(choice.finish_reason for choice in choices)
    # Beside an answer that has ended it is something else, which nobody here knows.
    failure = stream.failure or (None if has_ended else stream.without_choices)
    error = None if failure is None else error_in(failure)
    # The end of a stream that says nothing is one; that of one that nobody here can read is none.
    is_read = bool(choices) or stream.without_choices is None
    return Reply(
        choices,
        usage=read_usage(stream.usage),
        model=clean_or_none(stream.model),
        error=error or failed_end(choice.finish_reason for choice in choices),
        finished=not stream.is_damaged and ((is_done and is_read) or has_ended),
    )


def _read_json(body: bytes, *, most_values: int | None) -> Reply:
    check_values(body, most_values)
    try:
        value, is_whole = _value_of(_without_done(body.removeprefix(BOM)))
    except ValueError:
        return _failed(None)
    if isinstance(value, list) and value:
        # Gemini's compatible endpoint wraps its errors into a list.
        value = value[0]
    if not isinstance(value, dict):
        return _failed(None)
    items = value.get("choices")
    # They are kept with the message, as those of a stream are.
    found: JsonObject = {key: value[key] for key in REFERENCES if value.get(key)}
    choices = [
        Choice(_index_of(item, place), found | message, clean_or_none(item.get("finish_reason")))
        for place, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and (message := _message_in(item, is_whole=is_whole)) is not None
    ]
    choices.sort(key=lambda choice: choice.index)  # As those of a stream are.
    model, error = clean_or_none(value.get("model")), error_in(value) or error_of_choice(items)
    is_finished = is_whole and bool(choices)
    usage = read_usage(_usage_in(value))
    return Reply(
        tuple(choices),
        usage,
        model,
        error or failed_end(choice.finish_reason for choice in choices),
        finished=is_finished,
    )


def _message_in(item: JsonObject, *, is_whole: bool) -> JsonObject | None:
    """The message of one choice; an empty one where there is only a reason why it ended.

    Azure's content filter takes the message out of a JSON reply, and leaves one without words in a
    stream: the answer ended either way, and says why. A chunk as a whole body has a delta, and a
    server that serves all by one handler the text of a completion.
    """
    message = item.get("message")
    if isinstance(message, dict):
        return message
    if message is None and isinstance(delta := item.get("delta"), dict):
        return {"role": "assistant", **delta}
    if message is None and isinstance(text := item.get("text"), str):
        return {"role": "assistant", "content": text}
    has_ended = (
        is_whole and message is None and clean_or_none(item.get("finish_reason")) is not None
    )
    if not has_ended or "text" in item:
        return None
    return {"role": "assistant", "content": None}


def _without_done(body: bytes) -> bytes:
    """*body* without the end of a stream, which 9router puts behind JSON, too."""
    at = body.rfind(b"data:", -64)
    return body[:at] if at > 0 and _DONE_BEHIND.match(body, at) else body


def _value_of(body: bytes) -> tuple[Json, bool]:
    """What *body* means as JSON, and whether it is whole.

    Raises:
        ValueError: it does not begin like JSON.
    """
    try:
        return loads(body), True
    except ValueError:
        # A character whose last bytes are missing is left out.
        return loads_loosely(getincrementaldecoder("utf-8")("replace").decode(body))


def _failed(error: ReplyError | None) -> Reply:
    return Reply((), Usage(), None, error, finished=False)


def _index_of(item: JsonObject, place: int) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else place


def _usage_in(reply: JsonObject) -> Json:
    groq = reply.get("x_groq")
    return reply.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)


def _count(value: Json) -> int | None:
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= _MAX_COUNT else None
