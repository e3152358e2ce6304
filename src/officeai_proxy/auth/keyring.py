"""From an `Authorization` header to the caller: one hash and one look-up, in memory, no waiting.

The keyring never reads the database itself; `auth.refresher` hands it the managed keys. A key
that it does not know may be one that another worker has just made, so that it asks for newer ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from officeai_proxy.auth.keys import digest
from officeai_proxy.auth.wrong_keys import WrongKeys
from officeai_proxy.errors import InvalidKey, KeysUnavailable
from officeai_proxy.model import ApiKey, Caller

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
WRONG_SCHEME = (
    "The Authorization header is not understood. You need to provide your API key using Bearer "
    "auth (i.e. Authorization: Bearer YOUR_KEY)."
)
WRONG_KEY = (
    "Incorrect API key provided. Use a key of this proxy; whoever runs it can make one with "
    "`officeai-proxy keys create`."
)


MOST_SEEN = 4096
"""Headers whose keys are known, until the managed keys are read anew, every two seconds."""

LONGEST_SEEN = 512
"""Bytes. A header may hold 60 KB of spaces beside a good key, and any number of ways to do so."""


@dataclass(frozen=True, slots=True)
class _Managed:
    """A managed key and the caller it stands for, made once and not on every call."""

    key: ApiKey
    caller: Caller


class Keyring:
    """All keys that open something, by digest: the configured ones and the managed ones."""

    def __init__(
        self,
        configured: Sequence[str],
        clock: Callable[[], datetime],
        newer: Callable[[], Sequence[ApiKey] | None] = lambda: None,
    ) -> None:
        """Know the keys of the settings; *clock* tells when a managed key has expired.

        *newer* gives all managed keys where another worker knows of changes, without waiting.
        """
        self._clock = clock
        self._newer = newer
        # A configured key may be a guessable word, so that its id tells nothing of it.
        self._configured = {
            digest(key): Caller(key_id=f"configured-{place}")
            for place, key in enumerate(configured, start=1)
        }
        self._managed: dict[bytes, _Managed] | None = None
        self._ended: set[bytes] = set()
        self.is_outdated = False
        """Whether the managed keys cannot be read now, so that there may be more of them."""
        self._wrong_keys = WrongKeys()
        # Clients send the same header with every call: whose it is has to be worked out once.
        self._seen: dict[bytes, _Managed | Caller] = {}

    @property
    def managed_known(self) -> bool:
        """Whether the managed keys were read at least once."""
        return self._managed is not None

    @property
    def lets_nobody_in(self) -> bool:
        """Whether every call is refused, because no key at all is known."""
        return self._managed is None and not self._configured

    def replace_managed(self, keys: Sequence[ApiKey]) -> None:
        """From now on *keys* are the managed ones, and no others."""
        before = self._managed or {}
        self._managed = {key.digest: _Managed(key, key.caller()) for key in keys}
        self._ended = (self._ended | before.keys()) - self._managed.keys()
        self._seen.clear()

    def limited_accounts(self) -> set[str]:
        """What the calls of the managed keys with limits are counted on."""
        keys = [managed.key for managed in (self._managed or {}).values()]
        return {key.account for key in keys if key.limits is not None}

    def caller_of(self, authorization: bytes | None, address: str = "") -> Caller:
        """The caller whose key the `Authorization` header holds (RFC 6750, section 2.1).

        *address* is where the request came from.

        Raises:
            InvalidKey: there is no key, or it opens nothing (any more).
            KeysUnavailable: nobody knows, because the managed keys cannot be read.
            TooManyWrongKeys: the key opens nothing, as many others from the same address.
        """
        seen = self._seen.get(authorization or b"")
        if seen is None:
            seen = self._found(authorization, address)
            header = authorization or b""
            if len(self._seen) < MOST_SEEN and len(header) <= LONGEST_SEEN:
                self._seen[header] = seen
        if isinstance(seen, Caller):
            return seen
        if not seen.key.is_active(self._clock()):
            self._wrong_keys.note(address, seen.key.digest)
            raise InvalidKey(WRONG_KEY)
        return seen.caller

    def _found(self, authorization: bytes | None, address: str) -> "_Managed | Caller":
        found = digest(_bearer_token(authorization))
        configured = self._configured.get(found)
        if configured is not None:
            return configured
        if self._managed is None:
            raise KeysUnavailable
        managed = self._managed.get(found) or self._just_made(found)
        if managed is None:
            if self.is_outdated and found not in self._ended:
                raise KeysUnavailable
            self._wrong_keys.note(address, found)
            raise InvalidKey(WRONG_KEY)
        return managed

    def _just_made(self, found: bytes) -> _Managed | None:
        keys = self._newer()
        if keys is None:
            return None
        self.replace_managed(keys)
        return (self._managed or {}).get(found)


def _bearer_token(authorization: bytes | None) -> bytes:
    scheme, _, token = (authorization or b"").strip().partition(b" ")
    if scheme.lower() != b"bearer":
        raise InvalidKey(WRONG_SCHEME if scheme else NO_KEY)
    if not token:
        raise InvalidKey(NO_KEY)
    return token.strip()
