"""The stored tree of a conversation and what a request says in, the runs of it that are stored out.

A run is a part of the request's talk that stands in the tree as one line. Most do not count: words
that were said before may just have been said again, and tools answer the same to other calls. Pure,
no I/O.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.talk import Talk
from officeai_proxy.tree import Node
from officeai_proxy.wire.identity import INSTRUCTIONS

ROOT = -1
"""The place of what the first message of a tree follows."""

MOST_PLACES = 64
"""In how many places, the newest, a run may begin with words that are said again and again."""


# Not frozen, as in `model`: these are made for every message of a call.
@dataclass(slots=True)
class Run:
    """A run of a request's talk that is stored: its length, and where it ends in both.

    `order` is the place of its last node among the talk of the tree, oldest first.
    """

    length: int
    node: Node
    order: int
    last: int

    @property
    def first(self) -> int:
        """Position of its first message in the request's talk."""
        return self.last - self.length + 1


def trusted_runs(
    said: Talk,
    nodes: Sequence[Node],
    *,
    ends: Collection[Node | None],
    waiting: Collection[Node],
) -> Iterator[Run]:
    """The runs that can be trusted: of those that begin in the same places, the longest.

    A run tells where the request goes on when it has two messages or more, or is an answer of the
    model that is there only once; or else where it ends at the newest message, or begins both.

    *ends* are the newest message and the newest that waits for an answer, which a failed call may
    have left with half of one; *waiting* is all that waits at the end of the path.
    """
    identities = said.identities
    talk = [node for node in nodes if node.role not in INSTRUCTIONS]
    parents = _talking_parents(talk)
    places = _places_of(talk)
    replies = _replies_said_often(parents, places)
    newest = len(identities) - 1
    is_all_known = all(identity in places for identity in identities)
    # For each node that the message before may be: how long the run is that ends there, and where
    # in the tree it begins.
    going: dict[int, tuple[int, int]] = {}
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    for last, identity in enumerate(identities):
        here = places.get(identity, ())
        before, going = going, {}
        for order in _looked_at(here, identity, replies, before if last else (ROOT,)):
            known, begin = before.get(parents[order], (0, order))
            going[order] = length, _ = known + 1, begin
            node = talk[order]
            tells = length > 1 or (len(here) == 1 and node.role == Role.ASSISTANT)
            if last == newest and last > known and node not in waiting:
                # Something else and then only known words, which have been answered: they may just
                # have been said again. Where nothing is unknown, an answer is the history, which
                # shall be gone on with or summed up.
                is_trusted = tells and is_all_known and node.role == Role.ASSISTANT
            else:
                is_rooted = not last and parents[order] == ROOT
                is_trusted = tells or is_rooted or node in ends
            if is_trusted:
                found[last - known, begin] = length, order, last
    for length, order, last in found.values():
        yield Run(length, talk[order], order, last)


def _places_of(talk: Sequence[Node]) -> dict[int, list[int]]:
    """For each identity the places of its nodes, oldest first."""
    places: dict[int, list[int]] = {}
    for order, node in enumerate(talk):
        places.setdefault(node.identity, []).append(order)
    return places


def _replies_said_often(
    parents: Sequence[int], places: Mapping[int, Sequence[int]]
) -> dict[tuple[int, int], list[int]]:
    """Where what has more than `MOST_PLACES` stands, by the place before it and its identity."""
    replies: dict[tuple[int, int], list[int]] = {}
    for identity, here in places.items():
        if len(here) > MOST_PLACES:
            for order in here:
                replies.setdefault((parents[order], identity), []).append(order)
    return replies


def _looked_at(
    here: Sequence[int],
    identity: int,
    replies: Mapping[tuple[int, int], Sequence[int]],
    before: Iterable[int],
) -> Sequence[int]:
    """Of the places *here* of an *identity* those at which a run goes on from *before*, or begins.

    All of them, unless they are so many that looking at each of them for each message of the
    request would take minutes: somebody says "continue" ten thousand times.
    """
    if len(here) <= MOST_PLACES:
        return here
    goes_on = (order for parent in before for order in replies.get((parent, identity), ()))
    return sorted({*goes_on, *here[-MOST_PLACES:]})


def _talking_parents(talk: Sequence[Node]) -> list[int]:
    """For each node the place of the nearest node above it that is talk; `ROOT` when none is."""
    order_of = {node: order for order, node in enumerate(talk)}
    parents: list[int] = []
    for node in talk:
        parent = node.parent
        while parent is not None and parent.role in INSTRUCTIONS:
            parent = parent.parent
        parents.append(ROOT if parent is None else order_of.get(parent, ROOT))
    return parents
