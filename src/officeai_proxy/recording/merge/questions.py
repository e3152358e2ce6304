"""A request that tells no answers in, where it goes on and what of it is new out; pure, no I/O.

Some clients keep only what was asked: their author forgot to put the answers into the list, or only
the first message and the new question have room, or a summary stands for the rest. What they send
is no line of the tree, for the answers stand between. Their conversation goes on at its end all the
same, with all that was said.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.remainder import not_among
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, talk_to
from officeai_proxy.tree import Node


# Not frozen, as in `model`: one is made for a call.
@dataclass(slots=True)
class Asked:
    """The message that such a request goes on from, and which of its talk is new (positions)."""

    last: Node
    fresh: Sequence[int]


def asked_again(talk: Talk, leaf: Node | None, nodes: Collection[Node]) -> Asked | None:
    """Where a request with *talk* goes on, when it tells questions of the path to *leaf* without
    their answers; None when it does not. *nodes* are the whole tree.
    """
    if leaf is None or len(talk.roles) < 2 or set(talk.roles) != {Role.USER}:
        return None
    path = talk_to(leaf)
    questions = [node for node in path if node.role == Role.USER]
    asked = [node.identity for node in questions]
    *before, last = talk.identities
    same = _in_other_words(questions, nodes)
    said = [*(same.get(identity, identity) for identity in before), last]
    if not asked or path[-1].role in ANSWERS:
        return None
    is_answered = bool(path[1:]) and path[1].role == Role.ASSISTANT
    tells_first = is_answered and path[0].identity in said[:-1]
    unknown = not_among(Counter(asked), said, range(len(said) - 1))
    if _waits(path[-1]) and said[-1] == asked[-1]:
        return Asked(questions[-1], []) if tells_first and not unknown else None
    if said == asked:
        return Asked(questions[-1], [])
    if said[:-1] == asked[1 - len(said) :]:
        return Asked(leaf, [len(said) - 1])
    if said == asked[-len(said) :]:
        return Asked(questions[-1], [])
    return Asked(leaf, [*unknown, len(said) - 1]) if tells_first else None


def _in_other_words(questions: Sequence[Node], nodes: Collection[Node]) -> dict[int, int]:
    """For each question that has lost its documents, and stands beside one of *questions* without
    an answer, which that is.
    """
    has_more = {node.parent for node in nodes}
    asked = {node.parent: node.identity for node in questions}
    return {
        node.identity: asked[node.parent]
        for node in nodes
        if node.role == Role.USER and node.parent in asked and node not in has_more
    }


def _waits(newest: Node) -> bool:
    """Whether what the path ends with has no answer yet, or is half of one."""
    return newest.role == Role.USER or newest.is_half
