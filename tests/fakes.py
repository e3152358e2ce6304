"""One fake for each interface that the project's own code defines; no mocks."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from tests.factories import an_exchange

from officeai_proxy.model import CallRecord, Exchange, NewMessage, Outcome
from officeai_proxy.recording.writer import LoggedCall, SessionName
from officeai_proxy.tree import Node, PathEnd, Thread


class StoreAway(Exception):
    """The store cannot be reached; it will pass."""


class BadRow(Exception):
    """The store will never take this."""


@dataclass
class KeptConversation:
    """A conversation as the in-memory store keeps it."""

    thread: Thread
    nodes: list[Node] = field(default_factory=list)
    messages: dict[Node, NewMessage] = field(default_factory=dict)

    def path(self) -> list[NewMessage]:
        leaf = self.thread.end.leaf
        return [self.messages[node] for node in leaf.path()] if leaf else []


class InMemoryExchangeStore:
    """An ExchangeStore that forgets everything with the process; it can fail on demand."""

    def __init__(self) -> None:
        self.conversations: list[KeptConversation] = []
        self.calls: dict[UUID, CallRecord] = {}
        self.transactions = 0
        self.away_for = 0
        self.refused_words: set[str] = set()
        self.trees_read = 0
        self.buried: dict[UUID, datetime] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["InMemoryTransaction"]:
        self.transactions += 1
        if self.away_for:
            self.away_for -= 1
            raise StoreAway
        yield InMemoryTransaction(self)

    def only(self) -> KeptConversation:
        (conversation,) = self.conversations
        return conversation


class InMemoryTransaction:
    """Reads copies and writes at the end, as a database does."""

    def __init__(self, store: InMemoryExchangeStore) -> None:
        self._store = store
        self._originals: dict[Thread, KeptConversation] = {}

    async def already_stored(self, exchange_ids: Sequence[UUID]) -> Collection[UUID]:
        return [one for one in exchange_ids if one in self._store.calls]

    async def buried(self, ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        return {one: at for one, at in self._store.buried.items() if one in ids}

    async def threads(self, names: Collection[SessionName]) -> list[Thread]:
        found = []
        for kept in self._store.conversations:
            known = kept.thread
            if SessionName(known.workspace, known.session) in names:
                thread = Thread(
                    id=known.id,
                    workspace=known.workspace,
                    user=known.user,
                    session=known.session,
                    title=known.title,
                    created_at=known.created_at,
                    updated_at=known.updated_at,
                    message_count=len(kept.nodes),
                    path_count=len(kept.path()),
                    end=PathEnd(known.end.leaf, known.end.chain, known.end.instructions),
                )
                self._originals[thread] = kept
                found.append(thread)
        return found

    async def path_end(self, thread: Thread, count: int) -> list[Node]:
        kept = self._originals.get(thread)
        leaf = kept.thread.end.leaf if kept else None
        return leaf.path()[-count:] if leaf else []

    async def tree(self, thread: Thread) -> list[Node]:
        self._store.trees_read += 1
        kept = self._originals.get(thread)
        return list(kept.nodes) if kept else []

    async def save(self, threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> None:
        for thread in threads:
            for addition in thread.additions:
                if self._store.refused_words & set(addition.message.content.split()):
                    raise BadRow(addition.message.content)
        for thread in threads:
            kept = self._originals.get(thread)
            if kept is None:
                thread.id = len(self._store.conversations) + 1
                kept = KeptConversation(thread)
                self._store.conversations.append(kept)
            kept.thread = thread
            for addition in thread.additions:
                kept.nodes.append(addition.node)
                kept.messages[addition.node] = addition.message
            thread.additions = []
        self._store.calls.update({call.call.exchange_id: call.call for call in calls})


@dataclass(eq=False)
class FakeCall:
    """A call that goes on: pieces come, one by one."""

    exchange: Exchange = field(
        default_factory=lambda: replace(an_exchange(), outcome=Outcome.INTERRUPTED, reply=b"")
    )
    pieces: list[bytes] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return self.exchange.id

    @property
    def came(self) -> int:
        return len(self.pieces)

    def so_far(self, since: int) -> Exchange:
        return replace(self.exchange, reply=b"".join(self.pieces[since:]))

    def says(self, text: bytes) -> "FakeCall":
        self.pieces.append(text)
        return self
