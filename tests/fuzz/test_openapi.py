"""What `/openapi.json` says is what the routes do, for requests good and bad, with every scope.

The requests come from Schemathesis, made from the description; `FUZZ_EXAMPLES` makes more of them.
The tests use it without its pytest plugin, which would be loaded in every run of anything.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

from officeai_proxy.app import create_app
from officeai_proxy.model import Scope
from officeai_proxy.settings import load_settings

ALL_SCOPES = "all"

_asked = int(os.environ.get("FUZZ_EXAMPLES", "0"))
EXAMPLES = {ALL_SCOPES: _asked or 8, **{scope.value: max(2, _asked // 10) for scope in Scope}}
"""Requests of each kind, good and bad, to each route with a key of all scopes or of one."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# A reply to a call is the upstream's, and what it looks like is the upstream's business.
NOT_OURS = "/v1/"


def _operations() -> Iterator[Any]:
    description = create_app(load_settings(_env_file=None)).routes.openapi()
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(description)))
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if not operation.path.startswith(NOT_OURS):
            yield operation


OPERATIONS = {f"{one.method.upper()} {one.path}": one for one in _operations()}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy with a little in it."""
    with ScriptedUpstream() as upstream:
        settings = {"UPSTREAM_BASE_URL": upstream.base_url, "MAX_BODY_MB": "0.5"}
        with CopiedProxy(tmp_path_factory.mktemp("described"), settings) as proxy:
            with proxy.client("demo-session", "user123") as client:
                body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
                assert client.post("/v1/chat/completions", json=body).status_code == 200
            yield proxy


@pytest.fixture(scope="module")
def keys(running: RunningProxy) -> dict[str, str]:
    """A key of every scope alone, and one of all."""
    made = {ALL_SCOPES: running.key}
    with running.client() as client:
        for scope in Scope:
            answer = client.post("/keys", json={"name": scope.value, "scopes": [scope.value]})
            assert answer.status_code == 201, answer.text
            made[scope.value] = answer.json()["key"]
    return made


@pytest.mark.parametrize("scope", EXAMPLES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_routes_do_what_the_description_says(
    running: RunningProxy, keys: dict[str, str], name: str, scope: str
) -> None:
    """No answer is a fault of ours, and each has a status and a shape that is described."""
    operation = OPERATIONS[name]
    strategies = [
        operation.as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": f"Bearer {keys[scope]}"}

    @settings(
        max_examples=EXAMPLES[scope],
        phases=[Phase.explicit, Phase.generate],
        derandomize=not _asked,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategies[0] | strategies[1])
    def answered(case: Any) -> None:
        response = case.call(base_url=running.root, headers=headers, session=session)
        case.validate_response(response, checks=CHECKS)

    with session:
        answered()


def test_the_proxy_is_well_afterwards(running: RunningProxy) -> None:
    """Nothing of all this has set anything aside, or is in the log as a fault."""
    health = httpx.get(f"{running.root}/health", timeout=60, trust_env=False).json()

    assert (health["status"], health["recorder"]["set_aside"]) == ("ok", 0)
    assert "Traceback" not in running.stderr()
