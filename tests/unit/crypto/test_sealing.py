"""Texts of a database: sealed for a place, opened there, and told from plain ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import Unopenable

OLD, NEW = b"1" * 32, b"2" * 32
SECRET = b"s" * 32
PLACE = "conversation_messages.content/1/2"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def sealer(*, takes_plain: bool = False, current: str = "old", secret: bytes = SECRET) -> Sealer:
    keys = MasterKeys({"old": OLD, "new": NEW})
    return Sealer(keys, current=current, secret=secret, takes_plain=takes_plain)


def test_a_plain_text_is_refused_once_all_is_sealed() -> None:
    """Somebody who writes into the table by hand is found out."""
    with pytest.raises(Unopenable, match="is not sealed"):
        sealer().open("put here by hand", PLACE)


def test_a_plain_text_from_before_is_read() -> None:
    """While old rows are being sealed, those that are not yet can be read."""
    assert sealer(takes_plain=True).open("said before", PLACE) == "said before"


@pytest.mark.parametrize(
    "place", ["conversation_messages.extra/1/2", "conversation_messages.content/2/2", ""]
)
def test_a_text_that_was_moved_is_refused(place: str) -> None:
    """Another column, another row or another conversation: it opens nowhere but at home."""
    stored = sealer().seal("secret", PLACE)

    with pytest.raises(Unopenable, match="changed or moved"):
        sealer().open(stored, place)


@pytest.mark.parametrize("damage", ["!", "", "ä"])
def test_a_damaged_text_is_refused(damage: str) -> None:
    """What is not even base64 any more is no other kind of error."""
    stored = sealer().seal("secret", PLACE)

    with pytest.raises(Unopenable, match="changed or moved"):
        sealer().open(stored[:-4] + damage, PLACE)


def test_a_key_that_is_gone_is_named() -> None:
    """Whoever has dropped a key too early is told which one."""
    stored = sealer(current="new").seal("secret", PLACE)
    keys = MasterKeys({"old": OLD})
    without = Sealer(keys, current="old", secret=SECRET, takes_plain=False)

    with pytest.raises(Unopenable, match="'new'"):
        without.open(stored, PLACE)


@given(text=TEXTS)
def test_every_text_comes_back(text: str) -> None:
    """Any text, sealed with either key, is opened by a sealer that has both."""
    for current in ("old", "new"):
        stored = sealer(current=current).seal(text, PLACE)
        assert sealer().open(stored, PLACE) == text
        assert sealer().key_of(stored) == current


@given(text=TEXTS)
def test_nothing_said_before_looks_sealed(text: str) -> None:
    """A text that looks sealed in one database is a plain one in another."""
    theirs = sealer(secret=b"t" * 32).seal(text, PLACE)
    ours = sealer(takes_plain=True)

    assert ours.key_of(theirs) is None
    assert ours.open(theirs, PLACE) == theirs


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**63 - 1))
def test_a_mask_comes_off_again(number: int, row: int) -> None:
    """Every identity can be hidden in 64 bits, and comes back."""
    hidden = sealer().mask(number, row)

    assert -(2**63) <= hidden < 2**63
    assert sealer().mask(hidden, row) == number


def test_equal_messages_do_not_look_equal() -> None:
    """The same identity in two rows is two numbers, so no list of guesses can be tried."""
    assert len({sealer().mask(7, row) for row in range(1, 1000)}) == 999


def test_words_are_hidden_for_each_workspace() -> None:
    """A word is always the same there, another one elsewhere, and never itself."""
    here, there = sealer().hasher("here"), sealer().hasher("there")

    assert here("数据") == sealer(current="new").hasher("here")("数据")
    assert len({here("数据"), there("数据"), here("word"), there("word")}) == 4
    assert here("word").isalnum()
