"""What a caller may do."""

import pytest

from officeai_proxy.auth.permissions import check_scope, check_unbound, check_user
from officeai_proxy.errors import NotAllowed
from officeai_proxy.model import Caller, Scope

ANYBODY = Caller("key_1")
ALICE = Caller("key_2", scopes=frozenset({Scope.READ}), user="alice")


def test_a_missing_scope_is_named():
    """A refused caller learns which scope the key would need."""
    with pytest.raises(NotAllowed, match="`write`"):
        check_scope(ALICE, Scope.WRITE)


def test_admin_does_not_stand_for_other_scopes():
    """A key can do what its scopes say, and nothing beside."""
    with pytest.raises(NotAllowed):
        check_scope(Caller("key_3", scopes=frozenset({Scope.ADMIN})), Scope.READ)


def test_another_user_is_refused_without_naming_the_bound_one():
    """A key bound to one user cannot speak of another, and the message names neither."""
    with pytest.raises(NotAllowed) as caught:
        check_user(ALICE, "bob", param="X-User-ID")

    assert caught.value.param == "X-User-ID"
    assert "alice" not in caught.value.message


def test_what_is_about_everybody_is_not_for_a_bound_key():
    """A key bound to one user is refused, another is not."""
    with pytest.raises(NotAllowed, match="bound to one"):
        check_unbound(ALICE)
    check_unbound(ANYBODY)


def test_a_scope_that_is_there_lets_pass():
    """The scope that a key has opens."""
    check_scope(ALICE, Scope.READ)


def test_the_bound_user_is_meant_when_none_is_named():
    """A bound key need not say its user; another key means nobody then."""
    assert check_user(ALICE, None, param="user") == "alice"
    assert check_user(ALICE, "alice", param="user") == "alice"
    assert check_user(ANYBODY, "bob", param="user") == "bob"
    assert check_user(ANYBODY, None, param="user") is None
