"""Everything that is no call, as one application: the read side, administration, health, the page.

It wires routes, never services; `app.py` opens what they work with.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from officeai_proxy import __version__, administration, history, old_names, page, swagger
from officeai_proxy.api import description, faults, policy
from officeai_proxy.health import routes as health
from officeai_proxy.metrics import routes as metrics
from officeai_proxy.proxy import openapi


def framework(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """All routes, working with the services that *lifespan* puts at `app.state.services`.

    Raises:
        ConfigurationError: a route says of nothing who may call it.
    """
    routes = FastAPI(
        title="officeai-proxy",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_tags=description.GROUPS,
        generate_unique_id_function=description.operation_id,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
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
