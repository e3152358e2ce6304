"""The nodes of another program's tree in, messages in our order and their parents out.

ChatGPT and Open WebUI keep a conversation as nodes that know their parents, with nodes between
them that are no messages. Those are left out, and their children hang on what is above them.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from officeai_proxy.formats.reading.imported import BadItem
from officeai_proxy.model import NewMessage


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node of the file: which one it follows, and its message if it is one."""

    parent: str | None
    message: NewMessage | None


@dataclass(frozen=True, slots=True)
class Grown:
    """Messages, the place of each one's parent among them, and the place where the path ends."""

    messages: tuple[NewMessage, ...]
    parents: tuple[int | None, ...]
    leaf: int | None


def grow(nodes: Mapping[str, SourceNode], *, current: str | None) -> Grown:
    """Put *nodes* into the order in which they were said, no child before its parent.

    *current* is the node at which the path ends; without a known one the path ends at the last.

    Raises:
        BadItem: some nodes are each other's parents.
    """
    children = _children(nodes)
    order = {name: number for number, name in enumerate(nodes)}
    messages: list[NewMessage] = []
    parents: list[int | None] = []
    places: dict[str, int | None] = {}
    waiting = [(_time(nodes[name], None), order[name], name) for name in children.get(None, [])]
    heapq.heapify(waiting)
    while waiting:
        time, _, name = heapq.heappop(waiting)
        node = nodes[name]
        above = None if node.parent is None else places.get(node.parent)
        if node.message is None:
            places[name] = above
        else:
            places[name] = len(messages)
            messages.append(node.message)
            parents.append(above)
        for child in children.get(name, []):
            heapq.heappush(waiting, (_time(nodes[child], time), order[child], child))
    if len(places) < len(nodes):
        raise BadItem(f"{len(nodes) - len(places)} of its nodes are each other's parents.")
    last = len(messages) - 1 if messages else None
    leaf = places.get(current) if current is not None else None
    return Grown(tuple(messages), tuple(parents), last if leaf is None else leaf)


def _children(nodes: Mapping[str, SourceNode]) -> dict[str | None, list[str]]:
    """The nodes below each node; below None those whose parent is not in the file."""
    children: dict[str | None, list[str]] = {}
    for name, node in nodes.items():
        parent = node.parent if node.parent in nodes else None
        children.setdefault(parent, []).append(name)
    return children


def _time(node: SourceNode, above: float | None) -> float:
    """When a node was said, in seconds; one that is no message goes with what is above it."""
    if node.message is not None:
        said: datetime = node.message.timestamp
        return said.timestamp()
    return -1e12 if above is None else above
