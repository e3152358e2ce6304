"""What is unknown before a run in, what of it is only put in other words out; pure, no I/O.

Clients reword what is over: a question loses the documents that were sent with it once it is
answered, and old answers of tools are cut short to save room. The conversation goes on as if they
had not; behind the run such words would be said in the middle of something else.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Set

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.path_calls import calls_to
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import (
    ANSWERS,
    Talk,
    is_note,
    nearest_talk,
    talk_to,
    talk_up_from,
)
from officeai_proxy.recording.merge.tool_calls import (
    answers_of_tools,
    calls_of_tools,
    texts_of_calls,
)
from officeai_proxy.tree import Node


def rewordings(
    unknown: Collection[int], run: Run, talk: Talk, nodes: Iterable[Node]
) -> dict[int, Node]:
    """Which of the *unknown* positions before *run* stand for which messages of its path.

    *nodes* are what is stored, as much of it as is looked at.
    """
    if not unknown:
        return {}
    new = set(unknown)
    questions = _questions(new, run, talk)
    if all(talk.roles[at] == Role.USER for at in new):
        return questions
    calls = calls_to(run.node)
    return (
        questions
        | _answers(new, run, talk, nodes)
        | answers_of_tools(new, run, talk, calls)
        | calls_of_tools(new, run, talk, calls)
        | texts_of_calls(new, talk, calls, questions)
    )


def _questions(new: Collection[int], run: Run, talk: Talk) -> dict[int, Node]:
    """Those in whose place another question is stored, which has the same answer there.

    Above it is what is before them in the request. Notes aside, this tells all that is between: a
    summary before a window stands for all that the window lacks. What begins a request may be one,
    or a note, unless that has the whole history, with several answers, or rewords others as well.
    """
    left_out = Counter(talk_up_from(run.node)) - Counter(talk.identities[: run.last + 1])
    found: dict[int, Node] = {}
    maybe: dict[int, Node] = {}
    rewords = False
    below = talk_to(run.node)[-run.length]
    above = _above(below, left_out)
    for at in reversed(range(run.first)):
        is_new = at in new
        told = _same_above(below, talk.identities[at], left_out, is_near=is_new)
        if told is not None:
            found |= maybe
            maybe = {}
            if is_new:  # One that is the same, further down in the request, was taken for it.
                found[at] = told
            below, above = told, _above(told, left_out)
        elif above is None:
            return found
        elif _is_in_place(above, below, talk, at, left_out, is_new=is_new):
            if is_new:
                maybe[at] = above
            else:
                rewords = True
            below, above = above, _above(above, left_out)
        elif not is_new:
            return found
    answers = talk.roles[: run.last + 1].count(Role.ASSISTANT)
    is_all = nearest_talk(below.parent) is None and answers > 1
    return found | maybe if is_all or found or rewords else found


def _above(node: Node, left_out: Container[int]) -> Node | None:
    """What is said before *node*, but for calls of tools that the request has *left_out*."""
    above = nearest_talk(node.parent)
    while above is not None and above.role in ANSWERS:
        call: Node | None = above
        while call is not None and call.role in ANSWERS:
            call = nearest_talk(call.parent)
        if call is None or call.identity not in left_out:
            break
        above = nearest_talk(call.parent)
    return above


def _same_above(
    below: Node, identity: int, left_out: Container[int], *, is_near: bool
) -> Node | None:
    """What has *identity* above *below*: at once when it *is_near*, else up to what the request
    has *left_out*, notes aside.
    """
    above = nearest_talk(below.parent)
    while above is not None and above.identity != identity:
        if is_near or (above.identity in left_out and not is_note(above, below)):
            return None
        below, above = above, nearest_talk(above.parent)
    return above


def _is_in_place(
    node: Node, below: Node, talk: Talk, at: int, left_out: Container[int], *, is_new: bool
) -> bool:
    """Whether *node* is a question that the request has *left_out*, in the place of the one *at* a
    position, with the answer *below* it. That follows at once where the same words were said
    elsewhere, too.
    """
    if not (node.role == talk.roles[at] == Role.USER and below.role == Role.ASSISTANT):
        return False
    return node.identity in left_out and (is_new or talk.identities[at + 1] == below.identity)


def _answers(new: Set[int], run: Run, talk: Talk, nodes: Iterable[Node]) -> dict[int, Node]:
    """Those between whose neighbours another answer is stored.

    The first may sum up what is over, unless it stands beside that one already, or a window begins
    with its question. Whoever goes on from another answer is on another branch, but *run* is not:
    it has been decided that nobody does. Old answers lose a part, or somebody has put one right.
    """
    answers = [at for at in range(run.first) if talk.roles[at] == Role.ASSISTANT]
    if new.isdisjoint(answers):
        return {}
    told = set(talk.identities)
    places = _places_of_answers(run.node, told)
    stored = {(above.identity, below.identity): node for above, node, below in places}
    found: dict[int, Node] = {}
    for at in answers[1:]:
        node = stored.get((talk.identities[at - 1], talk.identities[at + 1]))
        if at in new and node is not None:
            found[at] = node
    first = answers[0]
    if first in new:
        there = {(node.parent, node.identity) for node in nodes}
        for above, node, below in places:
            if below.identity != talk.identities[first + 1]:
                continue
            follows = first > 0 and above.identity == talk.identities[first - 1]
            begins = nearest_talk(above.parent)
            is_window = follows and begins is not None and begins.identity not in told
            if is_window or (node.parent, talk.identities[first]) in there:
                found[first] = node
    return found


def _places_of_answers(leaf: Node, told: Collection[int]) -> list[tuple[Node, Node, Node]]:
    """The answers on the path to *leaf* that are not *told*, each between its neighbours."""
    line: list[Node] = []
    for node in talk_to(leaf):
        # What follows an answer before the next question is a summary, or was reworded here.
        if not (line and node.role == line[-1].role == Role.ASSISTANT):
            line.append(node)
    return [
        (above, node, below)
        for above, node, below in zip(line, line[1:], line[2:], strict=False)
        if node.role == Role.ASSISTANT and node.identity not in told
    ]
