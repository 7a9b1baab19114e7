"""
Readers of the Responses API for tests: events out of bytes, and Open Responses' own schemas where they are at hand.

The specification lies beside the repository (`../shared/contracts`), as the recorded traffic does.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from gateway.sse import SseDecoder

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "openresponses-openapi.json"
# OpenAI has events that Open Responses does not know.
OPENAI_ONLY = (
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
)


def events_of(data: bytes) -> list[dict[str, Any]]:
    """Return the events in a stream's bytes, having checked their names and numbers."""
    found: list[dict[str, Any]] = []
    for name, line in SseDecoder().feed(data):
        event = json.loads(line)
        assert event["type"] == name.decode()
        assert event["sequence_number"] == len(found)
        found.append(event)
    return found


def assert_valid_response(response: Any) -> None:
    """Assert that a response is what Open Responses says, where the specification is present."""
    _assert_valid(response, "ResponseResource")


def assert_valid_events(events: list[dict[str, Any]]) -> None:
    """Assert the same of every event of a stream, and that the stream begins and ends as it must."""
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete", "response.failed")
    for event in events:
        if event["type"] not in OPENAI_ONLY:
            _assert_valid(event, _event_schemas().get(event["type"], ""))


def assert_told(events: list[dict[str, Any]]) -> None:
    """Assert that the last response is what its own events say: items by index, texts by their deltas."""
    output = events[-1]["response"]["output"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [
        event["item"] for event in sorted(done, key=lambda event: event["output_index"])
    ] == output
    said = "".join(
        event["delta"] for event in events if event["type"] == "response.output_text.delta"
    )
    parts = [part for item in output for part in item.get("content", ())]
    assert said == "".join(part.get("text", "") for part in parts)


def _assert_valid(value: Any, schema: str) -> None:
    if not CONTRACT.exists():
        return
    assert schema, value
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in _validator(schema).iter_errors(value)
    ]
    assert errors == []


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads(CONTRACT.read_text())["components"]["schemas"]
    # Says "null only", which no answer to a request with a schema could meet.
    schemas["JsonSchemaResponseFormat"]["properties"]["schema"] = {}
    # OpenAI's custom tools are no part of Open Responses.
    schemas["Tool"] = {"anyOf": [schemas["Tool"], {"properties": {"type": {"const": "custom"}}}]}
    return schemas


@cache
def _event_schemas() -> dict[str, str]:
    if not CONTRACT.exists():
        return {}
    return {
        schema["properties"]["type"]["enum"][0]: name
        for name, schema in _schemas().items()
        if name.endswith("StreamingEvent")
    }


@cache
def _validator(name: str) -> Draft202012Validator:
    root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": _schemas()}}
    return Draft202012Validator(root)
