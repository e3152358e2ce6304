"""Turns in, one transaction out: finds each turn's conversation, merges it, hands all to the store.

What the store must be able to do is written down here as protocols; which database it is, and how
it locks, is the store's own business.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from officeai_proxy.burials import graves_of
from officeai_proxy.model import FAILED, CallRecord, NewMessage, Role
from officeai_proxy.recording.merge.given_names import Nameless
from officeai_proxy.recording.merge.instructions import instructions_in, needs_more, with_last
from officeai_proxy.recording.merge.place import Place, Request, Seen, place_at_end, place_by_run
from officeai_proxy.recording.turns import Turn
from officeai_proxy.tree import Addition, Node, PathEnd, Thread
from officeai_proxy.wire.identity import INSTRUCTIONS
from officeai_proxy.wire.messages import RequestMessages
from officeai_proxy.wire.titles import title_of

NEAR, FARTHER, FAR = 8, 64, 2048
"""How many more messages than the request's, or than twice as many, are looked at one after the
other, before the whole tree is.
"""


class SessionName(NamedTuple):
    """What a session is called, and in which workspace; several users may have one of it."""

    workspace: str
    session: str


# Not frozen, as in `model`: one is made for every call.
@dataclass(slots=True)
class LoggedCall:
    """A line for the call log, and the conversation it belongs to if it is recorded."""

    call: CallRecord
    thread: Thread | None


class ExchangeTransaction(Protocol):
    """What merging a batch needs of a transaction."""

    async def already_stored(self, exchange_ids: Sequence[UUID]) -> Collection[UUID]:
        """Those of *exchange_ids* that are stored, or were and have been deleted for good."""

    async def buried(self, ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        """When each of *ids*, which `burials` made, was erased, of those that were."""

    async def threads(self, names: Collection[SessionName]) -> list[Thread]:
        """All conversations of these names, locked against others until the end."""

    async def path_end(self, thread: Thread, count: int) -> list[Node]:
        """The last *count* messages on the stored path of *thread*, oldest first."""

    async def tree(self, thread: Thread) -> list[Node]:
        """Every stored message of *thread*, oldest first."""

    async def save(self, threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> None:
        """Write what is new in *threads*, and *calls*."""


class ExchangeStore(Protocol):
    """Where exchanges end up."""

    def transaction(self) -> AbstractAsyncContextManager[ExchangeTransaction]:
        """One transaction: all of it is stored at the end of the block, or nothing is."""


async def write(store: ExchangeStore, turns: Sequence[Turn]) -> set[UUID]:
    """Store *turns*, in their order, each exactly once, all of them or none.

    What was erased for good after it began is not stored: deleting wins. The ids of those.
    """
    async with store.transaction() as transaction:
        stored = set(await transaction.already_stored([t.call.exchange_id for t in turns]))
        batch = _Batch(transaction)
        fresh: list[Turn] = []
        for turn in turns:
            if turn.call.exchange_id not in stored:
                stored.add(turn.call.exchange_id)
                fresh.append(turn)
        # In this order: who erases one of them at this moment is waited for where it is locked, and
        # what they leave behind can be seen only then.
        await batch.load(fresh)
        erased = await _erased(transaction, fresh)
        for turn in fresh:
            if turn.call.exchange_id not in erased:
                await batch.add(turn)
        await transaction.save(batch.threads, batch.calls)
        return erased


async def _erased(transaction: ExchangeTransaction, turns: Sequence[Turn]) -> set[UUID]:
    """The ids of those of *turns* that somebody erased after they began."""
    names = [(c.workspace, c.user, c.session, c.client_ip) for c in (turn.call for turn in turns)]
    graves = {name: graves_of(*name) for name in set(names)}
    buried = await transaction.buried({one for some in graves.values() for one in some})
    if not buried:
        return set()
    return {
        turn.call.exchange_id
        for turn, name in zip(turns, names, strict=True)
        if any(one in buried and turn.call.started_at <= buried[one] for one in graves[name])
    }


class _Batch:
    """The conversations of one transaction while its turns are merged into them."""

    def __init__(self, transaction: ExchangeTransaction) -> None:
        self.threads: list[Thread] = []
        self.calls: list[LoggedCall] = []
        self._transaction = transaction
        self._by_name: dict[SessionName, dict[str, Thread]] = {}
        self._ends: dict[Thread, tuple[int, list[Node]]] = {}
        self._trees: dict[Thread, list[Node]] = {}

    async def load(self, turns: Sequence[Turn]) -> None:
        names = {name for turn in turns if (name := _name(turn)) is not None}
        for thread in await self._transaction.threads(names) if names else ():
            self._register(thread)

    async def add(self, turn: Turn) -> None:
        thread = self._thread_of(turn)
        if thread is None:
            self.calls.append(LoggedCall(turn.call, None))
            return
        await self._merge(thread, turn)
        call = turn.call
        if call.user != thread.user:
            call = replace(call, user=thread.user)
        self.calls.append(LoggedCall(call, thread))

    def _register(self, thread: Thread) -> None:
        self.threads.append(thread)
        name = SessionName(thread.workspace, thread.session)
        self._by_name.setdefault(name, {})[thread.user] = thread

    def _thread_of(self, turn: Turn) -> Thread | None:
        """The conversation that *turn* belongs to; a new one when there is none yet.

        A call that names no user means the only conversation of its session, and the caller's
        address is the user when there are none or several.
        """
        name = _name(turn)
        if name is None:
            return None
        found = self._by_name.get(name, {})
        call = turn.call
        if call.user is None and len(found) == 1:
            return next(iter(found.values()))
        user = call.user or call.client_ip
        thread = found.get(user)
        if thread is None:
            thread = Thread(
                workspace=name.workspace,
                user=user,
                session=name.session,
                created_at=call.started_at,
                updated_at=call.started_at,
            )
            self._register(thread)
        return thread

    async def _merge(self, thread: Thread, turn: Turn) -> None:
        said = instructions_in(turn.request.roles)
        if said and needs_more(said, turn.request.identities, thread.end):
            await self._remember_more(thread, turn.request)
        place = place_at_end(turn.request, thread.end)
        if place is None:
            place = await self._place_elsewhere(thread, turn.request)
        for at, parent in place.beside:
            _add(thread, parent, turn.request[at], turn)
        end = place.end
        for at in place.fresh:
            end = _hang(thread, end, turn.request[at], turn)
        if turn.replies:
            # All choices answer the same message; the first is the one to go on from.
            ends = [_hang(thread, end, reply, turn) for reply in turn.replies]
            end = ends[0]
        if end.leaf is not place.end.leaf:
            thread.has_branched |= place.end.leaf is not thread.end.leaf
            thread.end = end
        thread.end = thread.end.as_kept()
        thread.updated_at = max(thread.updated_at, _last_moment(turn))
        if thread.title is None:
            thread.title = _title(turn.request)

    async def _remember_more(self, thread: Thread, request: RequestMessages) -> None:
        """Some clients put instructions before each question: all of those on the path count."""
        count = len(request)
        await self._path_end(thread, 2 * count + FARTHER)
        thread.end = with_last(thread.end, count)

    async def _place_elsewhere(self, thread: Thread, request: RequestMessages) -> Place:
        """Where *request* goes on when the path does not end with what it says, as it says it."""
        nameless = Nameless.of(request)
        place = None if nameless is None else place_at_end(nameless, thread.end)
        return place or await self._place_inside(thread, nameless or request)

    async def _place_inside(self, thread: Thread, request: RequestMessages | Nameless) -> Place:
        """Where *request* goes on when it does not at the end of the path, and what is new."""
        added = [addition.node for addition in thread.additions]
        if thread not in self._trees:
            count = len(request.roles)
            looks = (count + NEAR, 2 * count + FARTHER, 2 * count + FAR)
            for most in looks:
                nodes = await self._path_end(thread, most)
                is_whole = len(nodes) < most
                is_far = is_whole or most == looks[-1]
                # Another branch can have more of a request only when it begins as that one does,
                # or tells answers that this one has not: who sends a window does not pay for the
                # whole tree with every turn.
                may_be_elsewhere = is_whole and _begins_with(request, nodes + added)
                seen = Seen.NEAR
                if is_far and thread.is_line:
                    seen = Seen.FAR
                elif is_far and not may_be_elsewhere:
                    seen = Seen.BRANCHED
                said = _as_stored(request, nodes + added)
                place = place_by_run(said, thread.end, nodes + added, seen=seen)
                if place is not None:
                    return place
                if is_whole:
                    break
            self._trees[thread] = await self._transaction.tree(thread)
        nodes = self._trees[thread] + added
        place = place_by_run(_as_stored(request, nodes), thread.end, nodes, seen=Seen.ALL)
        assert place is not None  # noqa: S101 - the whole tree always gives an answer
        return place

    async def _path_end(self, thread: Thread, count: int) -> list[Node]:
        """The last *count* messages on the stored path, which no turn of the batch changes."""
        asked, nodes = self._ends.get(thread, (0, []))
        if asked < count:
            nodes = await self._transaction.path_end(thread, count)
            self._ends[thread] = (count, nodes)
        return nodes[-count:]


def _name(turn: Turn) -> SessionName | None:
    if not turn.is_recorded or turn.call.session is None:
        return None
    return SessionName(turn.call.workspace, turn.call.session)


def _hang(thread: Thread, end: PathEnd, message: NewMessage, turn: Turn) -> PathEnd:
    return end.extended(_add(thread, end.leaf, message, turn))


def _add(thread: Thread, parent: Node | None, message: NewMessage, turn: Turn) -> Node:
    is_half = message.outcome in FAILED
    node = Node(parent, message.identity, message.role, is_half=is_half)
    thread.additions.append(Addition(node, message, turn.call.exchange_id))
    return node


def _as_stored(request: RequestMessages | Nameless, nodes: Sequence[Node]) -> Request:
    """*request*, with the names of its answers that are stored among *nodes*."""
    if isinstance(request, Nameless):
        return request.as_stored({node.identity for node in nodes})
    return request


def _begins_with(request: Request, nodes: Sequence[Node]) -> bool:
    """Whether *request*, without its instructions, begins with the first of *nodes*."""
    begins = zip(request.identities, request.roles, strict=True)
    first = next((identity for identity, role in begins if role not in INSTRUCTIONS), None)
    root = next((node.identity for node in nodes if not node.is_instruction), None)
    return first == root


def _title(request: RequestMessages) -> str | None:
    for at, role in enumerate(request.roles):
        if role == Role.USER and (content := request[at].content).strip():
            return title_of(content)
    return None


def _last_moment(turn: Turn) -> datetime:
    """When the last of its messages came; all of its choices end together."""
    return turn.replies[0].timestamp if turn.replies else turn.call.started_at
