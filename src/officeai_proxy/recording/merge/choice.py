"""The runs of a request in, the one that decides where it goes on out; pure, no I/O.

The rules, in the order in which `best_run` tries them:

1. A run that is the whole history is what it seems: only a question follows it. The longest of
   those decides, among equals the newest.
2. A call of tools that none has answered yet is what the answers that end a request are for.
3. Else the run decides with which the least of the request is new. Where clients put something
   around the history, or leave out a part of it, the longest would often be the wrong one: what
   changes with each turn (the time, open files, a summary) stands between the turns ever after, and
   no run of what is resent is longer than a turn.
4. But where the request answers an older call, which has no answers on that path, it is a branch at
   this call; and where it has another answer behind a question there, a branch at this question.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from heapq import nlargest
from itertools import pairwise
from operator import attrgetter, itemgetter

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.ending import Ending
from officeai_proxy.recording.merge.path_calls import calls_to, chains_left_out
from officeai_proxy.recording.merge.remainder import Remainder, said_above, unknown_before
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import (
    ANSWERS,
    Talk,
    is_note,
    nearest_talk,
    talk_to,
    talk_up_from,
)
from officeai_proxy.tree import Node

MOST_RUNS = 8
"""How many of the longest runs are weighed, and how many of those that end last in the request.

Besides, the one that ends last of those at the newest message: behind a note that is always the
same, words that are said again and again would crowd it out.
"""

_LONGEST = attrgetter("length", "order")


def best_run(runs: Sequence[Run], talk: Talk, ending: Ending) -> Run | None:
    """The run that decides where the request with *talk* goes on."""
    if len(runs) < 2:
        return runs[0] if runs else None
    whole = [run for run in runs if is_whole(run, talk)]
    if whole:
        return max(whole, key=_LONGEST)
    answered = ending.awaiting_tools([run for run in runs if _is_answered(run, talk)])
    if answered:
        return max(answered, key=attrgetter("order", "length"))
    best = _of_which_most_is_stored(_few(runs, talk, ending), talk, ending)
    return _answered_late(runs, best, talk) or _edited_behind(runs, best, talk) or best


def is_whole(run: Run, talk: Talk) -> bool:
    """Whether *run* is the request up to its last answer, or without one up to its question."""
    answers = (at for at in reversed(range(len(talk.roles))) if talk.roles[at] == Role.ASSISTANT)
    return run.first == 0 and run.last >= next(answers, len(talk.roles) - 2)


def _is_answered(run: Run, talk: Talk) -> bool:
    """Whether what tools answered follows *run* in the request, and no answer of the model."""
    behind = talk.roles[run.last + 1 :]
    return bool(behind) and behind[0] in ANSWERS and Role.ASSISTANT not in behind


def _few(runs: Sequence[Run], talk: Talk, ending: Ending) -> list[Run]:
    """Those of *runs* that are worth weighing."""
    longest = nlargest(MOST_RUNS, runs, key=_LONGEST)
    newest = nlargest(MOST_RUNS, runs, key=attrgetter("last", "length", "order"))
    at_end = (run for run in runs if run.node is ending.newest)
    latest = nlargest(1, at_end, key=attrgetter("last", "length"))
    # Many are among several of these, and each is weighed once.
    few = {(run.last, run.order): run for run in longest + newest + latest}.values()
    return [run for run in few if not _is_put_before(run, longest, talk, ending)]


def _is_put_before(run: Run, others: Sequence[Run], talk: Talk, ending: Ending) -> bool:
    """Whether *run* is a lone answer that a client puts before a history that is stored above it.

    A summary in the assistant's name, for one: it was stored behind what it sums up. To go on from
    it would store that once more, or hang an edit of it behind all that was said since.
    """
    if run.length > 1:
        return False
    told = {one.node for one in others if one.first > run.last}
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
    above = nearest_talk(answer.parent)
    if above is None or above.role not in ANSWERS:
        return above is not None and above.role != Role.ASSISTANT
    below = dict(pairwise(talk_to(newest))).get(answer)
    return below is None or below.role != Role.ASSISTANT


def _of_which_most_is_stored(runs: Sequence[Run], talk: Talk, ending: Ending) -> Run:
    """The one of *runs* with which the least of the request is new."""
    said = Counter(talk.identities)
    weighed = []
    for run in runs:
        below = ending.told_below(run, talk)
        known = Counter([*(below or ()), *talk_up_from(run.node)])
        weighed.append(((said & known).total(), run, below))
    weighed.sort(key=itemgetter(0), reverse=True)
    best, most = weighed[0][1], (-1, 0, 0, 0)
    for known_at_most, run, below in weighed:
        if known_at_most < most[0]:
            break
        stored = len(talk.identities) - Remainder.of(run, talk, below).size
        weight = (stored, run.last, run.length, run.order)
        if weight > most:
            best, most = run, weight
    return best


def _answered_late(runs: Sequence[Run], best: Run, talk: Talk) -> Run | None:
    """The longest of *runs* that end with a call of tools which the request answers before *best*,
    while what follows that call on the path of *best*, or stands there in its place, is no such
    answer.

    The client told the model something else meanwhile: what an agent says that took the call over,
    from a summary, or without that call. The answers would come behind all that, where they answer
    nothing.
    """
    calls = [
        run for run in runs if run.last + 1 < best.first and talk.roles[run.last + 1] in ANSWERS
    ]
    if not calls:
        return None
    path = talk_to(best.node)
    behind = dict(pairwise(path))
    on_path = set(path)

    def is_unanswered(call: Node) -> bool:
        there: Node | None = call
        if call not in on_path:
            # It stands beside the path. Another wording of a call there has its answers there.
            above = nearest_talk(call.parent)
            if above not in on_path:
                return False
            there = behind.get(above)
        return there not in behind or behind[there].role not in ANSWERS

    return max((run for run in calls if is_unanswered(run.node)), key=_LONGEST, default=None)


def _edited_behind(runs: Sequence[Run], best: Run, talk: Talk) -> Run | None:
    """The longest of *runs* that begin the request, if it is longer than *best* and somebody has
    edited an answer that follows it, or goes on with another one of several.

    To hang that behind all that was said later would make it the answer to something else.
    """
    begins = [run for run in runs if run.first == 0 and run.length > best.length]
    if not begins:
        return None
    begin = max(begins, key=_LONGEST)
    unknown = unknown_before(best, talk.identities, said_above(best, None))
    kept = best.last - begin.last - sum(at > begin.last for at in unknown)
    # The message behind *begin*, behind which more is known than is in *begin*, is a summary of
    # what the client left out there.
    is_summary = begin.last + 1 in unknown and kept >= begin.length
    return None if is_summary or not _has_edited_answer(best, talk, unknown) else begin


def _has_edited_answer(best: Run, talk: Talk, unknown: Sequence[int]) -> bool:
    """Whether a question before *best* has an answer in the request that is not on its path.

    What stands between a question and the answer that this has on the path is a note, or was said
    with calls of tools that the request leaves out. Nobody edits a call of tools.
    """
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
    neighbours = set(pairwise(_without_notes(best.node, set(talk.identities))))
    neighbours.update(chains_left_out(calls_to(best.node), talk))
    for at in edited:
        known = next(behind for behind in range(at + 1, best.last + 1) if behind not in new)
        if (talk.identities[at - 1], talk.identities[known]) not in neighbours:
            return True
    return False


def _without_notes(leaf: Node, told: Collection[int]) -> list[int]:
    """The talk on the path to *leaf*, but for notes that are not *told* any more."""
    kept = [
        node.identity
        for node, below in pairwise(talk_to(leaf))
        if node.identity in told or not is_note(node, below)
    ]
    return [*kept, leaf.identity]
