"""Any text in, text that every database can hold out; never shorter or longer than before."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """*text* with NUL shown as ␀ (U+2400) and lone surrogates replaced by U+FFFD.

    PostgreSQL's TEXT can hold neither, and UTF-8 has no form for the second.
    """
    if text.isascii():
        return text.replace("\0", "\u2400")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "\u2400")
