"""FastAPI's side of the keys: a request in, a caller who may do this out; never a key."""

from dataclasses import dataclass
from typing import Annotated, Protocol, cast

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.labels import repeated
from officeai_proxy.auth.permissions import check_scope
from officeai_proxy.model import Caller, Scope

# It only describes: refusing is the keyring's, which knows the reason. A second one of that name
# would take the place of its description.
API_KEY = HTTPBearer(
    scheme_name="ApiKey",
    description="A key of this proxy, such as `sk-oai-…`, or one of OFFICEAI_API_KEYS.",
    auto_error=False,
)


class Services(Protocol):
    """What authentication needs of `app.state.services`."""

    @property
    def keyring(self) -> Keyring:
        """All keys that open something."""


def authenticate(request: Request) -> Caller:
    """The caller of *request*, whatever the key may do.

    Raises:
        InvalidRequest: there are several Authorization headers, and no way to tell which is meant.
        InvalidKey: there is no key, or it opens nothing.
        TooManyWrongKeys: it opens nothing, as many before it from this address.
        KeysUnavailable: the managed keys could never be read, so that nobody knows.
    """
    values = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if len(values) > 1:
        raise repeated("Authorization", len(values))
    services = cast("Services", request.app.state.services)
    address = request.client.host if request.client else "unknown"
    return services.keyring.caller_of(values[0] if values else None, address)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency that gives the caller, whose key must have `scope`.

    A value, not a closure, so that `api.policy` can read off a route what it asks for.
    """

    scope: Scope

    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(API_KEY)],
    ) -> Caller:
        """The caller of *request*. Raises as `authenticate` and `check_scope` do."""
        caller = authenticate(request)
        check_scope(caller, self.scope)
        return caller


def require(scope: Scope) -> Requirement:
    """A dependency that gives the caller, whose key must have *scope*."""
    return Requirement(scope)
