"""A key can make only keys within itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from officeai_proxy.auth.granting import check_within
from officeai_proxy.auth.keys import end_of_overlap, make_key, rotated
from officeai_proxy.errors import NotAllowed
from officeai_proxy.model import Caller, Limits, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CALLER = Caller(
    "key_1",
    "team",
    frozenset({Scope.CHAT, Scope.ADMIN}),
    "alice",
    expires_at=NOW + DAY,
    limits=Limits(rpm=10, concurrency=2),
    account="key_1",
)
_, SAME = make_key(
    "same",
    now=NOW,
    workspace="team",
    scopes=CALLER.scopes,
    user="alice",
    expires_at=CALLER.expires_at,
    limits=CALLER.limits,
)


@pytest.mark.parametrize(
    ("param", "change"),
    [
        ("workspace", {"workspace": "other"}),
        ("scopes", {"scopes": frozenset({Scope.CHAT, Scope.READ})}),
        ("user", {"user": "bob"}),
        ("user", {"user": None}),
        ("expires", {"expires_at": NOW + DAY + timedelta(seconds=1)}),
        ("expires", {"expires_at": None}),
        ("rpm", {"limits": Limits(rpm=11, concurrency=2)}),
        ("rpm", {"limits": Limits(concurrency=2)}),
        ("concurrency", {"limits": Limits(rpm=10, concurrency=3)}),
        ("rpm", {"limits": None}),
    ],
)
def test_beyond_is_refused(param: str, change: dict[str, object]):
    """In each dimension more than the maker has, or no bound where it has one, is refused."""
    with pytest.raises(NotAllowed) as caught:
        check_within(CALLER, replace(SAME, **change))  # type: ignore[arg-type]  # a table of values

    assert caught.value.param == param


def test_the_same_and_less_are_allowed():
    """A key can make its like, and anything smaller."""
    check_within(CALLER, SAME)
    check_within(
        CALLER,
        replace(
            SAME,
            scopes=frozenset({Scope.CHAT}),
            expires_at=NOW,
            limits=Limits(rpm=1, tpm=5, concurrency=1),
        ),
    )
    check_within(Caller("key_2", "team"), SAME)


def test_a_rotated_key_has_the_rights_and_the_account_of_the_old_one():
    """All but the key is the same, and after two rotations limits still count in one place."""
    key, new = rotated(SAME, now=NOW, expires_at=SAME.expires_at)
    _, newer = rotated(new, now=NOW, expires_at=SAME.expires_at)

    assert key
    assert new.id != SAME.id
    assert new.digest != SAME.digest
    assert (new.scopes, new.user, new.expires_at) == (SAME.scopes, SAME.user, SAME.expires_at)
    assert new.account == newer.account == SAME.id


def test_an_overlap_never_prolongs_the_old_key():
    """A key that would have ended sooner still does."""
    assert end_of_overlap(SAME, now=NOW, overlap=2 * DAY) == NOW + DAY
    assert end_of_overlap(SAME, now=NOW, overlap=DAY / 2) == NOW + DAY / 2
    assert end_of_overlap(replace(SAME, expires_at=None), now=NOW, overlap=DAY) == NOW + DAY
