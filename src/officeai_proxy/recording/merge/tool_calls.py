"""Calls of tools, and answers to them, that a request has in other words in, which they are out.

Agents cut old ones short to save room: what a tool answered, and with what it was called. Behind a
later call they would be answers to nothing, and OpenAI refuses that. Pure, no I/O.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.path_calls import (
    PathCall,
    behind_those,
    chains_left_out,
    left_out,
)
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import ANSWERS, Talk
from officeai_proxy.tree import Node


def answers_of_tools(
    new: Set[int], run: Run, talk: Talk, calls: Sequence[PathCall]
) -> dict[int, Node]:
    """Those of *calls* on the path, which have their answers there, wherever else it differs."""
    told = set(talk.identities)
    answers = {call.node.identity: call.answers for call in reversed(calls)}
    found: dict[int, Node] = {}
    for at in range(run.first):
        known = () if at in new else answers.get(talk.identities[at], ())
        if known and talk.roles[at + 1] in ANSWERS:
            behind = behind_those(ANSWERS, talk.roles, at + 1)
            cut = [one for one in range(at + 1, behind) if one in new]
            found |= zip(cut, (n for n in known if n.identity not in told), strict=False)
    return found


def calls_of_tools(
    new: Set[int], run: Run, talk: Talk, calls: Sequence[PathCall]
) -> dict[int, Node]:
    """Those that call tools in the place of another call, and what tools answered in other words.

    Agents cut the arguments of old calls to save room. A call stands in the place of one that has
    as many answers, and the same behind it or before it, or else of one that has its answers: some
    of those that were called together are left out. Of calls that are the same the last of the
    request is the last of the path: some models number their calls from nought in every turn.
    """
    places = [at for at in range(run.last) if _calls_tools(talk, at)]
    missing = left_out(calls, talk)
    same = _by(calls, lambda call: call.node)
    by_below = _by(missing, lambda call: call.below)
    by_above = _by(missing, lambda call: call.above)
    by_answer = _by_answer(missing)
    stands_for: dict[int, Node] = {}
    for at in reversed(places):
        behind = behind_those(ANSWERS, talk.roles, at + 1)
        answers = range(at + 1, behind)
        looks = ((by_below, behind), (by_above, at - 1)) if at in new else ((same, at),)
        found = (_newest(them, talk, place, len(answers), stands_for) for them, place in looks)
        call = next(filter(None, found), None)
        if call is not None:
            stands_for |= zip(answers, call.answers, strict=True)
        elif at in new and new.isdisjoint(answers):
            call = _answered_by({talk.identities[one] for one in answers}, by_answer)
        if call is not None:
            call.is_taken = True
            stands_for[at] = call.node
    return {at: node for at, node in stands_for.items() if at in new}


def texts_of_calls(
    new: Set[int], talk: Talk, calls: Sequence[PathCall], reworded: Mapping[int, Node]
) -> dict[int, Node]:
    """Those that a model said as it called tools, where the request has neither the calls nor their
    answers. They stand in the place of the last of the calls between their neighbours, of which
    the one before may be *reworded*.
    """
    texts = [at for at in sorted(new) if talk.roles[at] == talk.roles[at + 1] == Role.ASSISTANT]
    found: dict[int, Node] = {}
    between = chains_left_out(calls, talk) if texts else {}
    while texts:
        first = last = texts.pop()
        while texts and texts[-1] == first - 1:
            first = texts.pop()
        asked = reworded.get(first - 1)
        above = talk.identities[first - 1] if asked is None else asked.identity
        chains = between.get((above, talk.identities[last + 1]), []) if first else []
        if chains and last - first < len(chains[-1]):
            found |= zip(range(first, last + 1), chains.pop()[first - last - 1 :], strict=True)
    return found


def _calls_tools(talk: Talk, at: int) -> bool:
    return talk.roles[at] == Role.ASSISTANT and talk.roles[at + 1] in ANSWERS


_Calls = Mapping[tuple[int, int], list[PathCall]]
"""Calls in the order of the path, by a neighbour's identity, or their own, and by how many answers
they have.
"""


def _by(calls: Iterable[PathCall], of: Callable[[PathCall], Node | None]) -> _Calls:
    found: dict[tuple[int, int], list[PathCall]] = {}
    for call in calls:
        node = of(call)
        if node is not None:
            found.setdefault((node.identity, len(call.answers)), []).append(call)
    return found


def _newest(
    calls: _Calls, talk: Talk, at: int, answers: int, stands_for: Mapping[int, Node]
) -> PathCall | None:
    """The newest of *calls* that nothing stands for yet, by what is *at* a position of the request,
    or what that stands for.
    """
    if not 0 <= at < len(talk.identities):
        return None
    identity = stands_for[at].identity if at in stands_for else talk.identities[at]
    candidates = calls.get((identity, answers), [])
    while candidates:
        call = candidates.pop()
        if not call.is_taken:
            return call
    return None


def _by_answer(calls: Iterable[PathCall]) -> dict[int, list[PathCall]]:
    found: dict[int, list[PathCall]] = {}
    for call in calls:
        for answer in call.answers:
            found.setdefault(answer.identity, []).append(call)
    return found


def _answered_by(told: Set[int], calls: Mapping[int, Sequence[PathCall]]) -> PathCall | None:
    """The newest of *calls* that nothing stands for and that has all the answers *told*."""
    for call in reversed(calls.get(min(told), ())):
        if not call.is_taken and told <= {answer.identity for answer in call.answers}:
            return call
    return None
