"""Calls of tools, and answers to them, that a request has in other words in, which they are out.

Agents cut old ones short to save room: what a tool answered, and with what it was called. Behind a
later call they would be answers to nothing, and OpenAI refuses that. Pure, no I/O.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import ANSWERS, Talk
from officeai_proxy.tree import Node


def answers_of_tools(new: Set[int], run: Run, talk: Talk) -> dict[int, Node]:
    """Those of calls that have their answers on the path, wherever else it differs.

    Behind the answers of a later call they would be answers to nothing, and OpenAI refuses that.
    """
    told = set(talk.identities)
    answers = _answers_above(run.node)
    found: dict[int, Node] = {}
    open_ones: list[Node] = []
    for at, role in enumerate(talk.roles[: run.first]):
        if role not in ANSWERS:
            known = () if at in new else answers.get(talk.identities[at], ())
            open_ones = [node for node in known if node.identity not in told]
        elif at in new and open_ones:
            found[at] = open_ones.pop()
    return found


def calls_of_tools(new: Set[int], run: Run, talk: Talk) -> dict[int, Node]:
    """Those that call tools in the place of another call, and what tools answered in other words.

    Agents cut the arguments of old calls to save room. A call stands in the place of one that has
    as many answers, and the same behind it or before it, or else of one that has its answers: some
    of those that were called together are left out. Of calls that are the same the last of the
    request is the last of the path: some models number their calls from nought in every turn.
    """
    if all(talk.roles[at] == Role.USER for at in new):
        return {}
    places = [at for at in range(run.last) if _calls_tools(talk, at)]
    calls = _calls_above(run.node) if places else []
    same = _by(calls, lambda call: call.node)
    left_out = _left_out(calls, talk)
    by_below = _by(left_out, lambda call: call.below)
    by_above = _by(left_out, lambda call: call.above)
    by_answer = _by_answer(left_out)
    stands_for: dict[int, Node] = {}
    for at in reversed(places):
        behind = _behind_answers(talk, at + 1)
        looks = ((by_below, behind), (by_above, at - 1)) if at in new else ((same, at),)
        for candidates, neighbour in looks:
            call = _newest(candidates, talk, neighbour, behind - at - 1, stands_for)
            if call is not None:
                call.is_taken = True
                stands_for[at] = call.node
                stands_for |= zip(range(at + 1, behind), call.answers, strict=True)
                break
        else:
            answers = range(at + 1, behind)
            if at in new and new.isdisjoint(answers):
                call = _answered_by({talk.identities[one] for one in answers}, by_answer)
                if call is not None:
                    call.is_taken = True
                    stands_for[at] = call.node
    return {at: node for at, node in stands_for.items() if at in new}


def texts_of_calls(
    new: Set[int], run: Run, talk: Talk, reworded: Mapping[int, Node]
) -> dict[int, Node]:
    """Those that a model said as it called tools, where the request has neither the calls nor their
    answers. They stand in the place of the last of the calls between their neighbours, of which
    the one before may be *reworded*.
    """
    texts = [at for at in sorted(new) if _is_before_answer(talk, at)]
    found: dict[int, Node] = {}
    between = calls_left_out(run.node, talk) if texts else {}
    while texts:
        first = last = texts.pop()
        while texts and texts[-1] == first - 1:
            first = texts.pop()
        asked = reworded.get(first - 1)
        above = talk.identities[first - 1] if asked is None else asked.identity
        calls = between.get((above, talk.identities[last + 1]), []) if first else []
        if calls and last - first < len(calls[-1]):
            found |= zip(range(first, last + 1), calls.pop()[first - last - 1 :], strict=True)
    return found


def calls_left_out(leaf: Node, talk: Talk) -> dict[tuple[int, int], list[list[Node]]]:
    """The calls of tools on the path to *leaf* that a request with *talk* does not have: those that
    follow one another, by a message before them and the answer behind them. Oldest first.
    """
    chains: list[list[_Call]] = []
    for call in _left_out(_calls_above(leaf), talk):
        if chains and chains[-1][-1].answer is call.node:
            chains[-1].append(call)
        else:
            chains.append([call])
    found: dict[tuple[int, int], list[list[Node]]] = {}
    for chain in chains:
        answer = chain[-1].answer
        if answer is None:
            continue
        nodes = [call.node for call in chain]
        for above in chain[0].before:
            found.setdefault((above.identity, answer.identity), []).append(nodes)
    return found


def _is_before_answer(talk: Talk, at: int) -> bool:
    return talk.roles[at] == talk.roles[at + 1] == Role.ASSISTANT


def _calls_tools(talk: Talk, at: int) -> bool:
    return talk.roles[at] == Role.ASSISTANT and talk.roles[at + 1] in ANSWERS


def _behind_answers(talk: Talk, at: int) -> int:
    while at < len(talk.roles) and talk.roles[at] in ANSWERS:
        at += 1
    return at


# Not frozen, as in `model`: one is made for every call of tools on a path.
@dataclass(slots=True)
class _Call:
    """A call of tools on the path with its answers, and the talk before it and behind it.

    `before` are all questions in front of it, or what else is there; `answer` is the model's next
    one, which notes may precede.
    """

    above: Node | None
    node: Node
    answers: Sequence[Node]
    below: Node | None
    before: Sequence[Node]
    answer: Node | None
    is_taken: bool = False


def _left_out(calls: Sequence[_Call], talk: Talk) -> list[_Call]:
    """Those of *calls* that the request does not have; of equal ones it has the last."""
    told = Counter(talk.identities)
    left_out: list[_Call] = []
    for call in reversed(calls):
        if told[call.node.identity] > 0:
            told[call.node.identity] -= 1
        else:
            left_out.append(call)
    left_out.reverse()
    return left_out


_Calls = Mapping[tuple[int, int], list[_Call]]
"""Calls in the order of the path, by a neighbour's identity, or their own, and by how many answers
they have.
"""


def _by(calls: Iterable[_Call], of: Callable[[_Call], Node | None]) -> _Calls:
    found: dict[tuple[int, int], list[_Call]] = {}
    for call in calls:
        node = of(call)
        if node is not None:
            found.setdefault((node.identity, len(call.answers)), []).append(call)
    return found


def _newest(
    calls: _Calls, talk: Talk, at: int, answers: int, stands_for: Mapping[int, Node]
) -> _Call | None:
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


def _by_answer(calls: Iterable[_Call]) -> dict[int, list[_Call]]:
    found: dict[int, list[_Call]] = {}
    for call in calls:
        for answer in call.answers:
            found.setdefault(answer.identity, []).append(call)
    return found


def _answered_by(told: Set[int], calls: Mapping[int, Sequence[_Call]]) -> _Call | None:
    """The newest of *calls* that nothing stands for and that has all the answers *told*."""
    for call in reversed(calls.get(min(told), ())):
        if not call.is_taken and told <= {answer.identity for answer in call.answers}:
            return call
    return None


def _calls_above(leaf: Node) -> list[_Call]:
    line = [node for node in leaf.path() if not node.is_instruction]
    calls: list[_Call] = []
    for at, node in enumerate(line):
        behind = at + 1
        while node.role == Role.ASSISTANT and behind < len(line) and line[behind].role in ANSWERS:
            behind += 1
        if behind > at + 1:
            first, last = _first_question(line, at), _behind_questions(line, behind)
            above = line[at - 1] if at else None
            below = line[behind] if behind < len(line) else None
            answer = line[last] if last < len(line) else None
            answers = line[at + 1 : behind]
            calls.append(_Call(above, node, answers, below, line[first:at], answer))
    return calls


def _first_question(line: Sequence[Node], at: int) -> int:
    """Where the questions begin that are in front of a position; one before it where none are."""
    first = max(at - 1, 0)
    while first and line[first].role == line[first - 1].role == Role.USER:
        first -= 1
    return first


def _behind_questions(line: Sequence[Node], at: int) -> int:
    while at < len(line) and line[at].role == Role.USER:
        at += 1
    return at


def _answers_above(node: Node) -> dict[int, list[Node]]:
    """For each call of tools on the path to *node* what answers it there, newest first."""
    answers: dict[int, list[Node]] = {}
    newest_first: list[Node] = []
    at: Node | None = node
    while at is not None:
        if at.role in ANSWERS:
            newest_first.append(at)
        elif not at.is_instruction:
            if newest_first:
                answers[at.identity] = newest_first
            newest_first = []
        at = at.parent
    return answers
