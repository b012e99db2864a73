"""The operations of an OpenAPI description, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
UNTAGGED = "other"


@dataclass(frozen=True)
class Operation:
    """takes: names of what goes into the query and the body."""

    method: str
    path: str
    text: str
    takes: tuple[str, ...]


def by_tag(schema: dict[str, Any]) -> list[tuple[str, list[Operation]]]:
    """Every operation under its first tag, tags in the order of the description."""
    found: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if described := methods.get(method):
                text = described.get("description") or described.get("summary", "")
                operation = Operation(method.upper(), path, text, tuple(_takes(described, schema)))
                found.setdefault(next(iter(described.get("tags", ())), UNTAGGED), []).append(operation)
    return list(found.items())


def _takes(operation: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    yield from (each["name"] for each in operation.get("parameters", ()) if each["in"] == "query")
    for media in operation.get("requestBody", {}).get("content", {}).values():
        yield from _fields(media.get("schema", {}), schema)


def _fields(model: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Names of a model's fields, of all that it may be."""
    if "$ref" in model:
        model = schema["components"]["schemas"][model["$ref"].rpartition("/")[2]]
    for one in (*model.get("anyOf", ()), *model.get("oneOf", ())):
        yield from _fields(one, schema)
    yield from model.get("properties", {})
