"""Where a request continues its conversation, and which of its messages are new; pure, no I/O.

Clients send the whole conversation again with every turn, or only its newest message, or a window,
or a summary and a window. The rules, in the order in which they are tried:

1. Nothing is stored yet: everything is new.
2. One message besides instructions: a client without memory. It is appended, unless the newest
   message is the same and has no answer yet, or half of one from a call that failed: then it is a
   retry, and what answers it stands beside that half.
3. The request begins with the whole path as it is stored: it goes on at the end of it.
4. Otherwise the longest run of messages that is stored as one line of the tree, the newest among
   equals. What follows it in the request is a branch there; what precedes it and is not stored is
   new as well.
5. When no run can be trusted, append: a message stored twice is a blemish, a message in the wrong
   place is a defect.

Instructions (system and developer messages) do not take part in runs: clients change them from turn
to turn. One is stored when it is not among the last instructions of the path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from officeai_proxy.model import Role
from officeai_proxy.tree import Node, PathEnd
from officeai_proxy.wire.identity import INSTRUCTIONS, chains


class Request(Protocol):
    """What of a request's messages says where they belong, in their order."""

    @property
    def identities(self) -> Sequence[int]:
        """Which messages each of them equals."""

    @property
    def roles(self) -> Sequence[str]:
        """Who speaks in each of them."""


class Seen(Enum):
    """How much of a conversation's tree is looked at, and when that is enough."""

    NEAR = "the end of the path: enough when the request begins with a run that ends at the leaf"
    FAR = "more of its end: enough when a run ends at the leaf"
    ALL = "the whole tree"


# Not frozen, as in `model`: these two are made for every call, or for every message of it.
@dataclass(slots=True)
class Place:
    """Where a request goes on, and which of its messages are new (positions in the request)."""

    end: PathEnd
    fresh: Sequence[int]


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


def place_at_end(request: Request, end: PathEnd) -> Place | None:
    """Rules 1 to 3, which need no more than the end of the path; None when they do not decide."""
    talk = _talk(request)
    if end.leaf is None or not talk:
        return _place(request, end, talk, talk)
    if len(talk) == 1:
        if end.leaf.is_half:
            return None
        return _place(request, end, talk, [] if _asks(end.leaf, request, talk) else talk)
    known = _prefix_ending_with(end.chain, _at(request.identities, talk))
    return None if known == 0 else _place(request, end, talk, talk[known:])


def place_by_run(
    request: Request, end: PathEnd, nodes: Sequence[Node], *, seen: Seen
) -> Place | None:
    """Rules 4 and 5, with *nodes* in the order in which they were stored.

    *seen* says what of the tree they are; None says that more of it has to be looked at.
    """
    talk = _talk(request)
    if len(talk) == 1 and end.leaf is not None and end.leaf.is_half:
        return _place_after_half(request, end, end.leaf, talk, seen=seen)
    run = _longest_run(_at(request.identities, talk), nodes, leaf=end.leaf)
    if run is None:
        return _place(request, end, talk, talk) if seen is Seen.ALL else None
    rest = [at for n, at in enumerate(talk) if not run.first <= n <= run.last]
    if run.node is end.leaf and (run.first == 0 or seen is not Seen.NEAR):
        return _place(request, end, talk, rest)
    return _place(request, PathEnd.at(run.node), talk, rest) if seen is Seen.ALL else None


def _place_after_half(
    request: Request, end: PathEnd, half: Node, talk: Sequence[int], *, seen: Seen
) -> Place | None:
    """Rule 2, where the path ends with *half* of an answer."""
    asked = half.parent
    if asked is None or not _asks(asked, request, talk):
        return _place(request, end, talk, talk)
    return _place(request, PathEnd.at(asked), talk, []) if seen is Seen.ALL else None


def _asks(node: Node, request: Request, talk: Sequence[int]) -> bool:
    """Whether *node* is the one message of *request*, which waits for an answer."""
    return node.identity == request.identities[talk[0]] and node.role != Role.ASSISTANT


def _talk(request: Request) -> Sequence[int]:
    """Where in the request the messages are that are no instructions; in most they all are."""
    if INSTRUCTIONS.isdisjoint(request.roles):
        return range(len(request.roles))
    return [at for at, role in enumerate(request.roles) if role not in INSTRUCTIONS]


def _at(identities: Sequence[int], places: Sequence[int]) -> Sequence[int]:
    if len(places) == len(identities):
        return identities
    return [identities[at] for at in places]


def _place(request: Request, end: PathEnd, talk: Sequence[int], rest: Sequence[int]) -> Place:
    """What is new: *rest* of its *talk*, and the instructions that the path does not end with."""
    if len(talk) == len(request.roles):
        return Place(end, rest)
    said = [at for at, role in enumerate(request.roles) if role in INSTRUCTIONS]
    recent = end.instructions[-len(said) :]
    new = [at for at in said if request.identities[at] not in recent]
    return Place(end, sorted((*rest, *new)))


def _prefix_ending_with(wanted: int, identities: Sequence[int]) -> int:
    """How many of *identities*, from the first, give the chain *wanted*; 0 when none do."""
    known = 0
    for count, reached in enumerate(chains(identities), start=1):
        if reached == wanted:
            known = count
    return known


def _longest_run(
    identities: Sequence[int], nodes: Sequence[Node], *, leaf: Node | None
) -> Run | None:
    """The longest run that can be trusted, and among equals the one stored last."""
    talk = [node for node in nodes if node.role not in INSTRUCTIONS]
    parents = _talking_parents(talk)
    places: dict[int, list[int]] = {}
    for order, node in enumerate(talk):
        places.setdefault(node.identity, []).append(order)
    best: Run | None = None
    lengths: dict[int, int] = {}
    for last, identity in enumerate(identities):
        here = places.get(identity, ())
        lengths = {order: lengths.get(parents[order], 0) + 1 for order in here}
        for order, length in lengths.items():
            if best is not None and (
                length < best.length or (length == best.length and order <= best.order)
            ):
                continue
            run = Run(length, talk[order], order, last)
            is_rooted = run.first == 0 and parents[order] < 0
            is_only_one = len(here) == 1
            if _is_trusted(
                run, len(identities), leaf=leaf, is_rooted=is_rooted, is_only_one=is_only_one
            ):
                best = run
    return best


def _talking_parents(talk: Sequence[Node]) -> list[int]:
    """For each node the place of the nearest node above it that is talk; -1 at the root."""
    order_of = {node: order for order, node in enumerate(talk)}
    parents: list[int] = []
    for node in talk:
        parent = node.parent
        while parent is not None and parent.role in INSTRUCTIONS:
            parent = parent.parent
        parents.append(-1 if parent is None else order_of.get(parent, -1))
    return parents


def _is_trusted(
    run: Run, count: int, *, leaf: Node | None, is_rooted: bool, is_only_one: bool
) -> bool:
    """Whether a run says where the request goes on, rather than that words were said before."""
    if run.first > 0 and run.last == count - 1:
        # Something unknown and then only known words: they may just have been said again.
        return False
    if run.length >= 2 or run.node is leaf or is_rooted:
        return True
    return is_only_one and run.node.role == Role.ASSISTANT
