"""What somebody erased for good to the ids under which that is remembered; pure.

An erased conversation must not come back from calls that were on their way when it was erased: in a
journal that is read later, on another host, or set aside. Ids of calls that nobody has seen yet are
not known, so the name itself is remembered, as a digest: with it, calls that began before the
erasure are told apart, and later ones begin anew.

The digest is a UUID of version 8 (RFC 9562, 5.8), so that it is never the id of a call (version 7)
and stands beside those in one table. Whoever can guess a name can find its digest; nobody can read
the name from it.
"""

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

_VERSION_8 = (0x8 << 76) | (0b10 << 62)
_KEPT = (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)

ANYBODY = ""
"""Stands for the user of calls that named none; no user is called so."""

EVERYTHING = ""
"""Stands for all sessions; no session is called so."""


def burials_of(workspace: str, user: str, session: str) -> tuple[UUID, UUID]:
    """What is remembered when this conversation is erased.

    Calls that named no user may have been meant for it as well: of those, deleting wins.
    """
    return _id(workspace, user, session), _id(workspace, ANYBODY, session)


def burial_of_user(workspace: str, user: str) -> UUID:
    """What is remembered when everything of *user* is erased."""
    return _id(workspace, user, EVERYTHING)


def graves_of(workspace: str, user: str | None, session: str | None, address: str) -> list[UUID]:
    """Where to look whether a call of this *user* and *session* was erased before it was stored.

    A call that names no user is that of its caller's *address*.
    """
    who = user or address
    found = [burial_of_user(workspace, who)]
    if session is not None:
        found.append(_id(workspace, who, session))
        if user is None:
            found.append(_id(workspace, ANYBODY, session))
    return found


# The same few people call again and again.
@lru_cache(maxsize=4096)
def _id(workspace: str, user: str, session: str) -> UUID:
    names = "\0".join((workspace, user, session)).encode("utf-8", "surrogatepass")
    digest = blake2b(names, digest_size=16, person=b"officeai burial").digest()
    return UUID(int=int.from_bytes(digest) & _KEPT | _VERSION_8)
