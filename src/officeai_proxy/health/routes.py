"""The probes as routes of the framework, so that `/docs` describes them; no answer of its own."""

from typing import cast

from fastapi import APIRouter, Request, Response

from officeai_proxy.health import probes
from officeai_proxy.health.pulse import Alive, Health, Pulse

router = APIRouter(tags=["Health"])


@router.get("/health", summary="How the proxy is", response_model=Health)
async def health(request: Request) -> Response:
    """Tell how the proxy is, for people: always 200, with `status` `ok` or `degraded`."""
    return await probes.health(pulse_of(request))


@router.get("/health/live", summary="Is the process alive?", response_model=Alive)
async def live(request: Request) -> Response:
    """Answer a liveness probe."""
    return await probes.live(pulse_of(request))


@router.get(
    "/health/ready",
    summary="Are calls served and kept?",
    response_model=Alive,
    responses={
        probes.SERVICE_UNAVAILABLE: {"model": Alive, "description": "Calls are not kept now."}
    },
)
async def ready(request: Request) -> Response:
    """Answer a readiness probe: 200 while calls are served and kept, a database outage included."""
    return await probes.ready(pulse_of(request))


def pulse_of(request: Request) -> Pulse:
    """What health is measured on."""
    return cast("Pulse", request.app.state.services.pulse)
