"""Digests that stand for what was erased."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.burials import burial_of_user, burials_of, graves_of

names = st.text(min_size=1, max_size=5).filter(lambda text: "\0" not in text)


def test_no_two_names_share_a_grave() -> None:
    """Parts of names cannot be shifted against each other, and a user is no session."""
    found = [
        *burials_of("w", "ab", "c"),
        *burials_of("w", "a", "bc"),
        *burials_of("wa", "b", "c"),
        burial_of_user("w", "ab"),
        burial_of_user("w", "c"),
    ]

    assert len(set(found)) == len(found) == 8


@given(names, names, names, names)
def test_whoever_is_meant_is_found(workspace: str, user: str, session: str, address: str) -> None:
    """Each way to name a conversation leads to its grave, and none is the id of a call."""
    theirs = burials_of(workspace, user, session)

    assert theirs[0] in graves_of(workspace, user, session, address)
    assert theirs[1] in graves_of(workspace, None, session, address)
    assert burial_of_user(workspace, user) in graves_of(workspace, None, None, user)
    assert {one.version for one in (*theirs, burial_of_user(workspace, user))} == {8}
    assert all(a != b for a, b in combinations(theirs, 2))
