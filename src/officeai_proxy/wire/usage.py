"""Bytes of a reply in, the token counts and the model that the upstream told out; keeps no content.

For calls whose content is not recorded: their reply is not parsed, and not kept.
"""

import re
from json import JSONDecoder

from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.jsontext import loads

_KEY = '"usage"'
_DECODER = JSONDecoder()
# In what somebody said, each of these quotation marks has a backslash in front.
_MODEL = re.compile(rb'"model"\s{0,9}:\s{0,9}("(?:[^"\\]|\\.){1,255}")')


def usage_in(tail: bytes) -> str | None:
    """The JSON text of the last `usage` object in *tail*, or None when there is none whole."""
    text = tail.decode("utf-8", "replace")
    at = text.rfind(_KEY)
    while at >= 0:
        start = text.find("{", at)
        if start >= 0 and text[at + len(_KEY) : start].strip() == ":":
            try:
                _, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                # JSONDecodeError is a ValueError, and so is a number with thousands of digits.
                return None
            return text[start:end]
        at = text.rfind(_KEY, 0, at)
    return None


def model_in(beginning: bytes, tail: bytes) -> str | None:
    """The model that a reply with this *beginning* and *tail* names; None when neither does.

    Most replies name it at their beginning, a list of embeddings only behind the last of them.
    """
    found = _MODEL.search(beginning)
    texts = _MODEL.findall(tail) if found is None else [found[1]]
    try:
        name = loads(texts[-1]) if texts else None
    except ValueError:
        return None
    return clean_text(name) if isinstance(name, str) else None
