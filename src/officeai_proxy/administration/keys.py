"""Routes of keys: make, list, rotate, revoke; a key can do that only within itself.

Each change is stored together with its row of the audit log, and is in force in this worker before
it is answered; the others hear of it within seconds.
"""

from http import HTTPStatus
from typing import Annotated, Protocol, cast

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from officeai_proxy.administration.key_schemas import KeyList, NewKey, NewKeyOut, Rotation
from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Administrator
from officeai_proxy.api.dependencies import Services as ApiServices
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import Cursor, Limit, Offset, PlainText
from officeai_proxy.audit import Trail
from officeai_proxy.auth.granting import check_within
from officeai_proxy.auth.keys import end_of_overlap, make_key, rotated
from officeai_proxy.model import Caller
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.audit.log import append

router = APIRouter(tags=["Keys"], route_class=JsonRoute, default_response_class=JsonAnswer)


class Services(ApiServices, Protocol):
    """What these routes need of `app.state.services`."""

    async def refresh_keys(self) -> None:
        """Bring the keys of this worker to what is stored; never fails."""
        ...


async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


Keys = Annotated[Services, Depends(_services)]
KeyPath = Annotated[
    PlainText,
    Path(
        description="The key's `id`, never the key.",
        openapi_examples={"one": {"value": "key_0123456789abcdef"}},
    ),
]

_ONE = problems(HTTPStatus.NOT_FOUND)


@router.post(
    "/keys", summary="Make a key", status_code=HTTPStatus.CREATED, responses=problems(body=True)
)
async def create_key(
    body: NewKey,
    trail: Annotated[Trail, audited(Action.CREATE_KEY)],
    caller: Administrator,
    services: Keys,
) -> NewKeyOut:
    """Make a key, which is shown in this answer only. It can do at most what yours can."""
    return await made_key(body, trail, caller, services)


async def made_key(
    body: NewKey, trail: Trail, caller: Caller, services: Services, *, key_id: str | None = None
) -> NewKeyOut:
    """The key that *body* asks for, made for *caller*.

    Raises:
        NotAllowed: it would open what the caller's key does not.
        KeyMade: there is one of the id *key_id*.
    """
    now = services.clock()
    key, stored = make_key(
        body.name,
        now=now,
        workspace=body.workspace or caller.workspace,
        scopes=caller.scopes if body.scopes is None else frozenset(body.scopes),
        user=body.user or caller.user,
        expires_at=caller.expires_at if body.expires is None else now + body.expires,
        limits=body.limits_within(caller.limits),
        key_id=key_id,
    )
    check_within(caller, stored)
    async with services.database.write() as connection:
        await ApiKeyRepository(connection).add(stored)
        await append(connection, trail.event(user=stored.user, target=stored.id))
    await services.refresh_keys()
    return NewKeyOut.made(stored, key, now)


@router.get("/keys", summary="List keys", responses=problems())
async def list_keys(
    trail: Annotated[Trail, audited(Action.LIST_KEYS)],
    caller: Administrator,
    services: Keys,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> KeyList:
    """The keys of this workspace, revoked ones too, oldest first; those of the settings are not
    among them.
    """
    wanted = page_request(limit=limit, offset=offset, cursor=cursor)
    async with services.database.read() as connection:
        page = await ApiKeyRepository(connection).page(caller, wanted)
    await trail.leave(detail={"keys": len(page.items)})
    return KeyList.of(page, wanted, services.clock())


@router.post(
    "/keys/{key_id}/rotate",
    summary="Replace a key",
    status_code=HTTPStatus.CREATED,
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, body=True),
)
async def rotate_key(
    key_id: KeyPath,
    trail: Annotated[Trail, audited(Action.ROTATE_KEY)],
    caller: Administrator,
    services: Keys,
    body: Annotated[Rotation | None, Body()] = None,
) -> NewKeyOut:
    """Make a key with the same rights; the old one goes on working for the `overlap`, a day if you
    do not say.
    """
    return await successor(key_id, body or Rotation(), trail, caller, services)


async def successor(
    key_id: str,
    body: Rotation,
    trail: Trail,
    caller: Caller,
    services: Services,
    *,
    successor_id: str | None = None,
) -> NewKeyOut:
    """A key in the place of *key_id*, made for *caller*.

    Raises:
        NotFound: there is no such key behind the caller's wall.
        NotAllowed: the new key would open what the caller's does not.
        Conflict: the old key is no longer in force.
        KeyMade: there is one of the id *successor_id*.
    """
    now = services.clock()
    async with services.database.write() as connection:
        keys = ApiKeyRepository(connection)
        old = await keys.find(key_id, caller, lock=True)
        first_end = await keys.first_end(old)
        key, stored = rotated(old, now=now, expires_at=first_end, key_id=successor_id)
        # Whoever gets the new key gets its rights, and its end, which may be later than the old's.
        check_within(caller, stored)
        until = end_of_overlap(old, now=now, overlap=body.overlap)
        await keys.take_over(old, stored, now=now, until=until)
        await append(
            connection, trail.event(user=old.user, target=old.id, detail={"successor": stored.id})
        )
    await services.refresh_keys()
    return NewKeyOut.made(stored, key, now)


@router.delete(
    "/keys/{key_id}",
    summary="Revoke a key",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=_ONE,
)
async def revoke_key(
    key_id: KeyPath,
    trail: Annotated[Trail, audited(Action.REVOKE_KEY)],
    caller: Administrator,
    services: Keys,
) -> None:
    """Make a key worthless for good; doing it again changes nothing."""
    async with services.database.write() as connection:
        keys = ApiKeyRepository(connection)
        key = await keys.find(key_id, caller, lock=True)
        if await keys.revoke(key.id, now=services.clock()):
            await append(connection, trail.event(user=key.user, target=key.id))
    await services.refresh_keys()
