"""Whatever stands in `Authorization` or in a label, it is a good one or refused in good order."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from tests.fuzz.mangling import every_seed, fuzzed, mangled, seeds, tried

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.keys import digest, hint
from officeai_proxy.auth.labels import MAX_LENGTH, check_label, label
from officeai_proxy.errors import InvalidRequest, RequestRefused, UnprocessableInput
from officeai_proxy.model import ApiKey, Scope

CONFIGURED, MANAGED = "sk-configured-0123456789", "sk-oai-managed-0123456789"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

MANAGED_KEY = ApiKey(
    id="key_1",
    name="k",
    digest=digest(MANAGED),
    hint=hint(MANAGED),
    workspace="w",
    scopes=frozenset({Scope.READ}),
    created_at=NOW,
)


def check_key(header: bytes) -> None:
    """Only the very keys open anything; everything else is refused, and never repeated."""
    # Each has a ring of its own, for floods of wrong keys are noticed.
    ring = Keyring([CONFIGURED], lambda: NOW)
    ring.replace_managed([MANAGED_KEY])
    caller, refused = tried(lambda: ring.caller_of(header), RequestRefused)
    if caller is None:
        assert refused is not None
        assert refused.status == 401
        shown = header[7:].decode("utf-8", "replace").strip()
        assert len(shown) < 4 or shown not in refused.message or shown in "Bearer YOUR_KEY."
        return
    scheme, key = header.split(maxsplit=1)
    assert scheme.lower() == b"bearer"
    assert {"configured-1": CONFIGURED, "key_1": MANAGED}[caller.key_id].encode() == key.strip()


def check_value(value: bytes) -> None:
    """A name that every database and address can hold, or the reason why not."""
    name, refused = tried(lambda: label("X-Session-ID", [value]), InvalidRequest)
    if refused is not None:
        assert refused.param == "X-Session-ID"
        assert len(refused.message) < 300
        return
    assert name is not None
    assert 1 <= len(name) <= MAX_LENGTH
    assert "/" not in name
    assert name == name.strip()
    assert name in value.decode()
    assert check_label("session_id", name) == name
    assert label("X-Session-ID", [name.encode()]) == name


@every_seed("authorization")
def test_known_headers(data: bytes) -> None:
    """The corpus, as header and as key."""
    check_key(data)
    check_key(b"Bearer " + data)


@fuzzed(data=mangled("authorization"))
def test_headers(data: bytes) -> None:
    """Mangled headers."""
    check_key(data)


@fuzzed(
    key=st.sampled_from([CONFIGURED, MANAGED]),
    place=st.integers(0, 30),
    change=st.binary(max_size=2),
    scheme=st.sampled_from([b"Bearer ", b"bearer  ", b"BEARER ", b" Bearer "]),
)
def test_keys_that_are_nearly_right(key: str, place: int, change: bytes, scheme: bytes) -> None:
    """A good key with something taken out or put in is another key."""
    check_key(scheme + key[:place].encode() + change + key[place:].encode())
    check_key(scheme + key[:place].encode() + change + key[place + 1 :].encode())


@every_seed("labels")
def test_known_labels(data: bytes) -> None:
    """The corpus of names."""
    check_value(data)


@fuzzed(data=mangled("labels"))
def test_labels(data: bytes) -> None:
    """Mangled names."""
    check_value(data)


@fuzzed(values=st.lists(st.sampled_from(seeds("labels")), min_size=2, max_size=4))
def test_repeated_labels(values: list[bytes]) -> None:
    """Of several none is chosen, however much they agree."""
    _, refused = tried(lambda: label("X-User-ID", values), InvalidRequest)

    assert refused is not None
    assert str(len(values)) in refused.message


@fuzzed(text=st.text(max_size=300))
def test_names_in_addresses(text: str) -> None:
    """Names as text obey the same rules, and errors say which name it is."""
    name, refused = tried(lambda: check_label("user", text), UnprocessableInput)

    if name is None:
        assert refused is not None
        assert refused.param == "user"
    else:
        check_value(name.encode())
