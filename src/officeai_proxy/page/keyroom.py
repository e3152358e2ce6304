"""Keys and the audit log for administrators: what `administration` does, shown on the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_urlsafe
from typing import cast

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from officeai_proxy.administration.key_schemas import NewKey, NewKeyOut, Rotation
from officeai_proxy.administration.keys import KeyPath, made_key, revoke_key, successor
from officeai_proxy.administration.keys import Services as KeyServices
from officeai_proxy.auth.key_lines import key_state
from officeai_proxy.auth.keys import id_of
from officeai_proxy.errors import KeyMade, RequestRefused, UnprocessableInput
from officeai_proxy.model import MAX_INTEGER, ApiKey, Json, Scope
from officeai_proxy.page.desk import AdminDesk, Desk, see_other
from officeai_proxy.page.forms import Cursor, Name, fields_of
from officeai_proxy.page.sentences import Told
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository, detail_of
from officeai_proxy.storage.paging import PageRequest

router = APIRouter()

KEYS = 200
ROWS = 80

_NUMBERS = ("rpm", "tpm", "concurrency")
_BLANK: Mapping[str, str] = {f"scope-{scope}": "1" for scope in (Scope.CHAT, Scope.READ)}
"""A form that nobody has filled in."""

_DIGITS = len(str(MAX_INTEGER))


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A key, and whether it opens anything now."""

    key: ApiKey
    state: str


@router.get("/ui/keys")
async def show_keys(desk: AdminDesk, cursor: Cursor = "") -> Response:
    """The keys of the workspace, and the form that makes one."""
    return await _keys(desk, cursor=cursor)


@router.post("/ui/keys")
async def make_key(desk: AdminDesk, request: Request) -> Response:
    """Make a key of the form; it is shown in this answer and never again."""
    form = await fields_of(request)
    try:
        body = _asked(form)
        trail, services = desk.trail(Action.CREATE_KEY), _key_services(desk)
        made = await made_key(body, trail, desk.caller, services, key_id=_id_of(form, "new"))
    except KeyMade:
        return await _sent_before(desk)
    except ValidationError as exc:
        return await _keys(desk, fault=desk.told(_fault(exc)), typed=form)
    except RequestRefused as exc:
        return await _keys(desk, fault=desk.told(exc.message), typed=form)
    return await _keys(desk, made=made)


@router.get("/ui/keys/{key_id}/rotate")
async def ask_to_rotate(desk: AdminDesk, key_id: KeyPath) -> Response:
    """The sheet that says what becomes of a key that is replaced."""
    async with desk.services.database.read() as connection:
        key = await ApiKeyRepository(connection).find(key_id, desk.caller)
    return await desk.show("sheet_rotate.html", key=key, once=token_urlsafe())


@router.post("/ui/keys/{key_id}/rotate")
async def rotate(desk: AdminDesk, request: Request, key_id: KeyPath) -> Response:
    """Make a key in the place of another, which goes on working for a day."""
    form = await fields_of(request)
    try:
        made = await successor(
            key_id,
            Rotation(),
            desk.trail(Action.ROTATE_KEY),
            desk.caller,
            _key_services(desk),
            successor_id=_id_of(form, key_id),
        )
    except KeyMade:
        return await _sent_before(desk)
    except RequestRefused as exc:
        return await _keys(desk, fault=desk.told(exc.message))
    return await _keys(desk, made=made)


@router.get("/ui/keys/{key_id}/revoke")
async def ask_to_revoke(desk: AdminDesk, key_id: KeyPath) -> Response:
    """The sheet that asks whether a key may become worthless."""
    async with desk.services.database.read() as connection:
        key = await ApiKeyRepository(connection).find(key_id, desk.caller)
    is_own = key.id == desk.caller.key_id
    return await desk.show("sheet_revoke.html", key=key, is_own=is_own)


@router.post("/ui/keys/{key_id}/revoke")
async def revoke(desk: AdminDesk, key_id: KeyPath) -> Response:
    """Make a key worthless for good."""
    await revoke_key(key_id, desk.trail(Action.REVOKE_KEY), desk.caller, _key_services(desk))
    return see_other("/ui/keys")


@router.get("/ui/keys/audit")
async def show_audit(
    desk: AdminDesk,
    actor: Name = "",
    user: Name = "",
    cursor: Cursor = "",
) -> Response:
    """Who did what to whose what, when, and from where; newest first."""
    wanted = AuditFilter(actor=actor or None, user=user or desk.caller.user)
    async with desk.services.database.read() as connection:
        page = await AuditRepository(connection, desk.caller).page(
            wanted, PageRequest(limit=ROWS, cursor=cursor or None)
        )
    found = {"rows": len(page.items)}
    await desk.trail(Action.LIST_AUDIT).leave(
        user=wanted.user, detail=found, is_sealed=wanted.user is not None
    )
    return await desk.show(
        "audit.html",
        rows=[
            (row, ", ".join(f"{k} {v}" for k, v in detail_of(row).items())) for row in page.items
        ],
        total=page.total,
        actor=actor,
        user=user,
        next_cursor=page.next_cursor or "",
    )


async def _keys(
    desk: Desk,
    *,
    cursor: str = "",
    made: NewKeyOut | None = None,
    fault: Told | None = None,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
    typed: Mapping[str, str] = _BLANK,
) -> Response:
    """The page of keys; a *fault* has its *status*, and what was *typed* is kept to be mended."""
    now = desk.services.clock()
    async with desk.services.database.read() as connection:
        page = await ApiKeyRepository(connection).page(
            desk.caller, PageRequest(limit=KEYS, cursor=cursor or None)
        )
    await desk.trail(Action.LIST_KEYS).leave(detail={"keys": len(page.items)})
    return await desk.show(
        "keys.html",
        status=status if fault else HTTPStatus.OK,
        keys=[KeyShown(key, key_state(key, now)) for key in page.items],
        next_cursor=page.next_cursor or "",
        made=made,
        once=token_urlsafe(),
        fault=fault,
        typed=typed,
        scopes=[scope for scope in Scope if scope in desk.caller.scopes],
        every_scope=list(Scope),
    )


async def _sent_before(desk: Desk) -> Response:
    said = Told(desk.words("key.sent"), desk.language)
    return await _keys(desk, fault=said, status=HTTPStatus.CONFLICT)


def _asked(form: Mapping[str, str]) -> NewKey:
    """The key that *form* asks for.

    Raises:
        RequestRefused: a field cannot be used.
        ValidationError: the same, in pydantic's words, see `_fault`.
    """
    scopes: list[Json] = [scope.value for scope in Scope if form.get(f"scope-{scope}")]
    if not scopes:
        raise UnprocessableInput("Choose at least one thing that the key may do.", param="scopes")
    given: dict[str, Json] = {"name": form.get("name", ""), "scopes": scopes}
    given |= {name: form[name] for name in ("user", "expires") if form.get(name)}
    given |= {name: _limit(form[name]) for name in _NUMBERS if form.get(name)}
    return NewKey.model_validate(given)


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < _DIGITS and (number := int(text)):
        return number
    raise UnprocessableInput("A limit is a whole number from 1 up.")


def _fault(error: ValidationError) -> str:
    """What is wrong with a form whose values are texts and numbers: a sentence of our own."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _id_of(form: Mapping[str, str], what: str) -> str | None:
    """The id of the key that *form* asks for; any when the form has no token.

    The answer to a form shows the key, so whoever loads it again sends the form again. Each page
    has a token of its own in its forms, so that this makes no second key.
    """
    once = form.get("once")
    return id_of(once, what) if once else None


def _key_services(desk: Desk) -> KeyServices:
    return cast("KeyServices", desk.services)
