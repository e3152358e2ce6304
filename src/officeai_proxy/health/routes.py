"""`/health`, `/health/live`, `/health/ready`: how the proxy is; nobody needs a key to ask.

Many probes send HEAD; they get the same, and the server leaves the body out (RFC 9110, 9.3.2).
"""

from typing import cast

from fastapi import APIRouter, Request, Response

from officeai_proxy.health.pulse import Alive, Health, Pulse

SERVICE_UNAVAILABLE = 503

router = APIRouter(tags=["Health"])


@router.get("/health", summary="How the proxy is")
@router.head("/health", include_in_schema=False)
async def health(request: Request) -> Health:
    """Tell how the proxy is, for people: always 200, with `status` `ok` or `degraded`."""
    return await pulse_of(request).health()


@router.get("/health/live", summary="Is the process alive?")
@router.head("/health/live", include_in_schema=False)
async def live() -> Alive:
    """Answer a liveness probe."""
    return Alive(status="ok")


@router.get(
    "/health/ready",
    summary="Are calls served and kept?",
    responses={SERVICE_UNAVAILABLE: {"model": Alive, "description": "Calls are not kept now."}},
)
@router.head("/health/ready", include_in_schema=False)
async def ready(request: Request, response: Response) -> Alive:
    """Answer a readiness probe: 200 while calls are served and kept, a database outage included.

    It is 503 as well while no key is known: the database is away since before the start, there is
    no copy of its keys, and none is in the settings.
    """
    if pulse_of(request).is_ready:
        return Alive(status="ok")
    response.status_code = SERVICE_UNAVAILABLE
    return Alive(status="unavailable")


def pulse_of(request: Request) -> Pulse:
    """What health is measured on."""
    return cast("Pulse", request.app.state.services.pulse)
