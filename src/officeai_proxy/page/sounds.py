"""Sound that a message carries in, an address that a browser can play out.

As with pictures, what is played is in the message itself: sound of another host would tell that
host who reads this.
"""

import re

from officeai_proxy.formats.writing.blocks import Block

_ADDRESS = re.compile(r"data:audio/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/]+={0,2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_KINDS = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
}
"""The media types of what OpenAI and others call formats."""

_BEGINNINGS = (
    (re.compile("UklGR"), "audio/wav"),
    (re.compile("SUQz|//[I-Po-v]"), "audio/mpeg"),
    (re.compile("ZkxhQ"), "audio/flac"),
    (re.compile("T2dnU"), "audio/ogg"),
)
"""How files of sound begin, in base64: a reply does not say which format it has."""


def address_of(block: Block) -> str | None:
    """Where the sound of *block* is; None if it is none that a browser could play, as raw PCM."""
    if _ADDRESS.fullmatch(block.text):
        return block.text
    kind = _KINDS.get(block.text.lower()) or next(
        (kind for beginning, kind in _BEGINNINGS if beginning.match(block.data)), None
    )
    if kind is None or not _BASE64.fullmatch(block.data):
        return None
    return f"data:{kind};base64,{block.data}"
