"""The route `/metrics`: one scrape of any worker tells of all workers of the host."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from typing_extensions import override

from officeai_proxy import __version__
from officeai_proxy.api.answers import problems
from officeai_proxy.auth.dependencies import API_KEY, Requirement
from officeai_proxy.auth.permissions import check_unbound
from officeai_proxy.health.pulse import Health, Pulse
from officeai_proxy.metrics.board import Reading
from officeai_proxy.metrics.boards import Boards
from officeai_proxy.metrics.exposition import OPEN_METRICS, TEXT, Gauge, exposed
from officeai_proxy.metrics.worker import Metrics
from officeai_proxy.model import Caller, Scope
from officeai_proxy.settings import Settings

router = APIRouter(tags=["Health"])

_ANYBODY = Caller("anybody", scopes=frozenset())


class Services(Protocol):
    """What the route needs of `app.state.services`."""

    @property
    def settings(self) -> Settings:
        """Whether it is open."""

    @property
    def pulse(self) -> Pulse:
        """How the proxy is."""

    @property
    def metrics(self) -> Metrics:
        """What was counted."""


@dataclass(frozen=True, slots=True)
class ScraperRequirement(Requirement):
    """The scope `admin`, bound to no user, unless OFFICEAI_METRICS_OPEN lets anybody in."""

    @override
    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(API_KEY)],
    ) -> Caller:
        """The caller of *request*. Raises as `authenticate`, `check_scope` and `check_unbound`."""
        if _services(request).settings.metrics_open:
            return _ANYBODY
        caller = await Requirement.__call__(self, request, None)
        check_unbound(caller)
        return caller


_EXAMPLE = """\
# HELP officeai_calls_total Calls that were forwarded, by class of status and by outcome.
# TYPE officeai_calls_total counter
officeai_calls_total{status="2xx",outcome="complete"} 1204
"""

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus' text format 0.0.4, or OpenMetrics where `Accept` asks for it.",
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE},
            "application/openmetrics-text": {"schema": {"type": "string"}},
        },
    }
}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={**_TEXT, **problems()},
)
async def metrics(
    request: Request, _: Annotated[Caller, Depends(ScraperRequirement(Scope.ADMIN))]
) -> Response:
    """Counters and gauges of all workers of this host, whichever of them answers.

    A key that is bound to a user is refused. With `OFFICEAI_METRICS_OPEN=true` no key is needed.
    """
    services = _services(request)
    health = await services.pulse.health()
    services.metrics.counter.keeping(services.pulse.journal)
    reading, workers = await asyncio.to_thread(_read, services.metrics.boards)
    is_open_metrics = "application/openmetrics-text" in request.headers.get("accept", "")
    text = exposed(reading, _gauges(health, workers), is_open_metrics=is_open_metrics)
    return Response(text, headers={"Content-Type": OPEN_METRICS if is_open_metrics else TEXT})


def _read(boards: Boards) -> tuple[Reading, int]:
    return boards.total(), boards.workers()


def _gauges(health: Health, workers: int) -> Iterator[Gauge]:
    recorder = health.recorder
    yield Gauge("officeai_recorder_pending", "Calls that are not stored yet.", recorder.pending)
    yield Gauge("officeai_recorder_lag_seconds", "Age of the oldest of them.", recorder.lag_seconds)
    yield Gauge("officeai_journal_bytes", "Size of the journal.", recorder.journal_bytes)
    yield Gauge(
        "officeai_recorder_set_aside", "Calls that can never be stored.", recorder.set_aside
    )
    is_up = health.database.status == "up"
    yield Gauge("officeai_database_up", "Whether the database answers.", float(is_up))
    yield Gauge("officeai_workers", "Processes that serve.", workers)
    labels = f'{{version="{__version__}"}}'
    yield Gauge("officeai_build_info", "The version, as a label.", 1, labels)


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)
