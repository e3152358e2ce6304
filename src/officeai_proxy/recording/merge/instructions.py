"""The instructions of a request and of the path it goes on from in, those that are new out.

Instructions (system and developer messages) take no part in runs, since clients change them from
turn to turn. Pure, no I/O.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS, Node, PathEnd
from officeai_proxy.wire.identity import INSTRUCTIONS


def instructions_in(roles: Sequence[str]) -> list[int]:
    """Positions of the instructions among messages of these *roles*."""
    if INSTRUCTIONS.isdisjoint(roles):
        return []
    return [at for at, role in enumerate(roles) if role in INSTRUCTIONS]


def new_instructions(
    said: Sequence[int], identities: Sequence[int], end: PathEnd, *, behind: int
) -> list[int]:
    """Which of those *said* in a request are new, where it goes on from *end*.

    One that only repeats the one before it is not. Up to the position *behind* the request begins,
    or tells again what stands on the path: there one is new that the path does not have, or not as
    often. Those behind it are new when they are not what the path ends with. And when none is new,
    but what the path ends with is not said any more, then it is the one before that holds again.
    """
    if len(said) == 1 and identities[said[0]] in end.instructions[-1:]:
        return []  # The ordinary turn.
    known = Counter(end.instructions)
    asked = sum(at > behind for at in said)
    latest = frozenset(end.instructions[-asked:] if asked else ())
    new: list[int] = []
    before: int | None = None
    for at in said:
        identity = identities[at]
        if identity != before:
            is_there = identity in latest if at > behind else known[identity] > 0
            known[identity] -= 1
            new += () if is_there else (at,)
        before = identity
    return new or _holds_again(said, identities, end.instructions)


def _holds_again(said: Sequence[int], identities: Sequence[int], path: Sequence[int]) -> list[int]:
    """Of those *said*, all of which the *path* has, the newest there, unless its last is said."""
    places = {identity: place for place, identity in enumerate(path)}
    if not path or any(identities[at] == path[-1] for at in said):
        return []
    return [max(said, key=lambda at: places.get(identities[at], -1))]


def needs_more(said: Sequence[int], identities: Sequence[int], end: PathEnd) -> bool:
    """Whether what is remembered of the instructions of a path is too little for those *said*.

    With one that is not remembered it is enough: that is a change, as many clients make with every
    turn.
    """
    if len(end.instructions) < REMEMBERED_INSTRUCTIONS:
        return False
    missing = Counter(identities[at] for at in said) - Counter(end.instructions)
    return len(said) > REMEMBERED_INSTRUCTIONS or missing.total() > 1


def with_last(end: PathEnd, count: int) -> PathEnd:
    """*end* with the last *count* instructions of its path, or as many as its nodes tell of."""
    found = list(islice(_instructions_up_from(end.leaf), count))
    if len(found) <= len(end.instructions):
        return end
    return replace(end, instructions=tuple(reversed(found)))


def _instructions_up_from(leaf: Node | None) -> Iterator[int]:
    while leaf is not None:
        if leaf.is_instruction:
            yield leaf.identity
        leaf = leaf.parent
