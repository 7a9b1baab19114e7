"""The API reference as Markdown, made from the OpenAPI document that `/v1/openapi.json` serves."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).resolve().parents[1] / "openapi.json"
METHODS: Final = ("get", "post", "put", "delete")
HEAD: Final = "| Name | Type | Required | Description |\n| --- | --- | --- | --- |"
Json = Mapping[str, Any]


@lru_cache(maxsize=1)
def markdown() -> str:
    """Return a section for each address, in the order of the document."""
    document = json.loads(PATH.read_text(encoding="utf-8"))
    sections = (
        _section(document, path, method, item)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    )
    return "\n\n".join(sections)


def _section(document: Json, path: str, method: str, item: Json) -> str:
    operation = item[method]
    parts = [f"## {operation['summary']}", f"`{method.upper()} {document_path(path)}`"]
    if operation.get("description"):
        parts.append(operation["description"])
    both = (*item.get("parameters", ()), *operation.get("parameters", ()))
    parameters = [_resolved(document, one) for one in both]
    for title, places in (("In the address:", ("path", "query")), ("Headers:", ("header",))):
        if found := [one for one in parameters if one["in"] in places]:
            parts += [title, _table(map(_parameter, found))]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content["schema"])
        parts += [f"Body, `{kind}`:", _table(_fields(document, schema))]
    parts.append(_answers(document, operation["responses"]))
    return "\n\n".join(parts)


def document_path(path: str) -> str:
    """Return the address as people call it."""
    return f"/v1{path}"


def _parameter(parameter: Json) -> tuple[str, str, bool, str]:
    schema = parameter.get("schema", {})
    return (
        parameter["name"],
        _type(schema),
        bool(parameter.get("required")),
        _words(parameter.get("description", ""), schema),
    )


def _fields(document: Json, schema: Json) -> Iterator[tuple[str, str, bool, str]]:
    """Yield the fields of an object, those of the schemas it is made of first."""
    for part in schema.get("allOf", ()):
        yield from _fields(document, _resolved(document, part))
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        shown = _resolved(document, field)
        words = _words(field.get("description") or shown.get("description", ""), shown)
        yield name, _type(shown), name in required, words


def _answers(document: Json, responses: Json) -> str:
    """Return what the good answer is, and the statuses of errors."""
    good = _resolved(document, responses["200"])
    kinds = ", ".join(f"`{kind}`" for kind in good.get("content", {}))
    errors = ", ".join(status for status in responses if status != "200")
    told = f"Answer: {good['description']}"
    sent = f" Sent as {kinds}." if kinds else ""
    return f"{told}{sent}" + (f" [Errors](errors): {errors}." if errors else "")


def _table(rows: Iterator[tuple[str, str, bool, str]] | Any) -> str:
    lines = (
        f"| `{name}` | {kind} | {'Yes' if required else 'No'} | {words} |"
        for name, kind, required, words in rows
    )
    return "\n".join((HEAD, *lines))


def _words(description: str, schema: Json) -> str:
    """Return a description with the values that are allowed, on one line of a table."""
    found = " ".join(description.split()).replace("|", "\\|")
    if values := schema.get("enum"):
        listed = ", ".join(f"`{value}`" for value in values)
        found = f"{found} One of {listed}." if found else f"One of {listed}."
    if "default" in schema:
        found = f"{found} Default: `{json.dumps(schema['default'])}`.".lstrip()
    return found


def _type(schema: Json) -> str:
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[name]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return "object" if "$ref" in schema or "allOf" in schema else str(kind)


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    return schema
