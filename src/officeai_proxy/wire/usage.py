"""The last bytes of a reply in, the token counts that the upstream put there out; keeps no content.

For calls whose content is not recorded: their reply is not parsed, and not kept.
"""

from json import JSONDecoder

_KEY = b'"usage"'
_DECODER = JSONDecoder()


def usage_in(tail: bytes) -> str | None:
    """The JSON text of the last `usage` object in *tail*, or None when there is none whole."""
    text = tail.decode("utf-8", "replace")
    at = text.rfind('"usage"')
    while at >= 0:
        start = text.find("{", at)
        if start >= 0 and text[at + len(_KEY) : start].strip() == ":":
            try:
                _, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                # JSONDecodeError is a ValueError, and so is a number with thousands of digits.
                return None
            return text[start:end]
        at = text.rfind('"usage"', 0, at)
    return None
