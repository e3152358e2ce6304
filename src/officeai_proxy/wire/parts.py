"""A message's content in, what it says out; never a view on how it is kept or compared.

The content of a chat message is a string, or a list of parts that are objects with a type (OpenAI
API reference, "Create chat completion"). Some clients put plain strings into the list, and some
servers that were asked for JSON answer with an object instead of its text.
"""

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.jsontext import dumps

# A tuple, for what stands as a type may be anything, also what cannot be hashed.
_TEXT_TYPES = ("text", "input_text", "output_text")


def text_of_piece(piece: Json) -> str | None:
    """What a piece of a streamed text says; None for what is no text.

    Cloudflare sends a piece that looks like a number, or is `true` or `false`, as the value that it
    looks like.
    """
    if isinstance(piece, str):
        return piece
    return dumps(piece) if isinstance(piece, int | float) else None


def text_of_part(part: Json) -> str | None:
    """What a text part says; None for a part that is not text."""
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in _TEXT_TYPES:
        text = part.get("text")
        return text if isinstance(text, str) else None
    return None


def refusal_of_part(part: Json) -> str | None:
    """What a refusal part says; None for any other part."""
    if isinstance(part, dict) and part.get("type") == "refusal":
        refusal = part.get("refusal")
        return refusal if isinstance(refusal, str) else None
    return None


def joined_text(content: Json) -> str:
    """The text of a string or of the text parts in a list; "" when there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join([text for part in content if (text := text_of_part(part))])
    return ""


def joined_refusal(content: Json) -> str:
    """The text of the refusal parts in a list; "" when there is none."""
    if isinstance(content, list):
        return "".join([text for part in content if (text := refusal_of_part(part))])
    return ""


def written_object(content: Json) -> str:
    """The JSON text of a content that is an object (Cloudflare's "JSON Mode" answers with one).

    "" for any other, and for an object with a type: that is a part outside of its list.
    """
    is_bare = isinstance(content, dict) and bool(content) and "type" not in content
    return dumps(content) if is_bare else ""


def transcript_of(message: JsonObject) -> str:
    """The words of a message's audio; "" when there are none."""
    audio = message.get("audio")
    transcript = audio.get("transcript") if isinstance(audio, dict) else None
    return transcript if isinstance(transcript, str) else ""
