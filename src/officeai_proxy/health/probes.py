"""A question about health in, its answer out, without the framework; never asks for a key.

Orchestrators ask every few seconds from the first one on, also where nobody ever reads a
conversation and the framework is never loaded.
"""

from collections.abc import Awaitable, Callable, Mapping

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from officeai_proxy.health.pulse import Alive, Pulse

SERVICE_UNAVAILABLE = 503

Probe = Callable[[Pulse], Awaitable[Response]]


async def health(pulse: Pulse) -> Response:
    """Tell how the proxy is, for people: always 200, with `status` `ok` or `degraded`."""
    return _response(await pulse.health())


async def live(_: Pulse) -> Response:
    """Answer a liveness probe."""
    return _response(Alive(status="ok"))


async def ready(pulse: Pulse) -> Response:
    """Answer a readiness probe: 200 while calls are served and kept, a database outage included."""
    if pulse.keeps_calls:
        return _response(Alive(status="ok"))
    return _response(Alive(status="unavailable"), SERVICE_UNAVAILABLE)


PROBES: Mapping[str, Probe] = {
    "/health": health,
    "/health/live": live,
    "/health/ready": ready,
}


def probe_of(scope: Scope) -> Probe | None:
    """What answers a request; None when it asks for something else."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    return PROBES.get(scope["path"])


def served(probe: Probe, pulse: Pulse) -> ASGIApp:
    """*probe*, asked about *pulse*, as an application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await probe(pulse)
        await response(scope, receive, send)

    return answer


def _response(found: BaseModel, status: int = 200) -> Response:
    return Response(found.model_dump_json(), status, media_type="application/json")
