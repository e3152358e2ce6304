"""A stored path in, the calls of tools on it out, each with its answers and what is around it.

Pure, no I/O.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, talk_to
from officeai_proxy.tree import Node


# Not frozen, as in `model`: one is made for every call of tools on a path.
@dataclass(slots=True)
class PathCall:
    """A call of tools on a path with its answers, and the talk before it and behind them.

    `before` are all questions in front of it, or what else is there; `below` is what follows, and
    `reply` the model's next answer, which notes may precede. `is_taken` says that a message of the
    request was found to stand in its place.
    """

    node: Node
    answers: Sequence[Node]
    before: Sequence[Node]
    below: Node | None
    reply: Node | None
    is_taken: bool = False

    @property
    def above(self) -> Node | None:
        """What stands in front of it."""
        return self.before[-1] if self.before else None


def calls_to(leaf: Node) -> list[PathCall]:
    """The calls of tools on the path to *leaf* that have answers there, oldest first.

    A call is what answers follow, whoever spoke it: some clients leave out the call itself.
    """
    path = talk_to(leaf)
    roles = [node.role for node in path]
    calls: list[PathCall] = []
    for at, (role, next_role) in enumerate(pairwise(roles)):
        if role in ANSWERS or next_role not in ANSWERS:
            continue
        behind = behind_those(ANSWERS, roles, at + 1)
        reply = behind_those((Role.USER,), roles, behind)
        calls.append(
            PathCall(
                path[at],
                answers=path[at + 1 : behind],
                before=path[_first_question(roles, at) : at],
                below=path[behind] if behind < len(path) else None,
                reply=path[reply] if reply < len(path) else None,
            )
        )
    return calls


def left_out(calls: Sequence[PathCall], talk: Talk) -> list[PathCall]:
    """Those of *calls* that a request with *talk* does not have; of equal ones it has the last."""
    told = Counter(talk.identities)
    missing: list[PathCall] = []
    for call in reversed(calls):
        if told[call.node.identity] > 0:
            told[call.node.identity] -= 1
        else:
            missing.append(call)
    missing.reverse()
    return missing


def chains_left_out(
    calls: Sequence[PathCall], talk: Talk
) -> dict[tuple[int, int], list[list[Node]]]:
    """Those of *calls* that a request with *talk* does not have: those that follow
    one another, by a message before them and the reply behind them. Oldest first.
    """
    chains: list[list[PathCall]] = []
    for call in left_out(calls, talk):
        if chains and chains[-1][-1].reply is call.node:
            chains[-1].append(call)
        else:
            chains.append([call])
    found: dict[tuple[int, int], list[list[Node]]] = {}
    for chain in chains:
        if (reply := chain[-1].reply) is not None:
            for above in chain[0].before:
                nodes = [call.node for call in chain]
                found.setdefault((above.identity, reply.identity), []).append(nodes)
    return found


def behind_those(roles: Collection[str], of: Sequence[str], at: int) -> int:
    """The first position from *at* on at which somebody else than *roles* speaks."""
    while at < len(of) and of[at] in roles:
        at += 1
    return at


def _first_question(roles: Sequence[str], at: int) -> int:
    """Where the questions begin that are in front of a position; one before it where none are."""
    first = max(at - 1, 0)
    while first and roles[first] == roles[first - 1] == Role.USER:
        first -= 1
    return first
