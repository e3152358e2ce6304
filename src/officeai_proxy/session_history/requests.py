"""Requests to a running proxy in, answers or our own errors out; never repeats a request by itself.

A request that broke off may have been served, so only who asked can know whether to ask again.
"""

import re
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from officeai_proxy.errors import (
    BodyTooLarge,
    ConfigurationError,
    Conflict,
    InvalidKey,
    NotAllowed,
    NotFound,
    ProxyError,
    Unavailable,
    UnprocessableInput,
)
from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire import jsontext

CONNECTIONS = 8
"""How many requests are under way at once; others wait for their turn."""

ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 10.0

_KEY = re.compile("[!-~]+")
"""What a header can carry as a key; a key that was read from a file may have its line's end."""

_KINDS = (BodyTooLarge, Conflict, InvalidKey, NotAllowed, NotFound, UnprocessableInput)


class ProxyClient:
    """The routes of one proxy, asked with one key."""

    def __init__(self, base_url: str, api_key: str) -> None:
        """Ask the proxy at *base_url*, with or without `/v1`; nothing is connected yet.

        Raises:
            ConfigurationError: *base_url* is not an http or https URL.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                "The base URL of the proxy must begin with http:// or https:// and a host."
            )
        self._root = base_url.rstrip("/").removesuffix("/v1")
        self._key = api_key
        self._client: httpx.AsyncClient | None = None
        self.is_closed = False

    async def ask(
        self, method: str, path: str, *, params: dict[str, str] | None = None, body: Json = None
    ) -> JsonObject:
        """The JSON object that the proxy answers; an empty one when it answers nothing.

        Raises:
            InvalidKey: the key is none that can be sent, or the proxy does not know it.
            ProxyError: of the kind that the proxy's answer tells.
            Unavailable: it cannot be reached, or something else answers in its place.
        """
        content = None if body is None else jsontext.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = await self._opened().request(
                method, path, params=params, content=content, headers=headers
            )
        except httpx.HTTPError as exc:
            raise Unavailable(
                f"The proxy at {self._root} cannot be reached ({type(exc).__name__}: {exc}); "
                "see whether it runs, and try again."
            ) from exc
        return self._read(answer)

    async def close(self) -> None:
        """Close all connections; the next request opens some again."""
        self.is_closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        # The HTTP library's own error would show the key, and say that the proxy is away.
        if not _KEY.fullmatch(self._key):
            raise InvalidKey(
                "The key is empty, or holds a blank, the end of a line or another character that "
                "no key has; give it as the proxy printed it."
            )
        self.is_closed = False
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._root,
                headers={"Authorization": f"Bearer {self._key}"},
                limits=httpx.Limits(max_connections=CONNECTIONS),
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None),
            )
        return self._client

    def _read(self, answer: httpx.Response) -> JsonObject:
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return {}
        try:
            value = jsontext.loads(answer.content)
        except ValueError:
            value = None
        if answer.is_success and isinstance(value, list):
            return {"data": value}
        if answer.is_success and isinstance(value, dict):
            return value
        raise self._error(answer.status_code, value)

    def _error(self, status: int, value: Json) -> ProxyError:
        error = value.get("error") if isinstance(value, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        if not isinstance(error, dict) or not isinstance(message, str):
            return Unavailable(
                f"What answers at {self._root} is not this proxy (status {status}); "
                "check the base URL."
            )
        code, param = error.get("code"), error.get("param")
        kinds = [kind for kind in _KINDS if kind.status == status]
        if status == HTTPStatus.NOT_FOUND and code != NotFound.code:
            kinds = []
        kind = kinds[0] if kinds else Unavailable
        return kind(message, param=param if isinstance(param, str) else None)
