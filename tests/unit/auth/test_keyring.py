"""From an Authorization header to the caller, or to the reason why not."""

from datetime import UTC, datetime, timedelta

import pytest

from officeai_proxy.auth.keyring import LONGEST_SEEN, MOST_SEEN, Keyring
from officeai_proxy.auth.keys import digest, hint, new_key
from officeai_proxy.errors import InvalidKey, KeysUnavailable
from officeai_proxy.model import ApiKey, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(clock: Clock) -> Keyring:
    """A keyring with one configured key and no managed ones."""
    ring = Keyring(["sk-configured"], clock)
    ring.replace_managed([])
    return ring


def managed(key: str, **more: object) -> ApiKey:
    fields = {
        "id": "key_1",
        "name": "test",
        "digest": digest(key),
        "hint": hint(key),
        "workspace": "team",
        "scopes": frozenset({Scope.CHAT}),
        "created_at": NOW,
    }
    return ApiKey(**{**fields, **more})  # type: ignore[arg-type]  # a table of test values


@pytest.mark.parametrize("header", [None, b"", b"   ", b"Bearer", b"Bearer ", b"bearer    "])
def test_no_key_is_refused_in_openai_words(keyring: Keyring, header: bytes | None):
    """Whoever sends no key is told how to send one, as OpenAI does."""
    with pytest.raises(InvalidKey, match="You didn't provide an API key"):
        keyring.caller_of(header)


@pytest.mark.parametrize("header", [b"Basic c2s6", b"sk-configured", b"Token sk-configured"])
def test_other_schemes_are_refused(keyring: Keyring, header: bytes):
    """Only Bearer is understood, and the message says so."""
    with pytest.raises(InvalidKey, match="Bearer"):
        keyring.caller_of(header)


@pytest.mark.parametrize(
    "key", [b"sk-other", b"sk-configured2", b"SK-CONFIGURED", b"sk-configured, x", b"\xff\xfe"]
)
def test_a_wrong_key_is_refused_without_repeating_it(keyring: Keyring, key: bytes):
    """A key that opens nothing is refused, and nothing of it comes back."""
    with pytest.raises(InvalidKey) as caught:
        keyring.caller_of(b"Bearer " + key)

    assert "Incorrect API key provided" in caught.value.message
    assert key.decode("latin-1") not in caught.value.message


def test_an_expired_key_is_refused_from_the_moment_on(keyring: Keyring, clock: Clock):
    """A key opens until it expires, and from that moment on nothing."""
    key = new_key()
    keyring.replace_managed([managed(key, expires_at=NOW + timedelta(minutes=1))])
    header = f"Bearer {key}".encode()

    assert keyring.caller_of(header).key_id == "key_1"
    clock.now += timedelta(minutes=1)
    with pytest.raises(InvalidKey):
        keyring.caller_of(header)


def test_a_revoked_key_is_refused(keyring: Keyring):
    """A revoked key opens nothing, also when it is still in the list."""
    key = new_key()
    keyring.replace_managed([managed(key, revoked_at=NOW)])

    with pytest.raises(InvalidKey):
        keyring.caller_of(f"Bearer {key}".encode())


def test_a_removed_key_is_refused(keyring: Keyring):
    """A new list takes the place of the old one whole."""
    first, second = new_key(), new_key()
    keyring.replace_managed([managed(first)])
    assert keyring.caller_of(f"Bearer {first}".encode()).key_id == "key_1"
    keyring.replace_managed([managed(second, id="key_2")])

    assert keyring.caller_of(f"Bearer {second}".encode()).key_id == "key_2"
    with pytest.raises(InvalidKey):
        keyring.caller_of(f"Bearer {first}".encode())


def test_what_is_remembered_of_headers_is_bounded(keyring: Keyring):
    """A good key opens however its header is written, and few short headers are remembered."""
    key = new_key()
    keyring.replace_managed([managed(key)])
    long = [b"Bearer " + b" " * (1000 + n) + key.encode() for n in range(3)]
    short = [b"bearer" + b" " * (1 + n % 400) + key.encode() for n in range(400)]

    assert {keyring.caller_of(header).key_id for header in (*long, *short)} == {"key_1"}
    assert max(map(len, keyring._seen)) <= LONGEST_SEEN
    assert len(keyring._seen) <= MOST_SEEN


def test_before_the_first_reading_an_unknown_key_is_nobodys_fault(clock: Clock):
    """While the managed keys could never be read, an unknown key is a 503 and not a 401."""
    keyring = Keyring(["sk-configured"], clock)

    assert not keyring.managed_known
    with pytest.raises(KeysUnavailable):
        keyring.caller_of(b"Bearer sk-other")
    assert keyring.caller_of(b"Bearer sk-configured").workspace == "default"


def test_an_empty_reading_is_a_reading(clock: Clock):
    """A database without keys is known to have none."""
    keyring = Keyring([], clock)
    keyring.replace_managed([])

    assert keyring.managed_known
    with pytest.raises(InvalidKey):
        keyring.caller_of(b"Bearer sk-other")


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b" Bearer  "])
def test_a_configured_key_opens_everything_of_the_default_workspace(
    keyring: Keyring, scheme: bytes
):
    """A key of the settings has every scope in `default`; the scheme's case does not matter."""
    caller = keyring.caller_of(scheme + b" sk-configured")

    assert caller.workspace == "default"
    assert caller.scopes == frozenset(Scope)
    assert caller.user is None


def test_the_id_of_a_configured_key_tells_nothing_of_it(keyring: Keyring):
    """The id stands in logs, so that it is a number and no part of the key."""
    assert keyring.caller_of(b"Bearer sk-configured").key_id == "configured-1"


def test_a_managed_key_brings_its_walls(keyring: Keyring):
    """Workspace, scopes and user of a managed key are those of its caller."""
    key = new_key()
    keyring.replace_managed([managed(key, user="alice")])

    caller = keyring.caller_of(f"Bearer {key}".encode())

    assert (caller.workspace, caller.scopes, caller.user) == ("team", {Scope.CHAT}, "alice")
