"""A box opens for its own key and its own place, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.crypto.boxes import KEY_BYTES, NONCE_BYTES, Box, derived
from officeai_proxy.errors import Unopenable

SECRET = bytes(range(KEY_BYTES))
OVERHEAD = NONCE_BYTES + 16
"""Bytes that a box has more than what is in it: the nonce and the tag."""


@pytest.mark.parametrize("cut", [b"", b"x", b"x" * NONCE_BYTES, b"x" * OVERHEAD])
def test_what_is_no_box_does_not_open(cut: bytes) -> None:
    """Too few bytes are refused like wrong ones."""
    with pytest.raises(Unopenable):
        Box(SECRET).open(cut, b"here")


def test_a_box_does_not_open_elsewhere() -> None:
    """What was sealed for one place is nothing at another."""
    sealed = Box(SECRET).seal(b"words", b"here")

    with pytest.raises(Unopenable):
        Box(SECRET).open(sealed, b"there")


def test_another_key_does_not_open_it() -> None:
    """A key of another purpose is another key."""
    sealed = Box(derived(SECRET, "one")).seal(b"words", b"here")

    with pytest.raises(Unopenable):
        Box(derived(SECRET, "two")).open(sealed, b"here")


@given(data=st.binary(max_size=200), at=st.integers(min_value=0))
def test_no_flipped_bit_goes_unnoticed(data: bytes, at: int) -> None:
    """Any change of any bit is found; without one the bytes come back."""
    sealed = bytearray(Box(SECRET).seal(data, b"here"))
    assert len(sealed) == len(data) + OVERHEAD
    assert Box(SECRET).open(bytes(sealed), b"here") == data

    sealed[at % len(sealed)] ^= 1 << (at % 8)
    with pytest.raises(Unopenable):
        Box(SECRET).open(bytes(sealed), b"here")


def test_no_nonce_comes_twice() -> None:
    """The same words are never sealed the same way."""
    box = Box(SECRET)
    nonces = {box.seal(b"same", b"here")[:NONCE_BYTES] for _ in range(20_000)}

    assert len(nonces) == 20_000
