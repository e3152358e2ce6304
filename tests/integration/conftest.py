"""Fixtures of the read side's tests; they come from `tests.api`."""

from tests.api import api, client

__all__ = ["api", "client"]
