"""A call's body in, what it asks for and what goes to the upstream in its place out."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from officeai_proxy.errors import (
    BodyTooLarge,
    InvalidJson,
    InvalidRequest,
    RequestRefused,
    UnsupportedEncoding,
)
from officeai_proxy.proxy.headers import RequestHeaders, value_of
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.encoding import TooLarge, UnknownEncoding
from officeai_proxy.wire.forms import FORM, read_form, replace_form_model
from officeai_proxy.wire.requests import ChatRequest, read_request, replace_model

NOTHING_SAID = ChatRequest(None, False, ())

_TAKE_FORMS = (b"/v1/audio/", b"/v1/images/", b"/v1/videos")
"""Where a form names a model. Forms for other addresses are files to keep, which may be large."""


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class Body:
    """A call's body on its way to the upstream, and what it says, as far as it was read."""

    outgoing: bytes | AsyncIterator[bytes] | None
    chat: ChatRequest
    model_sent: str | None


def is_form(headers: RequestHeaders, path: bytes) -> bool:
    """Whether a body for *path* is a form that may name a model."""
    return FORM in headers.content_type and path.startswith(_TAKE_FORMS)


class BodyReader:
    """Reads bodies, and puts the upstream's names for models into them."""

    def __init__(self, aliases: Mapping[str, str], *, limit: int) -> None:
        """*limit* is the largest unpacked body in bytes."""
        self._aliases = aliases
        self._limit = limit

    def read(
        self, body: bytes | None, headers: RequestHeaders, *, path: bytes, is_chat: bool
    ) -> Body:
        """What a body says and how it goes on; only a chat has to be readable, others just pass.

        Raises:
            RequestRefused: it is a chat that cannot be read, or names no model that could be.
        """
        if body is not None and (is_chat or "json" in headers.content_type):
            return self._json(body, headers.content_encoding, is_chat=is_chat)
        if body is not None and is_form(headers, path):
            # As it was sent: large letters of a boundary are not small ones.
            return self._form(body, value_of(headers.forwarded, b"content-type"))
        return Body(body, NOTHING_SAID, None)

    def _json(self, body: bytes, encoding: str, *, is_chat: bool) -> Body:
        try:
            asked = read_request(body, encoding=encoding, limit=self._limit)
        except ValueError as exc:
            if not is_chat:
                return Body(body, NOTHING_SAID, None)
            raise _unusable(exc) from exc
        sent = self._sent(asked.model)
        if asked.model is None or sent is None or sent == asked.model:
            return Body(body, asked, sent)
        if encoding not in ("", "identity"):
            raise InvalidRequest(
                f"The model name {asked.model!r} stands for another one, which cannot be put into "
                "a compressed body. Send the body uncompressed.",
                param="model",
            )
        return Body(replace_model(body, asked=asked.model, sent=sent), asked, sent)

    def _form(self, body: bytes, content_type: str) -> Body:
        asked = read_form(body, content_type=content_type)
        sent = self._sent(asked.model)
        if asked.model is None or sent is None or sent == asked.model:
            return Body(body, asked, sent)
        named = replace_form_model(body, content_type=content_type, asked=asked.model, sent=sent)
        return Body(named, asked, sent)

    def _sent(self, asked: str | None) -> str | None:
        """The upstream's name for the model *asked*."""
        if asked is not None and clean_text(asked) != asked:
            raise InvalidRequest(
                "The model's name holds a character that no name has.", param="model"
            )
        return self._aliases.get(asked or "", asked)


def _unusable(fault: ValueError) -> RequestRefused:
    """The error that tells what is wrong with the body of a chat."""
    told = f"The request body cannot be used: {fault}"
    if isinstance(fault, TooLarge):
        return BodyTooLarge(f"{told}. Send a smaller one.")
    if isinstance(fault, UnknownEncoding):
        return UnsupportedEncoding(told)
    return InvalidJson(told)
