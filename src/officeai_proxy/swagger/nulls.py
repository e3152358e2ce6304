"""An API's description in, the same one with the nulls of its examples; it is changed in place.

FastAPI takes every null out of a description. An example without a member that its schema requires
is no example of it, and programs that check descriptions or make answers of them say so.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from officeai_proxy.api.description import complete

_Node = dict[str, Any]


def install(app: FastAPI) -> None:
    """Let the description of *app* have the nulls of its examples."""
    complete(app, put_back)


def put_back(description: _Node) -> None:
    """Give each example of *description* the nulls that its schema requires."""
    for schema, example in _examples(description):
        _complete(example, schema, description)


def _examples(node: Any) -> Iterator[tuple[_Node, Any]]:
    """Every example below *node*, and before it the schema that it belongs to."""
    if isinstance(node, dict):
        if "example" in node:
            yield node.get("schema", node), node["example"]
        for name, inner in node.items():
            if name not in ("example", "examples"):
                yield from _examples(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _examples(inner)


def _complete(value: Any, schema: _Node, root: _Node) -> None:
    """Put the nulls into *value* that *schema* requires, in the order of its properties."""
    for one in _alternatives(schema, root):
        if isinstance(value, list):
            for item in value:
                _complete(item, one.get("items", {}), root)
        known = one.get("properties", {})
        if not isinstance(value, dict) or not value.keys() <= known.keys():
            continue
        nulls = {name: None for name in one.get("required", []) if _takes_null(known[name], root)}
        whole = {**nulls, **value}
        value.clear()
        value.update((name, whole[name]) for name in known if name in whole)
        for name, inner in value.items():
            _complete(inner, known[name], root)


def _alternatives(schema: _Node, root: _Node) -> Iterator[_Node]:
    """The schemas without references of which a value has to fit one."""
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from _alternatives(target, root)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _alternatives(one, root)
    else:
        yield schema


def _takes_null(schema: _Node, root: _Node) -> bool:
    return any(one.get("type") == "null" for one in _alternatives(schema, root))
