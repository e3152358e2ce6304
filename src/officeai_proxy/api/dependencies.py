"""Who may call a route and what it works with, as `Annotated` types that a signature can say."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from officeai_proxy.audit import AuditLog
from officeai_proxy.auth.dependencies import require
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.erasure import SetAside
from officeai_proxy.model import Caller, Scope
from officeai_proxy.settings import Settings
from officeai_proxy.storage.database import Database


class Freshness(Protocol):
    """Knows when what was recorded until now can be read."""

    async def wait(self) -> None:
        """Return when everything recorded before this call is stored, or after 2 s at most."""


class Slots(Protocol):
    """How many of one costly thing may run at once."""

    def one(self) -> AbstractContextManager[None]:
        """Take one for a while.

        Raises:
            TooManyExports: there is none left.
        """


class Services(Protocol):
    """What the routes need of `app.state.services`."""

    @property
    def keyring(self) -> Keyring:
        """All keys that open something."""

    @property
    def database(self) -> Database:
        """Where the conversations are."""

    @property
    def freshness(self) -> Freshness:
        """The way to read what was just recorded."""

    @property
    def audit(self) -> AuditLog:
        """Where it is written down who did what."""

    @property
    def set_aside(self) -> SetAside:
        """Exchanges of this host that could never be stored."""

    @property
    def export_slots(self) -> Slots:
        """How many exports may run at once."""

    @property
    def settings(self) -> Settings:
        """The limits."""

    def clock(self) -> datetime:
        """The present moment, in UTC."""


async def _fresh_services(request: Request) -> Services:
    """The services, once what was recorded before this request is stored.

    Changes wait like reads do: a conversation deleted right after a call must not come back when
    the recorder stores that call.
    """
    services = cast("Services", request.app.state.services)
    await services.freshness.wait()
    return services


Fresh = Annotated[Services, Depends(_fresh_services)]
Reader = Annotated[Caller, Depends(require(Scope.READ))]
Exporter = Annotated[Caller, Depends(require(Scope.EXPORT))]
Administrator = Annotated[Caller, Depends(require(Scope.ADMIN))]
Writer = Annotated[Caller, Depends(require(Scope.WRITE))]
