"""Trees of other programs in our order."""

from datetime import UTC, datetime, timedelta

import pytest

from officeai_proxy.formats.reading.grown import SourceNode, grow
from officeai_proxy.formats.reading.imported import BadItem
from officeai_proxy.model import NewMessage

START = datetime(2026, 1, 1, tzinfo=UTC)


def node(parent: str | None, text: str | None = None, second: int = 0) -> SourceNode:
    """A node that says *text*, or nothing at all."""
    if text is None:
        return SourceNode(parent, None)
    time = START + timedelta(seconds=second)
    return SourceNode(parent, NewMessage(role="user", content=text, identity=1, timestamp=time))


def test_nodes_that_follow_one_another_are_refused() -> None:
    """Nodes in a circle have no first one, and none of them is lost silently."""
    nodes = {"a": node(None, "a"), "b": node("c", "b"), "c": node("b", "c")}

    with pytest.raises(BadItem, match="2 of its nodes"):
        grow(nodes, current="a")


def test_parents_come_first_and_earlier_before_later() -> None:
    """The order is that of time, as far as parents allow it."""
    nodes = {
        "late": node("root", "late", 9),
        "early": node("root", "early", 2),
        "root": node(None, "root", 5),
        "below": node("early", "below", 1),
    }

    grown = grow(nodes, current="below")

    assert [m.content for m in grown.messages] == ["root", "early", "below", "late"]
    assert grown.parents == (None, 0, 1, 0)
    assert grown.leaf == 2


def test_what_is_no_message_is_passed_over() -> None:
    """Children of a node without a message hang on what is above it; so does the end of a path."""
    nodes = {
        "root": node(None),
        "a": node("root", "a", 1),
        "hidden": node("a"),
        "b": node("hidden", "b", 2),
        "end": node("b"),
    }

    grown = grow(nodes, current="end")

    assert [m.content for m in grown.messages] == ["a", "b"]
    assert grown.parents == (None, 0)
    assert grown.leaf == 1


@pytest.mark.parametrize("current", [None, "gone"])
def test_without_a_known_end_the_path_ends_at_the_last(current: str | None) -> None:
    """A path always ends somewhere, as long as there is a message; a lost parent is a root."""
    grown = grow({"a": node("lost", "a"), "b": node("a", "b")}, current=current)

    assert grown.leaf == 1
    assert grown.parents == (None, 0)
    assert grow({}, current=current).leaf is None
