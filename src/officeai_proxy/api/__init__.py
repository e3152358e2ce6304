"""What all routes of our own share: callers, parameters, bodies, pages, answers; never a route."""
