"""A request and the end of its conversation, or more of it, in, its place there out; pure, no I/O.

The rules, in the order in which they are tried:

1. Nothing is stored yet: everything is new.
2. One message besides instructions: a client without memory. It is appended, unless the newest
   message is the same and has no answer yet, or half of one from a call that failed: then it is a
   retry, and what answers it stands beside that half. Or it is the newest answer, told again.
3. The request begins with the whole path as it is stored: it goes on at the end of it.
4. Otherwise a run of messages that is stored as one line of the tree; which one is decided in
   `choice`. What follows it in the request is a branch there, as far as none has it yet; what
   precedes it is new where it is not on that path. One that ends with what nobody has answered
   yet is a retry, as in 2. What is only put in other words there stands beside it, off the path.
   Questions without their answers are no run, and go on at the end (`questions`).
5. When no run can be trusted, append: a message stored twice is a blemish, a message in the wrong
   place is a defect.

Instructions take no part in this, see `instructions`. Nothing comes between a call of tools and
their answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import Protocol, TypeVar

from officeai_proxy.recording.merge.branches import hanging, talk_hanging
from officeai_proxy.recording.merge.choice import best_run, is_whole
from officeai_proxy.recording.merge.ending import Ending
from officeai_proxy.recording.merge.instructions import instructions_in, new_instructions
from officeai_proxy.recording.merge.questions import Asked, asked_again
from officeai_proxy.recording.merge.remainder import Remainder
from officeai_proxy.recording.merge.rewordings import rewordings
from officeai_proxy.recording.merge.runs import Run, trusted_runs
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, nearest_talk
from officeai_proxy.tree import Node, PathEnd
from officeai_proxy.wire.identity import INSTRUCTIONS, chains

T = TypeVar("T")


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

    NEAR = "the path or its end: enough when the whole history ends at the leaf"
    FAR = "the same, or a very long part, without branches: enough when a run ends at the leaf"
    BRANCHED = "the same with branches: enough when the request tells nothing that these may have"
    ALL = "the whole tree"

    def decides(self, *, is_whole: bool, is_at_leaf: bool) -> bool:
        """Whether it is enough when the run, which *is_whole* or not, ends at the leaf or not."""
        return self is Seen.ALL or (is_at_leaf and (is_whole or self is not Seen.NEAR))


# Not frozen, as in `model`: these two are made for every call, or for every message of it.
@dataclass(slots=True)
class Place:
    """Where a request goes on, and which of its messages are new (positions in the request).

    `beside` are new, too, but off the path, each below its node: other words for what is on it.
    """

    end: PathEnd
    fresh: Sequence[int]
    beside: Sequence[tuple[int, Node | None]] = ()


@dataclass(slots=True)
class _New:
    """The talk of a request that is new where it goes on, before the run and after it (positions).

    The request has what is stored up to the position `known_to`.
    """

    before: Sequence[int]
    after: Sequence[int]
    known_to: int

    def without(self, places: Sequence[int]) -> "_New":
        """The same when those at *places* are stored as well."""
        known = set(places)
        return _New(
            [at for at in self.before if at not in known],
            [at for at in self.after if at not in known],
            max(self.known_to, *known),
        )


def place_at_end(request: Request, end: PathEnd) -> Place | None:
    """Rules 1 to 3, which need no more than the end of the path; None when they do not decide."""
    talk = _talk(request)
    if end.leaf is None or not talk:
        return _place(request, end, talk)
    if len(talk) == 1:
        if _may_wait_above(end.leaf):
            return None
        if _is_newest(end.leaf, request, talk):
            return _place(request, end, [], known_to=talk[0])
        return _place(request, end, talk)
    known = _prefix_ending_with(end.chain, _at(request.identities, talk))
    return None if known == 0 else _place(request, end, talk[known:], known_to=talk[known - 1])


def place_by_run(
    request: Request, end: PathEnd, nodes: Sequence[Node], *, seen: Seen
) -> Place | None:
    """Rules 4 and 5, with *nodes* in the order in which they were stored.

    *seen* says what of the tree they are; None says that more of it has to be looked at.
    """
    talk = _talk(request)
    if len(talk) == 1 and end.leaf is not None:
        return _place_after_failure(request, end, end.leaf, talk, seen=seen)
    said = Talk(_at(request.identities, talk), _at(request.roles, talk))
    if seen is Seen.ALL and (asked := asked_again(said, end.leaf, nodes)):
        return _place_question(request, end, talk, asked)
    ending = Ending.of(end.leaf)
    run = best_run(list(_trusted(said, nodes, ending)), said, ending)
    if run is None:
        return _place(request, end, talk) if seen is Seen.ALL else None
    below = ending.told_below(run, said)
    at_run = end.leaf if run.node is ending.newest else run.node
    node = at_run if below is None else ending.place
    if not seen.decides(is_whole=is_whole(run, said), is_at_leaf=node is end.leaf):
        return None
    rest = Remainder.of(run, said, below)
    reworded = _reworded(rest, run, said, nodes, seen=seen)
    if reworded is None:
        return None
    before = [at for at in rest.before if at not in reworded]
    new = _New(_at(talk, before), _at(talk, rest.after), known_to=talk[run.last])
    if node is None or node is end.leaf:
        place = _place(request, end, new.after, before=new.before, known_to=new.known_to)
    else:
        place = _place_in_branch(request, node, new, nodes)
    if reworded:
        place.beside = _not_there(request, {talk[at]: reworded[at] for at in reworded}, nodes)
    return place


def _reworded(
    rest: Remainder, run: Run, said: Talk, nodes: Sequence[Node], *, seen: Seen
) -> dict[int, Node] | None:
    """What of the *rest* is only in other words; None when branches that are not *seen* may have
    what it tells.
    """
    if seen is not Seen.BRANCHED:
        return rewordings(rest.before, run, said, nodes)
    if rest.tells_answers(said) or rewordings(rest.before, run, said, nodes):
        return None
    return {}


def _not_there(
    request: Request, reworded: Mapping[int, Node], nodes: Sequence[Node]
) -> list[tuple[int, Node | None]]:
    """The *reworded* messages that do not stand beside what they reword yet, and below what."""
    there = {(node.parent, node.identity) for node in nodes}
    places = [(at, reworded[at].parent) for at in sorted(reworded)]
    return [(at, parent) for at, parent in places if (parent, request.identities[at]) not in there]


def _place_in_branch(request: Request, node: Node, new: _New, nodes: Sequence[Node]) -> Place:
    """The place at *node*, or further down as far as what is *new* there hangs there already."""
    identities = request.identities
    talk = _as_hung(request, new.after, new.before)
    line = talk_hanging(node, [identities[at] for at in talk], nodes)
    if line:
        node, new = line[-1], new.without(talk[: len(line)])
    end = PathEnd.at(node, remembered=len(request.roles))
    place = _place(request, end, new.after, before=new.before, known_to=new.known_to)
    if not place.fresh or request.roles[place.fresh[0]] not in INSTRUCTIONS:
        return place
    line = hanging(node, [identities[at] for at in place.fresh], nodes)
    if line:
        end = PathEnd.at(line[-1], remembered=len(request.roles))
    return Place(end, place.fresh[len(line) :])


def _trusted(said: Talk, nodes: Sequence[Node], ending: Ending) -> Iterator[Run]:
    ends = {ending.newest, *ending.waiting[:1]}
    waiting = () if ending.is_asked_anew(said) else ending.waiting
    return trusted_runs(said, nodes, ends=ends, waiting=waiting)


def _may_wait_above(leaf: Node) -> bool:
    """Whether the message that waits for an answer may stand above the *leaf* of the path."""
    return leaf.is_half or leaf.is_instruction


def _place_after_failure(
    request: Request, end: PathEnd, leaf: Node, talk: Sequence[int], *, seen: Seen
) -> Place | None:
    """Rule 2, where the path ends with half of an answer, or with instructions."""
    asked = nearest_talk(leaf.parent)
    if asked is None or not _is_newest(asked, request, talk):
        return _place(request, end, talk)
    if not leaf.is_half:
        return _place(request, end, [], known_to=talk[0])
    if leaf.parent is None or seen is not Seen.ALL:
        return None
    goes_on = PathEnd.at(leaf.parent, remembered=len(request.roles))
    return _place(request, goes_on, [], known_to=talk[0])


def _place_question(request: Request, end: PathEnd, talk: Sequence[int], asked: Asked) -> Place:
    """Rule 4 for a request that tells no answers."""
    if asked.last is not end.leaf:
        end = PathEnd.at(asked.last, remembered=len(request.roles))
    known_to = talk[asked.fresh[0] - 1] if asked.fresh else talk[-1]
    return _place(request, end, _at(talk, asked.fresh), known_to=known_to)


def _is_newest(node: Node, request: Request, talk: Sequence[int]) -> bool:
    """Whether *node*, the newest message, is the one of *request*: a question that waits for an
    answer, or an answer that the client tells again, with instructions for the next one.
    """
    return node.identity == request.identities[talk[0]]


def _talk(request: Request) -> Sequence[int]:
    """Where in the request the messages are that are no instructions; in most they all are."""
    if INSTRUCTIONS.isdisjoint(request.roles):
        return range(len(request.roles))
    return [at for at, role in enumerate(request.roles) if role not in INSTRUCTIONS]


def _at(all_of_them: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    if len(places) == len(all_of_them):
        return all_of_them
    return [all_of_them[at] for at in places]


def _place(
    request: Request,
    end: PathEnd,
    after: Sequence[int],
    *,
    before: Sequence[int] = (),
    known_to: int = -1,
) -> Place:
    """What is new: of the talk what comes *after* the end that the request goes on from, and what
    *before*; and the instructions that the path does not have. It has the request's messages up
    to the position *known_to*.
    """
    new: Sequence[int] = ()
    if said := instructions_in(request.roles):
        begins = next((at for at, role in enumerate(request.roles) if role not in INSTRUCTIONS), 0)
        behind = max(known_to, begins)
        new = new_instructions(said, request.identities, end, behind=behind)
    if not new and not before:
        return Place(end, after)
    if end.leaf is None:
        return Place(end, sorted((*before, *new, *after)))
    return Place(end, _as_hung(request, after, (*before, *new)))


def _as_hung(request: Request, after: Sequence[int], others: Sequence[int]) -> list[int]:
    """What comes *after* the end that a request goes on from and *others*, in the order in which
    they are stored: nothing comes between a call of tools and their answers.
    """
    answers = list(takewhile(lambda at: request.roles[at] in ANSWERS, after))
    return [*answers, *sorted((*others, *after[len(answers) :]))]


def _prefix_ending_with(wanted: int, identities: Sequence[int]) -> int:
    """How many of *identities*, from the first, give the chain *wanted*; 0 when none do."""
    known = 0
    for count, reached in enumerate(chains(identities), start=1):
        if reached == wanted:
            known = count
    return known
