"""A place in a stored tree and what shall hang there in, what of it hangs there already out.

Somebody asks once more for an answer, and the client sends a summary before the history, or a
window behind its first message: the request is no run to its end, and its question would be stored
once more with each answer. Pure, no I/O.
"""

from collections.abc import Callable, Iterable, Sequence

from officeai_proxy.recording.merge.talk import nearest_talk
from officeai_proxy.tree import Node


def hanging(place: Node | None, identities: Sequence[int], nodes: Iterable[Node]) -> list[Node]:
    """The line of *nodes* that hangs below *place*, as far as it is that of *identities*."""
    return _line(place, identities, nodes, lambda node: node.parent)


def talk_hanging(
    place: Node | None, identities: Sequence[int], nodes: Iterable[Node]
) -> list[Node]:
    """The same of the talk alone, whatever instructions stand in between."""
    return _line(nearest_talk(place), identities, nodes, lambda node: nearest_talk(node.parent))


def _line(
    place: Node | None,
    identities: Sequence[int],
    nodes: Iterable[Node],
    above: Callable[[Node], Node | None],
) -> list[Node]:
    if not identities:
        return []
    # Of several that are equal the newest counts, as everywhere.
    children = {(above(node), node.identity): node for node in nodes}
    line: list[Node] = []
    for identity in identities:
        child = children.get((place, identity))
        if child is None:
            break
        line.append(child)
        place = child
    return line
