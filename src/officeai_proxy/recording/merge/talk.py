"""What is said in a request, and above a node of the tree, without the instructions; pure, no I/O.

Instructions (system and developer messages) are said to the model and stand outside the talk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from officeai_proxy.model import Role
from officeai_proxy.tree import Node
from officeai_proxy.wire.identity import INSTRUCTIONS

ANSWERS = frozenset({Role.TOOL.value, Role.FUNCTION.value})
"""The roles of what answers a call of tools."""


# Not frozen, as in `model`: one is made for every call.
@dataclass(slots=True)
class Talk:
    """What is said in a request, without its instructions: which messages, and who speaks."""

    identities: Sequence[int]
    roles: Sequence[str]


def nearest_talk(node: Node | None) -> Node | None:
    """*node*, or what is said before it, without the instructions between."""
    while node is not None and node.is_instruction:
        node = node.parent
    return node


def talk_to(leaf: Node | None) -> list[Node]:
    """The talk on the path from the root to *leaf*."""
    return [] if leaf is None else [node for node in leaf.path() if node.role not in INSTRUCTIONS]


def talk_up_from(node: Node) -> Iterator[int]:
    """The identities of the same, from *node* up to the root."""
    at: Node | None = node
    while at is not None:
        if at.role not in INSTRUCTIONS:
            yield at.identity
        at = at.parent


def is_note(node: Node, below: Node) -> bool:
    """Whether *node* is something that a client once put in front of *below*, which follows it.

    Neither has it an answer, nor is it one: who speaks in it speaks on.
    """
    return node.role == below.role and node.role not in ANSWERS
