"""The body of an error reply in, the upstream's word for the error out; never what it says of it.

For calls whose content is not recorded: the message of an error may quote what was asked.
"""

import re

from officeai_proxy.wire.encoding import UndecodableBody, decoded
from officeai_proxy.wire.replies import read_reply

_LIMIT = 65536
_LONGEST = 64

# A key or a name of somebody would have longer numbers, spaces or signs in it.
_PLAIN = re.compile(r"(?:[A-Za-z]{1,32}|[0-9]{1,5})(?:[_.-](?:[A-Za-z]{1,32}|[0-9]{1,5}))*+")


def error_word_in(body: bytes, *, content_type: str, content_encoding: str) -> str | None:
    """The error's code, or else its type, if that is a short plain word; None when there is none.

    *body* is the whole reply, `content_encoding` its `Content-Encoding`.
    """
    try:
        text = decoded(body, encoding=content_encoding, limit=_LIMIT)
    except UndecodableBody:
        return None
    error = read_reply(text, content_type=content_type, content_encoding="", limit=_LIMIT).error
    if error is None:
        return None
    for word in (error.code, error.type):
        if word and len(word) <= _LONGEST and _PLAIN.fullmatch(word):
            return word
    return None
