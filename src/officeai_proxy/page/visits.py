"""A key in, a session of the page out, and back again: a token in a cookie stands for the key.

A token is 256 random bits; stored is its SHA-256. It opens the page for as long as it lives and the
key lives: at every request the key is asked again, so that a session dies with it.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from officeai_proxy.auth.keys import digest
from officeai_proxy.errors import InvalidKey
from officeai_proxy.model import Caller
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.access.page_visits import PageVisit, PageVisitRepository, VisitKind
from officeai_proxy.storage.database import Database

if TYPE_CHECKING:
    # The command line makes an invitation without having loaded the framework.
    from officeai_proxy.api.dependencies import Services

LIFE = timedelta(days=7)
"""How long a session lives; then the key is asked for again."""

INVITATION_LIFE = timedelta(minutes=15)
"""How long a link that signs in once can be used."""

COOKIE = "officeai_page"

_LONGEST_TOKEN = 100

_HERE = "page"
"""Where a key that is configured here comes from."""


class NotSignedIn(Exception):
    """Nobody is there: the reader goes to the door, and is told of no error."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who is signed in: the token of the session, and what its key may do."""

    token: str
    caller: Caller


async def invite(database: Database, key: str, *, now: datetime) -> str:
    """A token that signs in once, for whoever holds the managed key *key*.

    Raises:
        InvalidKey: there is no such managed key.
    """
    token = secrets.token_urlsafe(32)
    async with database.write() as connection:
        keys = await ApiKeyRepository(connection).active(now)
        found = next((one for one in keys if one.digest == digest(key)), None)
        if found is None:
            raise InvalidKey
        visit = PageVisit(
            digest=_digest(token),
            kind=VisitKind.INVITATION,
            key_id=found.id,
            created_at=now,
            expires_at=now + INVITATION_LIFE,
        )
        await PageVisitRepository(connection).add(visit)
    return token


async def sign_in(services: "Services", key: str, *, address: str) -> str:
    """The token of a new session that stands for *key*, which came from *address*.

    Raises:
        InvalidKey: it opens nothing.
        TooManyWrongKeys: it opens nothing, as many before it from this address.
        KeysUnavailable: nobody knows yet whether it does.
        DatabaseUnavailable: the session cannot be stored.
    """
    bearer = b"Bearer " + key.strip().encode("utf-8", "replace")
    caller = services.keyring.caller_of(bearer, address)
    configured = any(key.strip() == known for known in _configured(services))
    return await _begin(services, caller.key_id, key.strip() if configured else None)


async def enter(services: "Services", once: str) -> str:
    """The token of a new session for whoever has the invitation *once*; it opens no second one.

    Raises:
        NotSignedIn: it was used, has expired or never was one.
    """
    now = services.clock()
    async with services.database.write() as connection:
        visits = PageVisitRepository(connection)
        found = await visits.find(_digest(once), kind=VisitKind.INVITATION, now=now)
        if found is None or not await visits.end(found.digest, now=now):
            raise NotSignedIn
    return await _begin(services, found.key_id, None)


async def visit_of(services: "Services", token: str | None) -> Visit | None:
    """Who the cookie *token* stands for; None when that is over, or never was."""
    if not token or len(token) > _LONGEST_TOKEN:
        return None
    now = services.clock()
    async with services.database.read() as connection:
        visits = PageVisitRepository(connection)
        found = await visits.find(_digest(token), kind=VisitKind.SESSION, now=now)
        if found is None:
            return None
        key = None if found.binding is not None else await visits.key_of(found)
    if found.binding is not None:
        caller = _configured_caller(services, token, found.binding)
    else:
        caller = key.caller() if key is not None and key.is_active(now) else None
    return None if caller is None else Visit(token, caller)


async def sign_out(services: "Services", token: str) -> None:
    """End the session of *token*."""
    async with services.database.write() as connection:
        await PageVisitRepository(connection).end(_digest(token), now=services.clock())


async def _begin(services: "Services", key_id: str, configured_key: str | None) -> str:
    """A session. A configured key has no row that could be asked: the token is tied to its text."""
    token = secrets.token_urlsafe(32)
    now = services.clock()
    visit = PageVisit(
        digest=_digest(token),
        kind=VisitKind.SESSION,
        key_id=key_id,
        binding=None if configured_key is None else _binding(token, configured_key),
        created_at=now,
        expires_at=now + LIFE,
    )
    async with services.database.write() as connection:
        visits = PageVisitRepository(connection)
        await visits.forget(now=now)
        await visits.add(visit)
    return token


def _configured_caller(services: "Services", token: str, binding: bytes) -> Caller | None:
    """The caller of the configured key that *token* was made with, if it is configured still."""
    for key in _configured(services):
        if hmac.compare_digest(_binding(token, key), binding):
            try:
                return services.keyring.caller_of(b"Bearer " + key.encode(), _HERE)
            except InvalidKey:
                return None
    return None


def _configured(services: "Services") -> list[str]:
    return [key.get_secret_value() for key in services.settings.api_keys]


def _binding(token: str, key: str) -> bytes:
    """Who reads the database has no token, and cannot try words against this."""
    return hmac.digest(token.encode(), key.encode(), "sha256")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
