"""A request whose answers have names in, the request as its conversation has it out; pure, no I/O.

Frameworks of agents write into each answer that they send back which of their agents gave it, while
the model's own reply has no name. Such an answer is the one that is stored with its name, or where
there is none, the one that is stored without: the same words of two agents stay two messages.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from officeai_proxy.wire.messages import RequestMessages


# Not frozen, as in `model`: one is made for a call.
@dataclass(slots=True)
class Nameless:
    """A request as if none of its answers had a name, and what its messages are with them."""

    identities: Sequence[int]
    roles: Sequence[str]
    named: Sequence[int]

    @classmethod
    def of(cls, request: RequestMessages) -> "Nameless | None":
        """*request* without the names of its answers; None when they have none."""
        without = request.identities_without_names()
        return None if without is None else cls(without, request.roles, request.identities)

    def as_stored(self, known: Collection[int]) -> "Nameless":
        """The same with each name that is stored: *known* are the identities that are."""
        identities = [
            named if named in known or plain not in known else plain
            for named, plain in zip(self.named, self.identities, strict=True)
        ]
        return Nameless(identities, self.roles, self.named)
