"""A conversation as a tree while turns are merged into it: what merging and storing share.

Nothing here decides where a message goes (`recording.merge` does) or writes it (`storage` does).
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from uuid import UUID

from officeai_proxy.model import NewMessage
from officeai_proxy.wire.identity import INSTRUCTIONS, ROOT_CHAIN, chain

REMEMBERED_INSTRUCTIONS = 32
"""How many of a path's last instructions are kept with the conversation."""


@dataclass(eq=False, slots=True)
class Node:
    """A message as merging sees it: its parent, its role, and which messages it equals.

    `id` is None until the message is stored. `is_half` says that its call failed in the middle of
    it. Two nodes are equal when they are the same object.
    """

    parent: "Node | None"
    identity: int
    role: str
    id: int | None = None
    is_half: bool = False

    @property
    def is_instruction(self) -> bool:
        """Whether this is a system or developer message."""
        return self.role in INSTRUCTIONS

    def path(self) -> list["Node"]:
        """The nodes from the root to this one."""
        line: list[Node] = []
        node: Node | None = self
        while node is not None:
            line.append(node)
            node = node.parent
        line.reverse()
        return line


# Not frozen, as in `model`: one is made for every message.
@dataclass(slots=True)
class Addition:
    """A message that is new in the tree, where it hangs, and the call that brought it."""

    node: Node
    message: NewMessage
    exchange_id: UUID


@dataclass(slots=True)
class PathEnd:
    """The end of the line that readers see: enough to go on from it.

    `chain` is a hash over the talk on the path, `instructions` the identities of its last system
    and developer messages, newest last.
    """

    leaf: Node | None = None
    chain: int = ROOT_CHAIN
    instructions: tuple[int, ...] = ()

    def as_kept(self) -> "PathEnd":
        """The same with as many instructions as are kept with a conversation."""
        if len(self.instructions) <= REMEMBERED_INSTRUCTIONS:
            return self
        return PathEnd(self.leaf, self.chain, self.instructions[-REMEMBERED_INSTRUCTIONS:])

    def extended(self, node: Node) -> "PathEnd":
        """The end of the path once *node*, a child of the leaf, is on it."""
        if node.role in INSTRUCTIONS:
            known = (*self.instructions, node.identity)[-REMEMBERED_INSTRUCTIONS:]
            return PathEnd(node, self.chain, known)
        return PathEnd(node, chain(self.chain, node.identity), self.instructions)

    @classmethod
    def at(cls, leaf: Node, *, remembered: int = REMEMBERED_INSTRUCTIONS) -> "PathEnd":
        """The end of the path that leads from the root to *leaf*, with its last instructions.

        As many of them as are *remembered*, and no fewer than are kept with a conversation.
        """
        path = leaf.path()
        talk = [node.identity for node in path if node.role not in INSTRUCTIONS]
        said = [node.identity for node in path if node.role in INSTRUCTIONS]
        last = tuple(said[-max(remembered, REMEMBERED_INSTRUCTIONS) :])
        return cls(leaf, reduce(chain, talk, ROOT_CHAIN), last)


@dataclass(eq=False, slots=True, kw_only=True)
class Thread:
    """One conversation during a batch: its end as stored, and what the batch adds to it.

    `id` is None for a conversation that the batch begins. `stored_leaf` is the leaf as it stands in
    the database, `end` as it will be. `nodes` are the stored messages that were looked at, by id.
    """

    workspace: str
    user: str
    session: str
    created_at: datetime
    updated_at: datetime
    id: int | None = None
    title: str | None = None
    message_count: int = 0
    path_count: int = 0
    end: PathEnd = field(default_factory=PathEnd)
    stored_leaf: Node | None = None
    nodes: dict[int, Node] = field(default_factory=dict)
    additions: list[Addition] = field(default_factory=list)
    has_branched: bool = False

    @property
    def is_line(self) -> bool:
        """Whether all that is stored of it is on its path."""
        return self.message_count == self.path_count and not self.has_branched
