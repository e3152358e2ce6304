"""Floods of wrong keys are slowed, in little memory, and lock nobody out."""

from datetime import UTC, datetime
from itertools import count

import pytest

from officeai_proxy.auth import wrong_keys
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.keys import digest, make_key
from officeai_proxy.auth.wrong_keys import MOST, WrongKeys
from officeai_proxy.errors import InvalidKey, TooManyWrongKeys


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


_NUMBERS = count()


def note(keys: WrongKeys, address: str) -> None:
    """A wrong key that never came before."""
    keys.note(address, digest(f"sk-{next(_NUMBERS)}"))


def flood(keys: WrongKeys, address: str) -> None:
    for _ in range(MOST):
        note(keys, address)


def test_one_too_many_is_refused_until_the_minute_is_over(caplog: pytest.LogCaptureFixture):
    """The refusal says how long; after it the address counts anew. One line in the log."""
    clock = Clock()
    keys = WrongKeys(clock=clock)
    flood(keys, "10.0.0.1")
    clock.now += 20
    for _ in range(3):
        with pytest.raises(TooManyWrongKeys) as caught:
            note(keys, "10.0.0.1")
    assert (caught.value.status, caught.value.retry_after) == (429, 40)
    assert len(caplog.records) == 1

    clock.now += 40
    flood(keys, "10.0.0.1")


def test_addresses_count_apart_and_networks_of_ipv6_together():
    """A neighbour is not refused; whoever has 2^64 addresses has them all as one."""
    keys = WrongKeys()
    flood(keys, "10.0.0.1")
    note(keys, "10.0.0.2")
    flood(keys, "2001:db8::1")
    note(keys, "2001:db8:0:1::1")

    with pytest.raises(TooManyWrongKeys):
        note(keys, "2001:db8::ffff")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """However many addresses come, so many are remembered: those that came last."""
    monkeypatch.setattr(wrong_keys, "ADDRESSES", 3)
    keys = WrongKeys()
    flood(keys, "last")
    for number in range(2):
        note(keys, f"other {number}")
    with pytest.raises(TooManyWrongKeys):
        note(keys, "last")
    for number in range(3):
        note(keys, f"another {number}")

    note(keys, "last")


def test_the_same_wrong_key_is_no_guess():
    """A program whose key has ended hears so each time, also while others guess from there."""
    keys = WrongKeys()
    for _ in range(3 * MOST):
        keys.note("10.0.0.1", digest("sk-ended"))
    for _ in range(MOST - 1):
        note(keys, "10.0.0.1")
    with pytest.raises(TooManyWrongKeys):
        note(keys, "10.0.0.1")

    keys.note("10.0.0.1", digest("sk-ended"))


def test_an_expired_key_is_told_so_as_often_as_it_comes():
    """It is a 401 each time: for a 429 an SDK would wait and send the call again."""
    now = datetime.now(UTC)
    key, stored = make_key("ended", now=now, expires_at=now)
    keyring = Keyring([], lambda: now)
    keyring.replace_managed([stored])

    for _ in range(2 * MOST):
        with pytest.raises(InvalidKey):
            keyring.caller_of(f"Bearer {key}".encode(), "10.0.0.1")


def test_a_correct_key_always_works():
    """A flood from an address locks nobody out who calls from there with a key that is right."""
    keyring = Keyring(["sk-right"], lambda: datetime.now(UTC))
    keyring.replace_managed([])
    for number in range(MOST):
        with pytest.raises(InvalidKey):
            keyring.caller_of(f"Bearer sk-wrong-{number}".encode(), "10.0.0.1")
    with pytest.raises(TooManyWrongKeys):
        keyring.caller_of(b"Bearer sk-wrong", "10.0.0.1")

    assert keyring.caller_of(b"Bearer sk-right", "10.0.0.1").key_id == "configured-1"
