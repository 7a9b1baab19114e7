"""
JSON schemas as Gemini reads them, for tools (`parametersJsonSchema`) and answers (`responseJsonSchema`). Pure.

Both take JSON Schema itself ($ref and $defs too); the keywords read are listed at
https://ai.google.dev/gemini-api/docs/structured-output (read 2026-10). Others stay in: Google passes over them.
"""

from typing import Any, Final

# Whose values are names of the customer's with a schema each, or lists of schemas, or one schema.
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTED: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE: Final = frozenset({"items", "additionalProperties", "not"})


def cleaned(schema: Any) -> Any:
    """Return the schema without its dialect, and with `const`, which Gemini does not know, as an `enum` of one."""
    if not isinstance(schema, dict):
        return schema
    clean: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "const":
            clean.setdefault("enum", [value])
        elif key in _NAMED and isinstance(value, dict):
            clean[key] = {name: cleaned(inner) for name, inner in value.items()}
        elif key in _LISTED and isinstance(value, list):
            clean[key] = [cleaned(inner) for inner in value]
        elif key != "$schema":
            clean[key] = cleaned(value) if key in _SINGLE else value
    return clean


def has_parameters(schema: Any) -> bool:
    """Whether a function takes anything: without parameters the schema is to be left out."""
    return isinstance(schema, dict) and (
        bool(schema.get("properties")) or not schema.keys() <= _EMPTY_OBJECT
    )


_EMPTY_OBJECT: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "$schema", "title", "description"}
)
