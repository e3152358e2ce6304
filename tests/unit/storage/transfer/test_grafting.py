"""What of a file is new, and where it goes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.formats.reading.imported import ImportedConversation
from officeai_proxy.model import NewMessage
from officeai_proxy.storage.transfer.grafting import StoredMessage, graft, keeps_path, path_to_leaf
from officeai_proxy.wire.identity import ROOT_CHAIN, chain

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_file(*said: tuple[int | None, int], leaf: int | None = None) -> ImportedConversation:
    """A conversation of messages, each with the place of its parent and its identity."""
    messages = tuple(
        NewMessage(role="user", content=str(one), identity=one, timestamp=NOW) for _, one in said
    )
    return ImportedConversation(
        session_id="s1",
        created_at=NOW,
        updated_at=NOW,
        messages=messages,
        parents=tuple(parent for parent, _ in said),
        leaf=len(said) - 1 if leaf is None and said else leaf,
    )


def stored(*said: tuple[int, int | None, int], path: tuple[int, ...] = ()) -> list[StoredMessage]:
    """Stored messages: id, parent and identity; those of *path* are on it."""
    return [StoredMessage(number, up, one, "user", number in path) for number, up, one in said]


def test_nothing_stored_makes_all_new() -> None:
    """In an empty conversation every message is new."""
    found = graft(a_file((None, 7), (0, 8)), [])

    assert found.new == [0, 1]
    assert found.ids == [None, None]


def test_only_a_child_of_the_same_parent_is_the_same() -> None:
    """Equal words elsewhere in the tree are another message."""
    there = stored((10, None, 7), (11, 10, 8), (12, 11, 7))

    found = graft(a_file((None, 7), (0, 7), (1, 8)), there)

    assert found.ids == [10, None, None]


def test_equal_children_are_taken_in_order() -> None:
    """Two equal answers are two; a third is new; what follows each stays below it."""
    there = stored((10, None, 7), (11, 10, 8), (12, 10, 8), (13, 12, 9))

    found = graft(a_file((None, 7), (0, 8), (0, 8), (0, 8), (2, 9), (1, 9)), there)

    assert found.ids == [10, 11, 12, None, 13, None]


def test_the_path_stays_where_it_goes_further() -> None:
    """A file whose path ends on the stored path does not shorten it."""
    there = stored((10, None, 7), (11, 10, 8), (12, 10, 9), path=(10, 11))

    for leaf, stays in ((0, True), (1, True), (2, False), (3, False)):
        incoming = a_file((None, 7), (0, 8), (0, 9), (0, 5), leaf=leaf)
        assert keeps_path(incoming, graft(incoming, there)) is stays


def test_the_new_path() -> None:
    """It leads from the root to the file's leaf, with the chain that merging expects."""
    incoming = a_file((None, 7), (0, 8), (0, 9), (2, 5))
    found = graft(incoming, stored((10, None, 7), (11, 10, 8), path=(10, 11)))
    found.ids = [10, 11, 20, 21]

    path = path_to_leaf(incoming, found)

    assert path.ids == [10, 20, 21]
    assert path.leaf_chain == chain(chain(chain(ROOT_CHAIN, 7), 9), 5)
    assert path.instructions == ()


@given(
    said=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 3)), max_size=30),
    keep=st.integers(0, 30),
)
def test_a_part_of_a_tree_grows_to_the_whole(said: list[tuple[int, int]], keep: int) -> None:
    """What is stored of a file is found again whole, and only the rest is new."""
    tree = [
        (None if up % (at + 1) == at else up % (at + 1), one) for at, (up, one) in enumerate(said)
    ]
    there = [
        StoredMessage(at + 1, None if up is None else up + 1, one, "user", on_path=False)
        for at, (up, one) in enumerate(tree[:keep])
    ]

    found = graft(a_file(*tree), there)

    assert found.ids == [at + 1 if at < keep else None for at in range(len(tree))]
