"""The end of a stored path in, what waits for an answer there out; pure, no I/O."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, nearest_talk, talk_to, talk_up_from
from officeai_proxy.tree import Node


# Not frozen, as in `model`: one is made for every call that is not the ordinary one.
@dataclass(slots=True)
class Ending:
    """How a path ends: its newest message that is talk, and the talk that has no answer yet.

    Half an answer, which a failed call leaves, is none. `waiting` is in the order newest first, and
    `place` is where the answer will hang.
    """

    newest: Node | None
    waiting: list[Node]
    place: Node | None

    @classmethod
    def of(cls, leaf: Node | None) -> "Ending":
        """The ending of the path to *leaf*."""
        waiting = []
        node = place = leaf.parent if leaf is not None and leaf.is_half else leaf
        while node is not None and node.role != Role.ASSISTANT:
            if not node.is_instruction:
                waiting.append(node)
            node = node.parent
        return cls(nearest_talk(leaf), waiting, place)

    def is_asked_anew(self, talk: Talk) -> bool:
        """Whether the request asks the newest of `waiting` again, behind an answer to it that only
        the client has: somebody stopped the model and says the same. It is no retry then.
        """
        *before, last = talk.identities
        if not self.waiting or last != self.waiting[0].identity or last not in before:
            return False
        behind = len(before) - before[::-1].index(last)
        if talk.roles[behind] != Role.ASSISTANT:
            return False
        # What is known behind it is its answer: then it was answered, and what precedes is a note.
        return set(before[behind:]).isdisjoint(talk_up_from(self.waiting[0]))

    def awaiting_tools(self, runs: Sequence[Run]) -> list[Run]:
        """Those of *runs* whose last message no tool has answered on the path: that goes on with
        something else, such as a summary that was asked for meanwhile, or not at all.
        """
        path = talk_to(self.newest) if runs else []
        answered = {above for above, below in pairwise(path) if below.role in ANSWERS}
        there = set(path) - answered
        return [run for run in runs if run.node in there]

    def told_below(self, run: Run, talk: Talk) -> list[int] | None:
        """What waits for an answer below *run* when all of it is in the request: a retry; or None.

        What a client puts before its history stands below the answers of tools.
        """
        if run.node not in self.waiting:
            return None
        below = [node.identity for node in self.waiting[: self.waiting.index(run.node)]]
        return None if Counter(below) - Counter(talk.identities[: run.first]) else below
