"""Session and user names as callers give them: checked text out, or the reason why not.

Header values come as bytes (`label`), path parameters and JSON fields as text (`check_label`). A
name is never changed beyond taking away the white space around it.
"""

import re
from collections.abc import Sequence

from officeai_proxy.errors import InvalidRequest, UnprocessableInput

MAX_LENGTH = 255
"""Characters, as many as the columns of the tables take."""

# Unicode category Cc, the two line separators that are not in it, and what UTF-8 cannot carry.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def label(name: str, values: Sequence[bytes]) -> str | None:
    """The value of the header *name*, which the request carries as *values*; None when absent.

    Raises:
        InvalidRequest: it is repeated, empty, too long, or holds what no name may hold.
    """
    if not values:
        return None
    if len(values) > 1:
        raise repeated(name, len(values))
    # A tab around a value is white space, which llhttp takes away only in front of it.
    text = _decoded(name, values[0].strip(b" \t"))
    if _is_plain(text):
        return text
    fault = _fault(text)
    if fault is not None:
        raise InvalidRequest(f"{name} {fault}", param=name)
    return text.strip()


def repeated(name: str, times: int) -> InvalidRequest:
    """The error that refuses a header *name* which is there so many *times*."""
    return InvalidRequest(f"{name} is there {times} times; send it once.", param=name)


def plain_label(value: bytes | None) -> str | None:
    """What `label` gives for a header with this *value*, or without one for None.

    Raises:
        InvalidRequest: the value is not surely fine as it is; `label` decides.
    """
    if value is None:
        return None
    text = value.decode("latin-1")
    if not _is_plain(text):
        raise InvalidRequest
    return text


def check_label(name: str, text: str) -> str:
    """The path parameter or JSON field *name* without the white space around it.

    Raises:
        UnprocessableInput: it is empty, too long, or holds what no name may hold.
    """
    fault = _fault(text)
    if fault is not None:
        raise UnprocessableInput(f"{name} {fault}", param=name)
    return text.strip()


def _decoded(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{name} is not valid UTF-8; encode it so.", param=name) from exc


def _is_plain(text: str) -> bool:
    """Whether *text* is surely fine as it is: nearly every name in the world, at little cost."""
    return (
        text.isascii()
        and text.isprintable()
        and 0 < len(text) <= MAX_LENGTH
        and "/" not in text
        and text[0] != " " != text[-1]
    )


def _fault(text: str) -> str | None:
    """What is wrong with *text* and what to do, as the rest of a sentence."""
    if _UNUSABLE.search(text):
        return "holds a control character, a line separator or half a character; leave it out."
    name = text.strip()
    if not name:
        return f"is empty; give it 1 to {MAX_LENGTH} characters, or leave it out."
    if len(name) > MAX_LENGTH:
        return f"is {len(name)} characters long; at most {MAX_LENGTH} are possible."
    if "/" in name:
        return "holds a `/`, which would break addresses such as /conversations/{session_id}."
    return None
