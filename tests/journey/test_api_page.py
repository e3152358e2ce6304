"""The examples of `/docs`, tried by somebody who goes from top to bottom on a new proxy."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
from tests.integration.test_api_openapi import JSON, examples_of, faults
from tests.proxies import RunningProxy

NOT_TO_BE_TRIED = {
    # The id of a key is made at random, so that no example can know one.
    "post /keys/{key_id}/rotate": 404,
    "delete /keys/{key_id}": 404,
}


def in_order(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every route as the page shows them: by tag, then as written."""
    operations = [
        (method, path, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
    ]
    tags = list(dict.fromkeys(operation["tags"][0] for _, _, operation in operations))
    yield from sorted(operations, key=lambda one: tags.index(one[2]["tags"][0]))


def filled_in(operation: dict[str, Any], where: str) -> dict[str, str]:
    """What the page fills into the parameters of one kind: the first example, else the default.

    An example within the schema is shown beside the field, and not filled in.
    """
    found = {}
    for parameter in operation.get("parameters", []):
        values = examples_of(parameter)
        if "default" in parameter["schema"]:
            values.append(parameter["schema"]["default"])
        if parameter["in"] == where and values:
            found[parameter["name"]] = values[0]
    return found


def bodies_of(operation: dict[str, Any], description: dict[str, Any]) -> list[Any]:
    """Every example of the body; None alone where there is none to send."""
    content = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if content is None:
        return [None]
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    model = description["components"]["schemas"].get(name, {})
    return examples_of(content) or model.get("examples") or examples_of(model) or [None]


def test_programs_can_read_the_description(proxy: RunningProxy) -> None:
    """Generators of clients find bounds that they know, and one model for every kind of answer."""
    description = proxy.get("/openapi.json").json()

    names = description["components"]["schemas"]
    assert [name for name in names if "__" in name or "Validation" in name] == []
    [chat] = description["paths"]["/v1/chat/completions"].values()
    named = [parameter["name"] for parameter in chat["parameters"]]
    assert named == ["X-Session-ID", "X-User-ID", "X-Record", "X-Session-Context"]
    assert chat["responses"]["200"]["content"].keys() == {JSON, "text/event-stream"}
    assert names["HitOut"]["properties"]["highlights"]["items"]["items"] == {"type": "integer"}
    labels = {"session_id", "user", "user_identifier", "X-Session-ID", "X-User-ID"}
    unknown = {"ge", "gt", "le", "lt"}
    for _, path, operation in in_order(description):
        for answer in operation["responses"].values():
            content = answer.get("content", {}).get(JSON, {})
            for example in examples_of(content):
                assert faults(example, content["schema"], description) == [], path
        for parameter in operation.get("parameters", []):
            assert not unknown & parameter["schema"].keys(), (path, parameter["name"])
            if parameter["name"] in labels:
                bounds = (parameter["schema"]["minLength"], parameter["schema"]["maxLength"])
                assert bounds == (1, 255), (path, parameter["name"])


def test_the_description_is_told_in_words(proxy: RunningProxy) -> None:
    """Operations have names that make functions, groups and the key say what they are, and what is
    open says so.
    """
    description = proxy.get("/openapi.json").json()

    told = {group["name"]: group["description"] for group in description["tags"]}
    names = []
    for _, path, operation in in_order(description):
        assert told[operation["tags"][0]], path
        names.append(operation["operationId"])
        is_open = path.startswith("/health")
        assert (operation["security"] == []) == is_open, path
    assert {"list_conversations", "change_conversation", "put_conversation"} <= set(names)
    assert len(names) == len(set(names))
    assert "sk-oai-" in description["components"]["securitySchemes"]["ApiKey"]["description"]
    [file] = description["paths"]["/conversations/import"].values()
    assert "application/octet-stream" in file["requestBody"]["content"]


def test_examples_work_when_tried(proxy: RunningProxy) -> None:
    """Every example is answered as documented, except where the reason stands above."""
    description = proxy.get("/openapi.json").json()
    refused = {}
    with proxy.client() as client:
        for method, path, operation in in_order(description):
            for body in bodies_of(operation, description):
                answer = _try(client, method, path, operation, body)
                if answer.is_success:
                    _check(answer, operation, description)
                else:
                    refused[f"{method} {path}"] = answer.status_code

    assert refused == NOT_TO_BE_TRIED


def _try(
    client: httpx.Client, method: str, path: str, operation: dict[str, Any], body: Any
) -> httpx.Response:
    names = filled_in(operation, "path")
    return client.request(
        method.upper(),
        re.sub(r"\{(\w+)\}", lambda name: names[name[1]], path),
        params=filled_in(operation, "query"),
        headers=filled_in(operation, "header"),
        json=body,
    )


def _check(answer: httpx.Response, operation: dict[str, Any], description: dict[str, Any]) -> None:
    documented = operation["responses"][str(answer.status_code)]
    schema = documented.get("content", {}).get(JSON, {}).get("schema")
    if schema is not None:
        assert faults(answer.json(), schema, description) == [], answer.url
