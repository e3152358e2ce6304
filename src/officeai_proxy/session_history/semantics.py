"""Calls of the service in, the few steps that a store must know out; knows no store itself.

What a blank id, an unknown session or a deleted one means is decided here, once for all stores.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4
from weakref import WeakValueDictionary

from typing_extensions import override

from officeai_proxy.auth.labels import MAX_LENGTH, check_label
from officeai_proxy.errors import Conflict, NotFound, UnprocessableInput
from officeai_proxy.session_history.messages import Message, Session, as_messages
from officeai_proxy.session_history.service import SessionHistoryService


@dataclass(frozen=True, slots=True)
class Key:
    """Which session is meant: ids are the users' own, so that one alone names nothing."""

    user_id: str
    session_id: str

    def not_found(self) -> NotFound:
        """The error that there is no such session."""
        return NotFound(
            f"The user {self.user_id!r} has no session {self.session_id!r}; create it first."
        )


class StoredSessionHistoryService(SessionHistoryService):
    """The semantics of all services, over a store that a subclass knows."""

    def __init__(self, *, create_missing: bool) -> None:
        """Begin with nobody at work.

        Args:
            create_missing: whether a session that never was comes into being when it is asked for.
        """
        self._create_missing = create_missing
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    @override
    async def create_session(self, user_id: str, session_id: str | None = None) -> Session:
        key = _key(user_id, session_id)
        async with self._turn(key):
            return await self._find(key) or await self._created(key)

    @override
    async def get_session(self, user_id: str, session_id: str) -> Session | None:
        key = _key(user_id, session_id)
        found = await self._find(key)
        if found is not None or not self._create_missing:
            return found
        async with self._turn(key):
            return None if await self._is_deleted(key) else await self._created(key)

    @override
    async def list_sessions(self, user_id: str) -> list[Session]:
        return await self._all_of(check_label("user_id", _text("user_id", user_id)))

    @override
    async def append_message(self, session: Session, message: object) -> None:
        key = _key(session.user_id, session.id)
        # Taking turns keeps the order in which one program's appends to a session were called.
        async with self._turn(key):
            for messages in self._portions(as_messages(message)):
                await self._append(key, messages)
                session.messages.extend(messages)

    @override
    async def delete_session(self, user_id: str, session_id: str) -> None:
        user, session = _text("user_id", user_id), _text("session_id", session_id)
        try:
            key = _key(user, session)
        except UnprocessableInput:
            # Under a name that nothing can have there is nothing.
            return
        async with self._turn(key):
            await self._remove(key)

    @abstractmethod
    async def _find(self, key: Key) -> Session | None:
        """The whole session."""

    @abstractmethod
    async def _all_of(self, user_id: str) -> list[Session]:
        """A user's sessions, newest activity first, without messages."""

    @abstractmethod
    async def _create(self, key: Key) -> Session:
        """Add an empty session.

        Raises:
            Conflict: it is there already.
        """

    @abstractmethod
    async def _add(self, key: Key, messages: Sequence[Message]) -> None:
        """Add messages to the end of a session, all or none.

        Raises:
            NotFound: it is not there.
        """

    @abstractmethod
    async def _remove(self, key: Key) -> None:
        """Delete a session, if it is there."""

    @abstractmethod
    async def _is_deleted(self, key: Key) -> bool:
        """Whether a session that is not there was there and was deleted."""

    def _portions(self, messages: list[Message]) -> Iterator[list[Message]]:
        """*messages* as a store takes them: what is in one list is added all or not at all."""
        if messages:
            yield messages

    def _turn(self, key: Key) -> asyncio.Lock:
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn

    async def _created(self, key: Key) -> Session:
        try:
            return await self._create(key)
        except Conflict:
            # Another program was quicker; its session is the one that was wanted.
            found = await self._find(key)
            if found is None:
                raise
            return found

    async def _append(self, key: Key, messages: Sequence[Message]) -> None:
        try:
            await self._add(key, messages)
        except NotFound:
            if not self._create_missing or await self._is_deleted(key):
                raise
            await self._created(key)
            await self._add(key, messages)


def _key(user_id: str, session_id: str | None) -> Key:
    session = _text("session_id", session_id)
    return Key(
        check_label("user_id", _text("user_id", user_id)),
        check_label("session_id", session) if session.strip() else str(uuid4()),
    )


def _text(name: str, value: object) -> str:
    """*value*, which is no text where nobody checks types; a session may be left out."""
    if value is None and name == "session_id":
        return ""
    if not isinstance(value, str):
        raise UnprocessableInput(
            f"{name} is a text of 1 to {MAX_LENGTH} characters, not {type(value).__name__}.",
            param=name,
        )
    return value
