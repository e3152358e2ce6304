"""A stored tree and the tree of a file in, what of the file is new and where it goes out; no query.

A message of the file is one of the stored ones when its parent is and it equals a child of that
parent. Equal children of one parent are taken in their order, so that none is taken twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from officeai_proxy.formats.reading.imported import ImportedConversation
from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS
from officeai_proxy.wire.identity import ROOT_CHAIN, chain, is_instruction


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What has to be known of a stored message."""

    id: int
    parent_id: int | None
    identity: int
    role: str
    on_path: bool


@dataclass(slots=True)
class Graft:
    """Where the messages of a file are, by their places in it.

    `ids` has for each message its stored id; None for one that is new, until it has an id.
    """

    ids: list[int | None] = field(default_factory=list)
    new: list[int] = field(default_factory=list)
    stored: dict[int, StoredMessage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewPath:
    """The path as it will be: its ids from the root on, and what the conversation keeps of it."""

    ids: list[int]
    leaf_chain: int
    instructions: tuple[int, ...]


def graft(incoming: ImportedConversation, stored: Iterable[StoredMessage]) -> Graft:
    """Find each message of *incoming* among *stored*, the messages of one conversation by id."""
    known = {message.id: message for message in stored}
    children: dict[tuple[int | None, int], list[int]] = {}
    for one in reversed(known.values()):
        children.setdefault((one.parent_id, one.identity), []).append(one.id)
    ids: list[int | None] = []
    new: list[int] = []
    for place, (message, parent) in enumerate(
        zip(incoming.messages, incoming.parents, strict=True)
    ):
        above = None if parent is None else ids[parent]
        is_below_new = parent is not None and above is None
        same = None if is_below_new else children.get((above, message.identity))
        ids.append(same.pop() if same else None)
        if ids[-1] is None:
            new.append(place)
    return Graft(ids, new, known)


def keeps_path(incoming: ImportedConversation, found: Graft) -> bool:
    """Whether the stored path stays: it goes through the end of the file's path, or beyond it."""
    if incoming.leaf is None:
        return True
    leaf = found.ids[incoming.leaf]
    return leaf is not None and leaf in found.stored and found.stored[leaf].on_path


def path_to_leaf(incoming: ImportedConversation, found: Graft) -> NewPath:
    """The path to the end of the file's path, once every message of the file has an id."""
    line: list[tuple[int, int, str]] = []
    place = incoming.leaf
    while place is not None:
        message, number = incoming.messages[place], found.ids[place]
        if number is None:
            raise ValueError("the path leads through a message that has no id yet")
        line.append((number, message.identity, message.role))
        place = incoming.parents[place]
    line.reverse()
    return _path(line)


def _path(line: Sequence[tuple[int, int, str]]) -> NewPath:
    leaf_chain = ROOT_CHAIN
    instructions: list[int] = []
    for _, identity, role in line:
        if is_instruction(role):
            instructions.append(identity)
        else:
            leaf_chain = chain(leaf_chain, identity)
    last = tuple(instructions[-REMEMBERED_INSTRUCTIONS:])
    return NewPath([number for number, _, _ in line], leaf_chain, last)
