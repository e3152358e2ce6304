"""The body of a form in, the model that it asks for out; never changes more than a name.

Recordings, pictures and films come to the models as forms. What cannot be understood is left out,
for whether a strange form is served is the upstream's decision.
"""

import re
from collections.abc import Iterator

from officeai_proxy.wire.requests import ChatRequest

FORM = "multipart/form-data"
"""The media type of forms with files (RFC 7578)."""

MOST_PARTS = 100
"""How many parts of a form are looked at. OpenAI's largest have some thirty; a body can have
millions, which would hold up everybody else."""

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FIELD = re.compile(
    rb'^content-disposition:\s*form-data\s*;\s*name="?(model|stream)"?\s*$',
    re.IGNORECASE | re.MULTILINE,
)
_END_OF_HEAD = b"\r\n\r\n"


def read_form(body: bytes, *, content_type: str) -> ChatRequest:
    """What the form in *body* asks for; *content_type* is its header as it was sent."""
    values = {name: body[start:end] for name, start, end in _fields(body, content_type)}
    try:
        model = values[b"model"].decode() if b"model" in values else None
    except UnicodeDecodeError:
        model = None
    return ChatRequest(model, values.get(b"stream") == b"true", ())


def replace_form_model(body: bytes, *, content_type: str, asked: str, sent: str) -> bytes:
    """*body* with the model name *sent* in place of *asked*, every other byte as it was.

    Should the form name the model several times, each *asked* is replaced, for servers differ in
    which one they take.
    """
    pieces: list[bytes] = []
    place = 0
    for name, start, end in _fields(body, content_type):
        if name == b"model" and body[start:end] == asked.encode():
            pieces += (body[place:start], sent.encode())
            place = end
    return b"".join((*pieces, body[place:]))


def _fields(body: bytes, content_type: str) -> Iterator[tuple[bytes, int, int]]:
    """The fields of a form that are read here: the name, and from where to where its value is."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1")
    if not body.startswith(delimiter):
        return
    begin = len(delimiter)
    for _ in range(MOST_PARTS):
        end = body.find(b"\r\n" + delimiter, begin)
        if end < 0:
            return
        head_end = body.find(_END_OF_HEAD, begin, end + 2)
        if head_end >= 0 and (field := _FIELD.search(body[begin:head_end].replace(b"\r\n", b"\n"))):
            yield field[1].lower(), min(head_end + len(_END_OF_HEAD), end), end
        begin = end + 2 + len(delimiter)
