"""Sessions in nested dictionaries; they end with the program, and never leave it."""

from collections.abc import Sequence

from typing_extensions import override

from officeai_proxy.errors import Conflict
from officeai_proxy.session_history.messages import Message, Session
from officeai_proxy.session_history.semantics import Key, StoredSessionHistoryService


class InMemorySessionHistoryService(StoredSessionHistoryService):
    """For tests and for agents that need no memory beyond their own life."""

    def __init__(self, *, create_missing: bool = True) -> None:
        """Begin empty; starting is optional.

        Args:
            create_missing: whether a session that never was comes into being when it is asked for.
        """
        super().__init__(create_missing=create_missing)
        # The sessions of each user, the one with the newest activity last.
        self._sessions: dict[str, dict[str, Session]] = {}
        self._deleted: set[Key] = set()
        self._is_stopped = False

    @override
    async def start(self) -> None:
        """Be healthy again after a stop."""
        self._is_stopped = False

    @override
    async def stop(self) -> None:
        """Stop; what is in memory stays there as long as this object does."""
        self._is_stopped = True

    @override
    async def health(self) -> bool:
        return not self._is_stopped

    @override
    async def _find(self, key: Key) -> Session | None:
        kept = self._kept(key)
        return None if kept is None else kept.model_copy(deep=True)

    @override
    async def _all_of(self, user_id: str) -> list[Session]:
        newest_first = reversed(self._used().get(user_id, {}).values())
        return [Session(id=one.id, user_id=one.user_id) for one in newest_first]

    @override
    async def _create(self, key: Key) -> Session:
        if self._kept(key) is not None:
            raise Conflict
        session = Session(id=key.session_id, user_id=key.user_id)
        self._used().setdefault(key.user_id, {})[key.session_id] = session
        self._deleted.discard(key)
        return session.model_copy(deep=True)

    @override
    async def _add(self, key: Key, messages: Sequence[Message]) -> None:
        kept = self._kept(key)
        if kept is None:
            raise key.not_found()
        kept.messages.extend(message.model_copy(deep=True) for message in messages)
        of_user = self._used()[key.user_id]
        of_user[key.session_id] = of_user.pop(key.session_id)

    @override
    async def _remove(self, key: Key) -> None:
        if self._used().get(key.user_id, {}).pop(key.session_id, None) is not None:
            self._deleted.add(key)

    @override
    async def _is_deleted(self, key: Key) -> bool:
        return key in self._deleted

    def _used(self) -> dict[str, dict[str, Session]]:
        """All sessions; whoever uses them after a stop starts again, as with every service."""
        self._is_stopped = False
        return self._sessions

    def _kept(self, key: Key) -> Session | None:
        return self._used().get(key.user_id, {}).get(key.session_id)
