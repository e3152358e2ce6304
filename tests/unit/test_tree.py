"""The end of a path, reached in one go or step by step."""

from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS, Node, PathEnd

ROLES = st.sampled_from(["user", "assistant", "system", "developer", "tool", ""])
LINES = st.lists(
    st.tuples(ROLES, st.integers(-(2**63), 2**63 - 1)),
    min_size=1,
    max_size=REMEMBERED_INSTRUCTIONS + 20,
)


@given(LINES)
def test_the_end_of_a_path_is_the_same_however_it_is_reached(line: list[tuple[str, int]]) -> None:
    """`at` gives what `extended` gives, message by message."""
    end = PathEnd()
    for role, number in line:
        end = end.extended(Node(end.leaf, number, role))

    assert end.leaf is not None
    assert PathEnd.at(end.leaf) == end
    assert end.leaf.is_instruction is (line[-1][0] in ("system", "developer"))
