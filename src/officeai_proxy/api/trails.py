"""What a request leaves in the audit log: a dependency of every route that a key opens.

A route says what it is about to do (`Trail` of an action) and, once it knows, to whose what. What
is refused because nothing is there, or because the key may not, leaves its row here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import Depends, Request

from officeai_proxy.api.dependencies import Services
from officeai_proxy.audit import Trail
from officeai_proxy.auth.dependencies import authenticate
from officeai_proxy.errors import NotAllowed, NotFound
from officeai_proxy.storage.audit.chain import Action


@asynccontextmanager
async def refusals_left(trail: Trail, request: Request) -> AsyncIterator[None]:
    """What *request* is refused meanwhile, because nothing is there or the key may not, is left on
    *trail* with the first name in its address.
    """
    try:
        yield
    except (NotAllowed, NotFound) as refusal:
        names = [str(value) for value in request.path_params.values()]
        await trail.refused(refusal.code or "refused", target=names[0] if names else None)
        raise


class Audited:
    """A dependency that gives the trail of a request which is about to do one thing.

    It stands before the route's caller, so that a refusal for a missing scope is seen here. It is a
    value and not a closure, so that what a route leaves behind can be read off the route.
    """

    def __init__(self, action: Action) -> None:
        """The thing is *action*."""
        self.action = action

    async def __call__(self, request: Request) -> AsyncIterator[Trail]:
        """The trail of *request*. Raises as `authenticate` does."""
        services = cast("Services", request.app.state.services)
        client_ip = request.client.host if request.client else None
        trail = services.audit.trail(self.action, authenticate(request), client_ip=client_ip)
        async with refusals_left(trail, request):
            yield trail


def audited(action: Action) -> Any:
    """`Audited` as FastAPI wants it in a signature."""
    return Depends(Audited(action))
