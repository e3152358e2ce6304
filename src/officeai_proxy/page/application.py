"""The page as an application of its own inside the other: its own errors, headers and guards.

It shares the state of the application that it is installed in, and answers every address that
begins with `/ui`, also those where nothing is, in HTML.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import cast
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from officeai_proxy.api.faults import methods_at
from officeai_proxy.api.outages import OutageLog
from officeai_proxy.api.security_headers import SecurityHeaders
from officeai_proxy.error_handlers import error_headers
from officeai_proxy.errors import KeysUnavailable, NoRoom, ProxyError, ShuttingDown
from officeai_proxy.page.call_log import router as call_log
from officeai_proxy.page.changes import router as changes
from officeai_proxy.page.conversations import router as conversations
from officeai_proxy.page.desk import Desk, bare_desk, here, open_desk, own_address, see_other
from officeai_proxy.page.door import knock
from officeai_proxy.page.door import router as door
from officeai_proxy.page.files import router as files
from officeai_proxy.page.guards import HEADERS, check_origin
from officeai_proxy.page.keyroom import router as keyroom
from officeai_proxy.page.origins import SAFE_METHODS
from officeai_proxy.page.overview import router as overview
from officeai_proxy.page.people import router as people
from officeai_proxy.page.reading import router as reading
from officeai_proxy.page.rendering import Renderer
from officeai_proxy.page.searching import router as searching
from officeai_proxy.page.sentences import Told
from officeai_proxy.page.visits import NotSignedIn

ROUTERS = (
    door,
    conversations,
    searching,
    people,
    reading,
    changes,
    files,
    call_log,
    overview,
    keyroom,
)

_FOR_BROWSERS = (b"allow", b"retry-after")
"""What goes with an error of the API also where a browser gets a page of it."""

_NONE: Mapping[str, str] = MappingProxyType({})


def application(app: FastAPI) -> ASGIApp:
    """The page of *app*, whose state has the services."""
    app.state.page_renderer = Renderer()
    page = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_origin)],
    )
    page.state = app.state
    for router in ROUTERS:
        page.include_router(router)
    page.add_exception_handler(NotSignedIn, _on_nobody)
    page.add_exception_handler(ProxyError, _on_proxy_error)
    page.add_exception_handler(RequestValidationError, _on_wrong_value)
    page.add_exception_handler(HTTPException, _on_http_exception)
    page.add_exception_handler(Exception, _on_anything_else)
    return SecurityHeaders(page, HEADERS)


async def _on_nobody(request: Request, _: Exception) -> Response:
    """To the door; the page's script, which asked for a part, goes there itself."""
    if request.headers.get("x-part") is not None:
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"Cache-Control": "no-store"})
    if request.method not in SAFE_METHODS:
        # What the form said is lost; the page that it stood on is not (RFC 9110, 10.1.3).
        left = urlsplit(request.headers.get("referer", ""))
        back = own_address(left.path + (f"?{left.query}" if left.query else ""))
        return see_other(f"/ui/enter?{urlencode({'next': back, 'lost': 1})}")
    return await knock(bare_desk(request), back=here(request))


async def _on_proxy_error(request: Request, error: Exception) -> Response:
    raised = cast("ProxyError", error)
    outages: OutageLog = request.app.state.outages
    outages.note(raised)
    said = [header for header in error_headers(raised) if header[0] in _FOR_BROWSERS]
    headers = {name.decode(): value.decode() for name, value in said}
    # A 503 is the database's but where something else is missing, such as room on a disk.
    kind = "error.other" if isinstance(raised, NoRoom | KeysUnavailable | ShuttingDown) else ""
    return await _told(request, raised.status, raised.message, kind=kind, headers=headers)


async def _on_wrong_value(request: Request, error: Exception) -> Response:
    faults = cast("RequestValidationError", error).errors()
    names = ", ".join(dict.fromkeys(str(fault["loc"][-1]) for fault in faults[:3]))
    return await _told(request, HTTPStatus.UNPROCESSABLE_ENTITY, wrong=names)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    headers = {}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = ", ".join(methods_at(request))
    return await _told(request, status, headers=headers)


async def _on_anything_else(request: Request, _: Exception) -> Response:
    """Tell nothing. The error is raised again after this, so that the server logs it."""
    return await _told(request, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _told(
    request: Request,
    status: int,
    message: str = "",
    *,
    kind: str = "",
    wrong: str = "",
    headers: Mapping[str, str] = _NONE,
) -> Response:
    """An error as a page in the reader's language, called as its *kind* is, else as its status.

    *wrong* names the values that are. *headers* go with it.
    """
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    desk = bare_desk(request) if may_pass else await _desk_of(request)
    name = f"error.{status}"
    kind = kind or (name if name in desk.words.names else "error.other")
    said = desk.told(message)
    if wrong:
        said = Told(desk.words("error.value", names=wrong), desk.language)
    answer = await desk.show(
        "error.html", status=status, kind=kind, code=status, said=said, may_pass=may_pass
    )
    answer.headers.update(headers)
    return answer


async def _desk_of(request: Request) -> Desk:
    """Whoever has lost the way still has all rooms; a bare desk where the database is away."""
    try:
        return await open_desk(request)
    except ProxyError:
        return bare_desk(request)
