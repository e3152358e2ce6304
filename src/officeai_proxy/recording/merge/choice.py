"""The runs of a request in, the one that decides where it goes on out; pure, no I/O.

A run that is the whole history is what it seems: only a question follows it. The longest of those
decides, among equals the newest.

A call of tools that has no answers yet is what those that end the request are for.

Where clients put something around the history, or leave out a part of it, none is whole, and the
longest would often be the wrong one: what changes with each turn (the time, open files, a summary)
stands between the turns ever after, and no run of what is resent is longer than a turn. Then that
one decides with which the least of the request is new.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise
from operator import attrgetter, itemgetter

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.remainder import Remainder, said_above, unknown_before
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, is_note, nearest_talk, talk_up_from
from officeai_proxy.recording.merge.tool_calls import calls_left_out
from officeai_proxy.tree import Node

MOST_RUNS = 8
"""How many of the longest runs are weighed, and how many of those that end last in the request.

Besides, the one that ends last of those at the newest message: behind a note that is always the
same, words that are said again and again would crowd it out.
"""


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

    def awaits_tools(self, node: Node) -> bool:
        """Whether no tool has answered behind *node* on the path: that goes on with something else,
        such as a summary that was asked for meanwhile, or not at all.
        """
        below = self.newest
        while below is not None and below is not node:
            above = nearest_talk(below.parent)
            if above is node:
                return below.role not in ANSWERS
            below = above
        return below is node

    def told_below(self, run: Run, talk: Talk) -> list[int] | None:
        """What waits for an answer below *run* when all of it is in the request: a retry; or None.

        What a client puts before its history stands below the answers of tools.
        """
        if run.node not in self.waiting:
            return None
        below = [node.identity for node in self.waiting[: self.waiting.index(run.node)]]
        return None if Counter(below) - Counter(talk.identities[: run.first]) else below


def best_run(runs: Sequence[Run], talk: Talk, ending: Ending) -> Run | None:
    """The run that decides where the request with *talk* goes on."""
    if len(runs) < 2:
        return runs[0] if runs else None
    whole = [run for run in runs if is_whole(run, talk)]
    if whole:
        return max(whole, key=attrgetter("length", "order"))
    answered = [run for run in runs if _is_answered(run, talk) and ending.awaits_tools(run.node)]
    if answered:
        return max(answered, key=attrgetter("order", "length"))
    longest = nlargest(MOST_RUNS, runs, key=attrgetter("length", "order"))
    newest = nlargest(MOST_RUNS, runs, key=attrgetter("last", "length", "order"))
    at_end = (run for run in runs if run.node is ending.newest)
    latest = nlargest(1, at_end, key=attrgetter("last", "length"))
    # Many are among several of these, and each is weighed once.
    few = {(run.last, run.order): run for run in longest + newest + latest}.values()
    weighable = [run for run in few if not _is_put_before(run, longest, talk, ending)]
    best = _of_which_most_is_stored(weighable, talk, ending)
    late = _answered_late(runs, best, talk)
    if late:
        return max(late, key=attrgetter("length", "order"))
    begins = [run for run in runs if run.first == 0 and run.length > best.length]
    if begins:
        longest_begin = max(begins, key=attrgetter("length", "order"))
        unknown = unknown_before(best, talk.identities, said_above(best, None))
        if _has_edited_answer(longest_begin, best, talk, unknown):
            return longest_begin
    return best


def is_whole(run: Run, talk: Talk) -> bool:
    """Whether *run* is the request up to its last answer, or without one up to its question."""
    answers = (at for at in reversed(range(len(talk.roles))) if talk.roles[at] == Role.ASSISTANT)
    return run.first == 0 and run.last >= next(answers, len(talk.roles) - 2)


def _is_answered(run: Run, talk: Talk) -> bool:
    """Whether what tools answered follows *run* in the request, and no answer of the model."""
    behind = talk.roles[run.last + 1 :]
    return bool(behind) and behind[0] in ANSWERS and Role.ASSISTANT not in behind


def _without_notes(node: Node, told: Collection[int]) -> Iterator[int]:
    """What `talk_up_from` gives, but for notes that are not *told* any more."""
    below = node
    at: Node | None = node
    while at is not None:
        if not (is_note(at, below) and at.identity not in told):
            yield at.identity
        below, at = at, nearest_talk(at.parent)


def _is_put_before(run: Run, others: Sequence[Run], talk: Talk, ending: Ending) -> bool:
    """Whether *run* is a lone answer that a client puts before a history that is stored above it.

    A summary in the assistant's name, for one: it was stored behind what it sums up. To go on from
    it would store that once more, or hang an edit of it behind all that was said since.
    """
    if run.length > 1:
        return False
    told = {one.node for one in others if one.first > run.last and _is_history(one, talk)}
    if not told or told.isdisjoint(run.node.path()):
        return False
    if run.node is not ending.newest:
        return not _is_reply(run.node, ending.newest)
    # The newest message may be a real answer, unless all of the request has been said before.
    return not Counter(talk.identities) - Counter(talk_up_from(run.node))


def _is_reply(answer: Node, newest: Node | None) -> bool:
    """Whether *answer* stands behind a question; or behind what tools answered and, on the path to
    *newest*, not before another answer.

    A summary stands behind an answer of the model, or else before one, behind those of tools.
    """
    above, below = nearest_talk(answer.parent), newest
    if above is None or above.role not in ANSWERS:
        return above is not None and above.role != Role.ASSISTANT
    while below is not None and nearest_talk(below.parent) is not answer:
        below = nearest_talk(below.parent)
    return below is None or below.role != Role.ASSISTANT


def _is_history(run: Run, talk: Talk) -> bool:
    """Whether *run* is more than a lone answer; a call of tools that has its answers is."""
    after = run.last + 1
    return run.length > 1 or (after < len(talk.roles) and talk.roles[after] in ANSWERS)


def _of_which_most_is_stored(runs: Sequence[Run], talk: Talk, ending: Ending) -> Run:
    """The one of *runs* with which the least of the request is new."""
    said = Counter(talk.identities)
    weighed = [(_overlap(run, said, ending.told_below(run, talk)), run) for run in runs]
    weighed.sort(key=itemgetter(0), reverse=True)
    best, most = weighed[0][1], (-1, 0, 0, 0)
    for overlap, run in weighed:
        if overlap < most[0]:
            break  # No more than that is stored of it.
        stored = _stored_of(run, talk, ending.told_below(run, talk))
        weight = (stored, run.last, run.length, run.order)
        if weight > most:
            best, most = run, weight
    return best


def _overlap(run: Run, said: Counter[int], below: Sequence[int] | None) -> int:
    """How many of the messages *said* are on the path to *run*, or *below* it."""
    return (said & Counter([*(below or ()), *talk_up_from(run.node)])).total()


def _stored_of(run: Run, talk: Talk, below: Sequence[int] | None) -> int:
    """How many of the messages in *talk* are not new when *run* decides."""
    return len(talk.identities) - Remainder.of(run, talk, below).size


def _answered_late(runs: Sequence[Run], best: Run, talk: Talk) -> list[Run]:
    """Those of *runs* that end with a call of tools which the request answers before *best*, while
    what follows that call on the path of *best*, or stands there in its place, is no such answer.

    The client told the model something else meanwhile: what an agent says that took the call over,
    from a summary, or without that call. The answers would come behind all that, where they answer
    nothing.
    """
    calls = [
        run for run in runs if run.last + 1 < best.first and talk.roles[run.last + 1] in ANSWERS
    ]
    if not calls:
        return []
    line = [node for node in best.node.path() if not node.is_instruction]
    places = {node: place for place, node in enumerate(line)}

    def is_unanswered(run: Run) -> bool:
        place = places.get(run.node)
        if place is None:
            # It stands beside the path. Another wording of a call there has its answers there.
            above = nearest_talk(run.node.parent)
            if above not in places:
                return False
            place = places[above] + 1
        return all(node.role not in ANSWERS for node in line[place + 1 : place + 2])

    return [run for run in calls if is_unanswered(run)]


def _has_edited_answer(begin: Run, best: Run, talk: Talk, unknown: Sequence[int]) -> bool:
    """Whether a question before *best* has an answer in the request that is not on its path.

    Somebody has edited that answer, or goes on with another one of several. To hang it behind all
    that was said later would make it the answer to something else. But the message behind *begin*,
    behind which more is known than is in *begin*, is a summary of what the client left out there.
    And what stands between a question and the answer that this has on the path is a note, or was
    said with calls of tools that the request leaves out. Nobody edits a call of tools.
    """
    kept = best.last - begin.last - sum(at > begin.last for at in unknown)
    if begin.last + 1 in unknown and kept >= begin.length:
        return False
    new = set(unknown)
    edited = [
        at
        for at in unknown
        if at
        and at - 1 not in new
        and talk.roles[at] == Role.ASSISTANT
        and talk.roles[at - 1] != Role.ASSISTANT
        and talk.roles[at + 1] not in ANSWERS
    ]
    if not edited:
        return False
    line = list(_without_notes(best.node, set(talk.identities)))
    neighbours = {(above, below) for below, above in pairwise(line)}
    neighbours.update(calls_left_out(best.node, talk))
    for at in edited:
        known = next(after for after in range(at + 1, best.last + 1) if after not in new)
        if (talk.identities[at - 1], talk.identities[known]) not in neighbours:
            return True
    return False
