"""A request and the run of it that decides in, what else of the request is new out; pure, no I/O.

New is what is not on the path to the end of the run. Each message of the path counts for one of the
request: what the request has twice is stored twice.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from officeai_proxy.model import Role
from officeai_proxy.recording.merge.runs import Run
from officeai_proxy.recording.merge.talk import ANSWERS, Talk, talk_up_from

NEWEST_PLACES = 8
"""In how many places of the path, the newest, what is told again behind the run is looked for."""


# Not frozen, as in `model`: some are made for every call that is not the ordinary one.
@dataclass(slots=True)
class Remainder:
    """What of a request's talk is new, before its run and after it: positions there."""

    before: list[int]
    after: list[int]

    @classmethod
    def of(cls, run: Run, talk: Talk, below: Sequence[int] | None) -> "Remainder":
        """What is new in *talk* when *run* decides; what stands *below* the run is known, too."""
        above = said_above(run, below)
        before = unknown_before(run, talk.identities, above)
        return cls(before, _fresh_after(run, talk, above))

    @property
    def size(self) -> int:
        """How many messages it has."""
        return len(self.before) + len(self.after)

    def tells_answers(self, talk: Talk) -> bool:
        """Whether answers of the model are among them: then another branch may have given them."""
        return any(talk.roles[at] == Role.ASSISTANT for at in (*self.before, *self.after))


def said_above(run: Run, below: Sequence[int] | None) -> Counter[int]:
    """What is on the path of *run* besides, with what stands *below* it when that counts."""
    return Counter([*(below or ()), *list(talk_up_from(run.node))[run.length :]])


def unknown_before(run: Run, identities: Sequence[int], above: Counter[int]) -> list[int]:
    """Positions in the request's talk before *run* of what is not on the path *above* it.

    What is there is taken out of *above*: one message of the path is one of the request, the last
    of those that are the same. Those that the path has not as often are older, and in other words.
    """
    unknown = not_among(above, identities, reversed(range(run.first)))
    unknown.reverse()
    return unknown


def not_among(known: Counter[int], identities: Sequence[int], places: Iterable[int]) -> list[int]:
    """Those of *places* whose messages are not *known*, or not as often; the others are taken out
    of it.
    """
    unknown: list[int] = []
    for place in places:
        identity = identities[place]
        if known[identity] > 0:
            known[identity] -= 1
        else:
            unknown.append(place)
    return unknown


def _fresh_after(run: Run, said: Talk, above: Counter[int]) -> list[int]:
    """Positions in the request's talk after *run*, without questions and answers sent once more.

    Those are taken out of what is *above* the run, and new when they are not there any more: then
    they were said twice. The last one is new: it is what the model is asked.
    """
    identities, end = said.identities, len(said.identities) - 1
    at = run.last + 1
    path = list(talk_up_from(run.node))[::-1] if at < end else []
    places: dict[int, list[int]] = {}
    for place, identity in enumerate(path):
        places.setdefault(identity, []).append(place)
    fresh: list[int] = []
    while at < end:
        newest = places.get(identities[at], [])[-NEWEST_PLACES:]
        # Nothing is looked at twice: a request may say one word a thousand times.
        length = max((_common(identities, at, path, place) for place in newest), default=1)
        if at + length > end and said.roles[end] not in ANSWERS:
            length = end - at  # The same question behind the same turn is asked again.
        is_answered = Role.ASSISTANT in said.roles[at : at + length]
        is_turn = is_answered and length > 1 and at + length <= end
        turn = Counter(identities[at : at + length]) if is_turn else Counter()
        if is_turn and all(above[identity] >= often for identity, often in turn.items()):
            above.subtract(turn)
        else:
            fresh += range(at, at + length)
        at += length
    return fresh + list(range(at, end + 1))


def _common(some: Sequence[int], at: int, others: Sequence[int], place: int) -> int:
    """How many of *some*, from *at* on, are the same as *others* from *place* on."""
    most = min(len(some) - at, len(others) - place)
    return next((n for n in range(most) if some[at + n] != others[place + n]), most)
