"""Sessions as conversations of a running proxy, over its HTTP API; never opens its database."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from urllib.parse import quote
from uuid import uuid4

from typing_extensions import override

from officeai_proxy.errors import NotFound, ProxyError
from officeai_proxy.model import Json, JsonObject
from officeai_proxy.session_history.messages import Message, Session, openai_message, read_message
from officeai_proxy.session_history.requests import ProxyClient
from officeai_proxy.session_history.semantics import Key, StoredSessionHistoryService
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import text_of

PAGE = 1000
"""How many items are read in one request."""

MAX_MESSAGES = 1000
"""How many messages the proxy takes in one request."""

MAX_BYTES = 4_000_000
"""How much goes into one request of several messages, well below a proxy's usual limit."""


# They name the session in the query. In a path `search` would be the search, and `.` nothing.
ONE = "/session/history"
MESSAGES = "/api/v1/chat/history"


class HttpSessionHistoryService(StoredSessionHistoryService):
    """Sessions in the workspace of a proxy's key, which needs the scopes `read` and `write`.

    An object belongs to the event loop that first uses it.
    """

    def __init__(self, base_url: str, api_key: str, *, create_missing: bool = False) -> None:
        """Ask the proxy at *base_url*; nothing is connected before the first use.

        Args:
            base_url: such as `http://127.0.0.1:8000`, with or without `/v1`.
            api_key: a key of the proxy.
            create_missing: whether a session that never was comes into being when it is asked for.
        """
        super().__init__(create_missing=create_missing)
        self._proxy = ProxyClient(base_url, api_key)

    @override
    async def start(self) -> None:
        """Ask the proxy for something that is not there, to see that it answers.

        Nobody is named: whoever names another user to a key that is bound to one is refused.

        Raises:
            InvalidKey: the proxy does not know the key.
            NotAllowed: the key may not read.
            Unavailable: it cannot be reached, or something else answers in its place.
        """
        with suppress(NotFound):
            await self._proxy.ask("GET", f"/conversations/{uuid4()}", params={"limit": "1"})

    @override
    async def stop(self) -> None:
        """Close all connections."""
        await self._proxy.close()

    @override
    async def health(self) -> bool:
        if self._proxy.is_closed:
            return False
        try:
            await self.start()
        except ProxyError:
            return False
        return True

    @override
    async def _find(self, key: Key) -> Session | None:
        session = Session(id=key.session_id, user_id=key.user_id)
        wanted = {**_named(key), "limit": str(PAGE)}
        try:
            answer = await self._proxy.ask("GET", ONE, params=wanted)
            session.messages += _messages(answer.get("messages"))
            while isinstance(cursor := answer.get("next_cursor"), str):
                more = {**wanted, "cursor": cursor}
                answer = await self._proxy.ask("GET", MESSAGES, params=more)
                session.messages += _messages(answer.get("data"))
        except NotFound:
            return None
        return session

    @override
    async def _all_of(self, user_id: str) -> list[Session]:
        path = f"/conversations/user/{_step(user_id)}"
        ids = [one async for one in self._listed(path, {})]
        return [Session(id=one, user_id=user_id) for one in ids]

    @override
    async def _create(self, key: Key) -> Session:
        named: JsonObject = {"session_id": key.session_id, "user_identifier": key.user_id}
        await self._proxy.ask("POST", "/conversations/", body=named)
        return Session(id=key.session_id, user_id=key.user_id)

    @override
    async def _add(self, key: Key, messages: Sequence[Message]) -> None:
        posted: list[Json] = [_posted(openai_message(message)) for message in messages]
        whose = {"user_identifier": key.user_id}
        path = f"/conversations/{_step(key.session_id)}/messages"
        await self._proxy.ask("POST", path, params=whose, body=posted)

    @override
    async def _remove(self, key: Key) -> None:
        try:
            await self._proxy.ask("DELETE", MESSAGES, params=_named(key))
        except NotFound:
            return

    @override
    async def _is_deleted(self, key: Key) -> bool:
        binned = {"user_identifier": key.user_id, "deleted": "only"}
        async for session_id in self._listed("/conversations", binned):
            if session_id == key.session_id:
                return True
        return False

    @override
    def _portions(self, messages: list[Message]) -> Iterator[list[Message]]:
        portion: list[Message] = []
        size = 0
        for message in messages:
            weight = len(jsontext.dumps(openai_message(message)))
            if portion and (len(portion) == MAX_MESSAGES or size + weight > MAX_BYTES):
                yield portion
                portion, size = [], 0
            portion.append(message)
            size += weight
        if portion:
            yield portion

    async def _listed(self, path: str, filters: dict[str, str]) -> AsyncIterator[str]:
        """The session ids of a list, page by page."""
        wanted = {**filters, "limit": str(PAGE)}
        while True:
            answer = await self._proxy.ask("GET", path, params=wanted)
            for one in _objects(answer.get("data")):
                yield str(one["session_id"])
            cursor = answer.get("next_cursor")
            if not isinstance(cursor, str):
                return
            wanted["cursor"] = cursor


def _named(key: Key) -> dict[str, str]:
    return {"session_id": key.session_id, "user_identifier": key.user_id}


def _step(name: str) -> str:
    """*name* as a step of a path; one of dots alone would be taken out of it (RFC 3986, 5.2.4)."""
    step = quote(name, safe="")
    return step if step.strip(".") else step.replace(".", "%2E")


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _messages(value: Json) -> list[Message]:
    return [
        read_message(raw, role=str(one.get("role")))
        for one in _objects(value)
        if isinstance(raw := one.get("raw"), dict)
    ]


def _posted(raw: JsonObject) -> Json:
    """A message as the proxy takes it; whole beside its text when role and content are not all."""
    content = raw.get("content")
    if raw.keys() == {"role", "content"} and isinstance(content, list) and content:
        return raw
    return {"role": raw["role"], "content": text_of(raw), "raw": raw}
