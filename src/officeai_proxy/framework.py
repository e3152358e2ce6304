"""Everything that is no call, as one application: the read side, administration, health, the page.

It comes with FastAPI and all that is described with it. `app.py` loads it at the first request that
needs it: 15 MB and a third of a second that a program which only serves calls never pays.
"""

from collections.abc import Callable

from fastapi import FastAPI
from starlette.datastructures import State

from officeai_proxy import (
    __version__,
    administration,
    history,
    old_names,
    page,
    swagger,
)
from officeai_proxy.api import faults, policy
from officeai_proxy.health import routes as health
from officeai_proxy.metrics import routes as metrics
from officeai_proxy.proxy import openapi


def framework(state: State, lifespan: Callable[[FastAPI], object]) -> FastAPI:
    """All routes, working with the services of *state*, which *lifespan* opens.

    Raises:
        ConfigurationError: a route says of nothing who may call it.
    """
    routes = FastAPI(
        title="officeai-proxy",
        version=__version__,
        description=openapi.DESCRIPTION,
        lifespan=lifespan,  # type: ignore[arg-type]  # an async context manager, as FastAPI wants it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    routes.state = state
    faults.install(routes)
    routes.include_router(openapi.router)
    for router in (*history.ROUTERS, *administration.ROUTERS, old_names.router):
        routes.include_router(router)
    routes.include_router(health.router)
    routes.include_router(metrics.router)
    swagger.install(routes)
    page.install(routes)
    policy.install(routes)
    return routes
