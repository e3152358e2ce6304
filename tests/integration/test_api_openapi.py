"""The API description is complete, and its examples fit; `journey/test_api_page.py` tries them."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.api import Api

METHODS = {"get", "put", "post", "delete", "patch"}

JSON = "application/json"

TAGS = [["Conversations"], ["Users"], ["Calls"], ["Export"], ["Import"]]

ROUTES = 21


@pytest.fixture
def description(api: Api) -> dict[str, Any]:
    """What `/openapi.json` says."""
    return api.app.openapi()


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in description["paths"].items():
        for method in METHODS & set(item):
            yield method, path, item[method]


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """Where *value* does not fit *schema*: the words of JSON Schema that pydantic writes."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return faults(value, target, root, at)
    for word in ("anyOf", "oneOf"):
        if word in schema and all(faults(value, one, root, at) for one in schema[word]):
            return [f"{at}: fits nothing of {word}"]
    found = _faults_of_value(value, schema, at)
    if isinstance(value, dict) and not found:
        found += _faults_of_fields(value, schema, root, at)
    if isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            found += faults(item, schema["items"], root, f"{at}[{place}]")
    return found


def _faults_of_value(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    found = []
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        found.append(f"{at}: is no {schema['type']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: is not {schema['const']}")
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append(f"{at}: is too small")
    return found


def _faults_of_fields(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{at}.{name}: is missing" for name in schema.get("required", []) if name not in value]
    if schema.get("additionalProperties") is False:
        found += [f"{at}.{name}: is unknown" for name in value if name not in known]
    for name in known.keys() & value.keys():
        found += faults(value[name], known[name], root, f"{at}.{name}")
    return found


def examples_of(place: dict[str, Any]) -> list[Any]:
    values = [example["value"] for example in place.get("examples", {}).values()]
    return [*values, place["example"]] if "example" in place else values


def test_the_checker_sees_what_does_not_fit():
    """The checker below would notice an example that is wrong."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "c": {"type": "string"},
        },
        "required": ["a", "c"],
        "additionalProperties": False,
    }
    for wrong in (
        [],
        {"a": 1},
        {"a": "1", "c": ""},
        {"a": 0, "c": ""},
        {"c": ""},
        {"c": "", "b": 2},
    ):
        assert faults(wrong, schema, {}), wrong
    for right in ({"a": 1, "c": ""}, {"a": None, "c": ""}):
        assert faults(right, schema, {}) == [], right


def test_every_operation_is_described(description: dict[str, Any]):
    """Each has a summary, a description, a tag, a key, and documented errors of our shape."""
    seen = 0
    for method, path, operation in operations(description):
        where = f"{method} {path}"
        seen += 1
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"] in TAGS, where
        assert operation["security"] == [{"ApiKey": []}], where
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{where} {parameter['name']}"
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["schema"], where
        refusals = {status for status in operation["responses"] if status >= "4"}
        assert {"401", "403", "422", "503"} <= refusals, where
        for status in refusals:
            schema = operation["responses"][status]["content"][JSON]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, where
    assert seen == ROUTES


def test_the_page_can_ask_for_the_key(description: dict[str, Any]):
    """The key's scheme is named, so that the page has its Authorize button."""
    scheme = description["components"]["securitySchemes"]["ApiKey"]

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_examples_fit_their_schemas(description: dict[str, Any]):
    """Every example of a parameter, a body, an answer or a model is what its schema says."""
    checked = 0
    for method, path, operation in operations(description):
        places = [*operation.get("parameters", [])]
        if "requestBody" in operation:
            places.append(operation["requestBody"]["content"][JSON])
        for answer in operation["responses"].values():
            places += [answer["content"][JSON]] if JSON in answer.get("content", {}) else []
        for place in places:
            for example in examples_of(place):
                assert faults(example, place["schema"], description) == [], f"{method} {path}"
                checked += 1
    for name, schema in description["components"]["schemas"].items():
        if "example" in schema:
            assert faults(schema["example"], schema, description) == [], name
            checked += 1
    assert checked > 40


def test_every_field_is_described(description: dict[str, Any]):
    """By itself, or by what it refers to."""
    for name, schema in description["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert told.get("description") or "$ref" in told, f"{name}.{field}"


def test_every_body_has_an_example(description: dict[str, Any]):
    """Whoever opens the page finds something to send."""
    for _, path, operation in operations(description):
        if "requestBody" in operation:
            assert examples_of(operation["requestBody"]["content"][JSON]), path
