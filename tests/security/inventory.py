"""Every route of the application as it is today, and how to call it on things of any name.

A new route is in here by itself. What it calls its parameters must stand in `PARAMETERS`, and what
it takes as a body must have an example in the description; otherwise the tests fail and say so.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from tests.security.estate import Names
from typing_extensions import override

from officeai_proxy.api.policy import Policy, policies
from officeai_proxy.app import create_app
from officeai_proxy.model import Scope
from officeai_proxy.settings import load_settings

PARAMETERS = {
    "session_id": "session",
    "session": "session",
    "user": "user",
    "user_identifier": "user",
    "confirm": "user",
    "exchange_id": "exchange",
    "key_id": "key",
    "id": "key",
    "key": "key",
    "actor": "key",
    "q": "word",
    "model": "model",
    "workspace": "workspace",
}
"""What the parameters of our routes name: a field of `Names`."""

NOT_IN_BODIES = {"model"}
"""A message may say which model wrote it; that asks for nothing."""

VALUES = {"group_by": "day"}
"""What required parameters get that name nothing of anybody's."""

HOT_PATH = "/v1"

MISSING = "no example"


@dataclass(frozen=True)
class Route:
    """One method of one address."""

    method: str
    path: str
    policy: Policy
    operation: dict[str, Any]
    body: Any = None
    """The first example of its body; None when it takes none."""

    @override
    def __str__(self) -> str:
        """As test ids show it."""
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> frozenset[Scope]:
        """What a key needs for it."""
        return self.policy.scopes

    @property
    def is_reading(self) -> bool:
        """Whether it changes nothing, so that many tests can share what it reads."""
        return self.method == "GET"

    @property
    def is_restoring(self) -> bool:
        """Whether what it is about has to be in the bin."""
        return self.path.endswith("/restore")

    def identifying(self) -> list[str]:
        """The optional parameters that name something, each of which can be given alone."""
        return [
            one["name"]
            for one in self.operation.get("parameters", [])
            if one["in"] == "query" and not one["required"] and one["name"] in PARAMETERS
        ]

    def request(self, client: httpx.AsyncClient, names: Names, *extra: str) -> httpx.Request:
        """A request about *names*, with the optional parameters *extra* given too."""
        wanted = [
            one["name"]
            for one in self.operation.get("parameters", [])
            if one["in"] == "query" and (one["required"] or one["name"] in extra)
        ]
        body = self._body(names)
        path = re.sub(r"\{(\w+)\}", lambda found: _value(found[1], names), self.path)
        return client.build_request(
            self.method,
            path,
            params={name: _value(name, names) for name in wanted},
            json=body if body is not None else None,
        )

    def _body(self, names: Names) -> Any:
        assert self.body != MISSING, f"{self} has no example of its body"
        body = json.loads(json.dumps(self.body))
        for field in PARAMETERS.keys() & (body.keys() if isinstance(body, dict) else set()):
            if field not in NOT_IN_BODIES:
                body[field] = _value(field, names)
        return body


def _value(parameter: str, names: Names) -> str:
    if parameter in VALUES:
        return VALUES[parameter]
    assert parameter in PARAMETERS, f"say in PARAMETERS what the parameter {parameter!r} names"
    return str(getattr(names, PARAMETERS[parameter]))


def routes() -> list[Route]:
    """All routes that need a key, in the order of the application."""
    return [one for one in _all() if not one.policy.is_open]


def open_routes() -> list[Route]:
    """All routes that need none."""
    return [one for one in _all() if one.policy.is_open]


def _all() -> Iterator[Route]:
    app = create_app(load_settings(_env_file=None)).routes
    described = app.openapi()["paths"]
    for policy in policies(app.routes):
        for method in policy.methods:
            operation = _operation(described, policy.path, method)
            assert operation is not None or policy.is_open, f"/docs lacks {method} {policy.path}"
            body = _example(operation or {}, app.openapi())
            yield Route(method, policy.path, policy, operation or {}, body)


def _example(operation: dict[str, Any], description: dict[str, Any]) -> Any:
    """The first example of an operation's body, or of the model that the body is."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = description["components"]["schemas"].get(name, {})
    if not operation["requestBody"].get("required"):
        return None
    return (schema.get("examples") or [schema.get("example", MISSING)])[0]


def _operation(described: dict[str, Any], path: str, method: str) -> dict[str, Any] | None:
    """What the description says of a route; one spelling of an address speaks for the other."""
    for spelling in (path, path.rstrip("/"), f"{path}/"):
        if method.lower() in described.get(spelling, {}):
            found: dict[str, Any] = described[spelling][method.lower()]
            return found
    return None
