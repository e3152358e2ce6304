"""What every handler of the page works at: the request, who is there, and how they want to read.

A handler asks for a `Desk` of the scope that it needs; whoever is not signed in is sent to the
door, whoever may not do it is told so.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from officeai_proxy.api.dependencies import Services
from officeai_proxy.api.trails import refusals_left
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_scope
from officeai_proxy.model import Caller, Scope
from officeai_proxy.page.days import on_clock, zone_of
from officeai_proxy.page.language import Language, Words, choose
from officeai_proxy.page.markdown import Markdown
from officeai_proxy.page.rendering import Renderer
from officeai_proxy.page.sentences import Told
from officeai_proxy.page.visits import COOKIE, NotSignedIn, Visit, visit_of
from officeai_proxy.storage.audit.chain import Action

LANGUAGE_COOKIE = "officeai_language"
THEME_COOKIE = "officeai_theme"
ZONE_COOKIE = "officeai_zone"


class Theme(StrEnum):
    """Light, dark, or as the reader's system has it."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Room:
    """A part of the page, where it is, and the scope without which nobody sees it."""

    name: str
    address: str
    scope: Scope


ROOMS: tuple[Room, ...] = (
    Room("conversations", "/ui", Scope.READ),
    Room("calls", "/ui/calls", Scope.READ),
    Room("overview", "/ui/overview", Scope.READ),
    Room("keys", "/ui/keys", Scope.ADMIN),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One request for the page. `visit` is None only where nobody needs to be signed in."""

    request: Request
    services: Services
    renderer: Renderer
    visit: Visit | None
    language: Language
    theme: Theme
    zone: tzinfo

    @property
    def caller(self) -> Caller:
        """Who is there.

        Raises:
            NotSignedIn: nobody.
        """
        if self.visit is None:
            raise NotSignedIn
        return self.visit.caller

    @property
    def words(self) -> Words:
        """The page's texts in the reader's language."""
        return self.renderer.words[self.language]

    @property
    def markdown(self) -> Markdown:
        """The reader of Markdown in the reader's language."""
        return self.renderer.markdown[self.language]

    def told(self, sentence: str) -> Told:
        """What went wrong, as the program says it, in the reader's language if it can be."""
        return self.renderer.sentences.told(sentence, self.language)

    @property
    def part(self) -> str | None:
        """The part of the page that the page's script wants; None for the whole."""
        return self.request.headers.get("x-part")

    @property
    def now(self) -> datetime:
        """The present moment on the reader's clock."""
        return self.services.clock().astimezone(self.zone)

    def trail(self, action: Action) -> Trail:
        """What whoever is there leaves in the audit log with *action*."""
        client = self.request.client
        address = None if client is None else client.host
        return self.services.audit.trail(action, self.caller, client_ip=address)

    def may(self, scope: Scope) -> bool:
        """Whether whoever is there may do what needs *scope*."""
        return self.visit is not None and scope in self.visit.caller.scopes

    async def show(
        self, template: str, *, status: int = HTTPStatus.OK, **values: object
    ) -> Response:
        """The page that *template* makes of *values* and of what every page knows."""
        known = self._known()
        return await self.renderer.answer(
            self.request, template, {**known, **values}, status=status
        )

    def _known(self) -> Mapping[str, object]:
        return {
            "w": self.words,
            "language": self.language,
            "theme": self.theme.value,
            "caller": None if self.visit is None else self.visit.caller,
            "can_read": self.may(Scope.READ),
            "can_write": self.may(Scope.WRITE),
            "can_export": self.may(Scope.EXPORT),
            "is_admin": self.may(Scope.ADMIN),
            "rooms": [room for room in ROOMS if self.may(room.scope)],
            "here_room": self._room(),
            "here": here(self.request),
            "part": self.part,
            "base_url": f"{self.request.url.scheme}://{self.request.url.netloc}/v1",
            "clock": self._clock,
            "moment": self._moment,
            "second": self._second,
            "q": "",
        }

    def _room(self) -> str:
        path = self.request.url.path
        fitting = [room.name for room in ROOMS[1:] if path.startswith(room.address)]
        return fitting[0] if fitting else ROOMS[0].name

    def _clock(self, when: datetime) -> str:
        """The time of day on the reader's clock."""
        return f"{on_clock(when, self.zone):%H:%M}"

    def _moment(self, when: datetime | str) -> str:
        """Day and time on the reader's clock; a text is ISO 8601."""
        read = datetime.fromisoformat(when) if isinstance(when, str) else when
        return f"{on_clock(read, self.zone):%Y-%m-%d %H:%M}"

    def _second(self, when: datetime) -> str:
        """The same to the second, for a log."""
        return f"{on_clock(when, self.zone):%Y-%m-%d %H:%M:%S}"


def here(request: Request) -> str:
    """The address of this request inside our origin, to come back to."""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def own_address(text: str | None) -> str:
    """*text* if it is an address of the page, else the page's first one.

    Whoever makes somebody follow a link to the door must not choose where it leads to.
    """
    is_ours = text is not None and (text == "/ui" or text.startswith(("/ui/", "/ui?")))
    if text is None or not is_ours or "\\" in text or not text.isprintable() or "//" in text:
        return "/ui"
    return text


def see_other(address: str) -> RedirectResponse:
    """Go on by reading *address* (RFC 9110, 15.4.4)."""
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


async def open_desk(request: Request) -> Desk:
    """The desk of *request*, also when nobody is signed in."""
    services = cast("Services", request.app.state.services)
    return _desk(request, await visit_of(services, request.cookies.get(COOKIE)))


def bare_desk(request: Request) -> Desk:
    """A desk at which nobody sits, and for which no database is asked: to tell of an error."""
    return _desk(request, None)


def desk_for(*scopes: Scope, refused_as: Action) -> Callable[[Request], AsyncIterator[Desk]]:
    """A dependency that gives a desk at which somebody sits who has all of *scopes*.

    What was recorded before the request is stored when it comes. What is refused there, because the
    key may not or nothing is there, is in the audit log as *refused_as*.
    """

    async def opened(request: Request) -> AsyncIterator[Desk]:
        desk = await open_desk(request)
        async with refusals_left(desk.trail(refused_as), request):
            for scope in scopes:
                check_scope(desk.caller, scope)
            await desk.services.freshness.wait()
            yield desk

    return opened


def _desk(request: Request, visit: Visit | None) -> Desk:
    cookies = request.cookies
    accepted = request.headers.get("accept-language", "")
    theme = cookies.get(THEME_COOKIE)
    return Desk(
        request=request,
        services=cast("Services", request.app.state.services),
        renderer=cast("Renderer", request.app.state.page_renderer),
        visit=visit,
        language=choose(cookies.get(LANGUAGE_COOKIE), accepted),
        theme=Theme(theme) if theme in tuple(Theme) else Theme.AUTO,
        zone=zone_of(cookies.get(ZONE_COOKIE)),
    )


OpenDesk = Annotated[Desk, Depends(open_desk)]
ReadingDesk = Annotated[Desk, Depends(desk_for(Scope.READ, refused_as=Action.READ_CONVERSATION))]
WritingDesk = Annotated[Desk, Depends(desk_for(Scope.WRITE, refused_as=Action.CHANGE_CONVERSATION))]
EditingDesk = Annotated[
    Desk, Depends(desk_for(Scope.READ, Scope.WRITE, refused_as=Action.CHANGE_CONVERSATION))
]
"""For what is changed in sight of it."""
ExportingDesk = Annotated[
    Desk, Depends(desk_for(Scope.EXPORT, refused_as=Action.EXPORT_CONVERSATION))
]
AdminDesk = Annotated[Desk, Depends(desk_for(Scope.ADMIN, refused_as=Action.LIST_KEYS))]
