"""A reply or a part of one in, the error that it tells of out, in any form that servers use."""

from collections.abc import Iterable
from dataclasses import dataclass

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.cleantext import clean_or_none, clean_text
from officeai_proxy.wire.jsontext import dumps

_FAILED = frozenset({"error", "network_error", "insufficient_system_resource"})
"""Why an answer ended that was not to end: words of OpenRouter, Zhipu and DeepSeek."""


@dataclass(frozen=True, slots=True)
class ReplyError:
    """What the upstream said went wrong; `code` is text also where the server sent a number."""

    message: str
    type: str | None
    code: str | None


def error_in(holder: JsonObject) -> ReplyError | None:
    """The error that a reply or a chunk tells of, in any of the forms that servers use."""
    error = holder.get("error")
    if isinstance(error, dict) and error:
        return _error_of(error, error)
    if error:
        # xAI puts a code beside a plain text.
        return _error_of({"message": error}, holder)
    if told := _error_beside_choices(holder):
        return told
    if "choices" in holder:
        return None
    if holder.get("detail"):
        return _error_of({"message": holder["detail"]}, holder)
    if holder.get("error_code"):
        # FastChat's and Baidu's form.
        said = holder.get("error_msg") or holder.get("text") or holder.get("message")
        return _error_of({"message": said or holder}, {"code": holder["error_code"]})
    if isinstance(first := _first_of(holder.get("errors")), dict):
        return _error_of(first, first)
    # SiliconFlow, Zhipu and others have no object around it.
    said = holder.get("message") or holder.get("msg")
    is_said = bool(said) and isinstance(said, str)
    is_error = is_said or holder.get("object") == "error"
    return _error_of({**holder, "message": said}, holder) if is_error else None


def _first_of(errors: Json) -> Json:
    """The first of Cloudflare's errors, or the one that ModelScope has under the same name."""
    return errors[0] if errors and isinstance(errors, list) else errors


def error_of_choice(items: Json) -> ReplyError | None:
    """What one of a reply's choices tells of an error, where OpenRouter has it."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("error"):
            return error_in(item)
    return None


def failed_end(reasons: Iterable[str | None]) -> ReplyError | None:
    """The error that there must have been where an answer ended for a reason that is none."""
    for reason in reasons:
        if reason in _FAILED:
            return ReplyError("The upstream gave the answer up.", None, reason)
    return None


def _error_beside_choices(holder: JsonObject) -> ReplyError | None:
    """MiniMax's form: its status is 200, `choices` is null, and zero says that all went well."""
    told = holder.get("base_resp")
    if not isinstance(told, dict) or not told.get("status_code"):
        return None
    return _error_of({"message": told.get("status_msg")}, {"code": told["status_code"]})


def _error_of(error: JsonObject, names: JsonObject) -> ReplyError:
    message = error.get("message") or error.get("detail") or error
    text = message if isinstance(message, str) else dumps(message)
    return ReplyError(clean_text(text), clean_or_none(names.get("type")), _code(names.get("code")))


def _code(value: Json) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return clean_or_none(value)
