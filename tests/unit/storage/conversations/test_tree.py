"""The head of a path, as messages are added to it; no database."""

from datetime import UTC, datetime

from officeai_proxy.model import NewMessage
from officeai_proxy.storage.conversations.tree import Head, Placed
from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS
from officeai_proxy.wire.identity import ROOT_CHAIN, chain

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def placed(number: int, *, role: str = "user", on_path: bool = True) -> Placed:
    message = NewMessage(role=role, content=str(number), identity=number, timestamp=NOW)
    return Placed(message=message, id=number, parent_id=number - 1 or None, on_path=on_path)


def test_off_the_path_only_counts() -> None:
    """A second choice of a reply is counted, and the path does not move."""
    head = Head().extended([placed(1), placed(2, on_path=False)])

    assert (head.leaf_id, head.message_count, head.path_count) == (1, 2, 1)


def test_instructions_are_not_in_the_chain() -> None:
    """A system prompt is remembered beside the talk, so that a changed one does not break it."""
    head = Head().extended([placed(1, role="system"), placed(2), placed(3, role="developer")])

    assert head.leaf_chain == chain(ROOT_CHAIN, 2)
    assert head.instructions == (1, 3)
    assert (head.leaf_id, head.path_count) == (3, 3)


def test_chain_runs_over_the_talk() -> None:
    """The chain is that of all messages said, in order, whether they come together or not."""
    at_once = Head().extended([placed(1), placed(2)])
    apart = Head().extended([placed(1)]).extended([placed(2)])

    assert at_once == apart
    assert at_once.leaf_chain == chain(chain(ROOT_CHAIN, 1), 2)


def test_last_instructions_are_kept() -> None:
    """A client that sends a new system prompt every turn does not make the head grow."""
    count = REMEMBERED_INSTRUCTIONS + 5
    head = Head().extended([placed(n, role="system") for n in range(1, count + 1)])

    assert head.instructions == tuple(range(6, count + 1))
    assert head.leaf_chain == ROOT_CHAIN
