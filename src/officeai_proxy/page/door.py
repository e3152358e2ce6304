"""In and out: signing in with a key or a link that works once, signing out, language and theme."""

from datetime import timedelta
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from officeai_proxy.errors import InvalidKey
from officeai_proxy.page.desk import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    Desk,
    OpenDesk,
    Theme,
    bare_desk,
    own_address,
    see_other,
)
from officeai_proxy.page.forms import fields_of
from officeai_proxy.page.language import Language
from officeai_proxy.page.origins import is_from_elsewhere
from officeai_proxy.page.visits import COOKIE, LIFE, NotSignedIn, enter, sign_in, sign_out

router = APIRouter()

_A_YEAR = timedelta(days=365)


@router.get("/ui/enter")
async def show_door(
    desk: OpenDesk,
    next: str = "/ui",  # noqa: A002 - the parameter's name
    once: str = "",
    lost: str = "",
) -> Response:
    """Ask for a key; or, with a link that works once, go in at once.

    With `lost`, say that a change was not made, because the session had ended.

    A page of another site that leads here may want to sign the reader in as somebody else: then
    the reader is asked first.
    """
    if once and is_from_elsewhere(desk.request.headers):
        return await _door(desk, back="/ui", once=once)
    if once:
        return await _go_in_once(desk, once)
    if desk.visit is not None:
        return see_other(own_address(next))
    return await _door(desk, back=own_address(next), told="door.lost" if lost else "")


@router.post("/ui/enter")
async def go_in(request: Request) -> Response:
    """Sign in with the key, or the link, of the form."""
    desk = bare_desk(request)
    form = await fields_of(request)
    if form.get("once"):
        return await _go_in_once(desk, form["once"])
    back = own_address(form.get("next"))
    try:
        address = request.client.host if request.client else "unknown"
        token = await sign_in(desk.services, form.get("key", ""), address=address)
    except InvalidKey:
        return await _door(desk, back=back, fault="door.wrong")
    return _signed_in(desk, token, back)


@router.post("/ui/leave")
async def go_out(desk: OpenDesk) -> Response:
    """Sign out: the session is over, whoever else may have its cookie."""
    if desk.visit is not None:
        await sign_out(desk.services, desk.visit.token)
    answer = see_other("/ui/enter")
    answer.delete_cookie(COOKIE, path="/ui", httponly=True, samesite="strict")
    return answer


@router.post("/ui/preferences")
async def prefer(request: Request) -> Response:
    """Remember the language or the theme, and go back."""
    form = await fields_of(request)
    answer = see_other(own_address(form.get("next")))
    for name, cookie, known in (
        ("language", LANGUAGE_COOKIE, tuple(Language)),
        ("theme", THEME_COOKIE, tuple(Theme)),
    ):
        if form.get(name) in known:
            answer.set_cookie(
                cookie,
                form[name],
                max_age=int(_A_YEAR.total_seconds()),
                path="/ui",
                samesite="strict",
                httponly=True,
            )
    return answer


@router.get("/ui/static/{name}")
async def send_file(request: Request, name: str) -> Response:
    """One of the page's own files; open to everybody, and the same for all."""
    return bare_desk(request).renderer.send_file(request, name)


async def knock(desk: Desk, *, back: str) -> Response:
    """The door, for somebody who wanted to read *back* and is not signed in, or no longer.

    A link of another site brings no `SameSite=Strict` cookie along, so somebody who is signed in
    looks like nobody: the page then goes to the same address once more, from here.
    """
    was_in = desk.request.cookies.get(COOKIE) is not None
    path, mark, query = back.partition("?")
    if path.endswith("/download"):
        # A browser shows no page for a file: whoever signed in would still stand at the door.
        back = path.removesuffix("download") + "export" + mark + query
    if is_from_elsewhere(desk.request.headers) and not was_in:
        return await desk.show("again.html", back=back)
    told = "door.ended" if was_in else ""
    return await _door(desk, back=back, told=told, status=HTTPStatus.UNAUTHORIZED)


async def _go_in_once(desk: Desk, once: str) -> Response:
    try:
        token = await enter(desk.services, once)
    except NotSignedIn:
        return await _door(desk, back="/ui", fault="door.used")
    return _signed_in(desk, token, "/ui")


async def _door(
    desk: Desk,
    *,
    back: str,
    fault: str = "",
    told: str = "",
    once: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    shown = HTTPStatus.UNAUTHORIZED if fault else status
    return await desk.show("door.html", status=shown, back=back, fault=fault, told=told, once=once)


def _signed_in(desk: Desk, token: str, back: str) -> Response:
    answer = see_other(back)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFE.total_seconds()),
        path="/ui",
        httponly=True,
        samesite="strict",
        secure=desk.request.url.scheme == "https",
    )
    return answer
