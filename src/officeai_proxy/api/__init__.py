"""What all routes of our own share: callers, parameters, bodies, pages, answers; never a route."""

import sys

# FastAPI asks of the type of each parameter whether it is a model of pydantic's first version, and
# loads that version for it: 2 MB in every worker. No route has one, and FastAPI takes what cannot
# be imported for a no. Whoever has loaded it already keeps it.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
