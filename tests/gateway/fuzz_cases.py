"""
Random requests for /v1, made from our own description of it: bodies that fit a schema and are then broken, forms,
and addresses, methods, queries and headers at random. Knows nothing of a server.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from gateway.api.openapi import DOCUMENT
from gateway.api_urls import NOT_SUPPORTED
from tests.gateway import media_files
from tests.gateway.media_shop import form

DESCRIPTION: Final[dict[str, Any]] = json.loads(DOCUMENT.read_text())
SCHEMAS: Final[dict[str, Any]] = DESCRIPTION["components"]["schemas"]
FORM: Final = "multipart/form-data"
MODEL: Final = "model-of-the-case"  # replaced by a model of the endpoint's kind
TOO_LARGE: Final = "number-of-the-case"  # replaced by 1e400, which Python cannot write

MESSAGES: Final = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    {"role": "assistant", "content": "Hello", "name": "a"},
    {"role": "user", "content": "Go on"},
]
TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
# What is sent when nothing is broken: address -> fields that a schema alone does not tell.
VALID: Final[Mapping[str, Mapping[str, Any]]] = {
    "/chat/completions": {"messages": MESSAGES, "tools": [TOOL]},
    "/completions": {"prompt": "Hi"},
    "/responses": {"input": [{"role": "user", "content": "Hi"}]},
    "/responses/input_tokens": {"input": [{"role": "user", "content": "Hi"}]},
    "/messages": {"messages": MESSAGES[3:], "max_tokens": 50},
    "/messages/count_tokens": {"messages": MESSAGES[3:]},
    "/embeddings": {"input": ["Hi", "you"]},
    "/images/generations": {"prompt": "A cat"},
    "/images/edits": {"prompt": "A cat", "images": [{"image_url": "https://x.example/a.png"}]},
    "/audio/speech": {"input": "Hi", "voice": "alloy"},
    "/audio/transcriptions": {},
    "/audio/translations": {},
    "/moderations": {"input": ["Hi"]},
    "/rerank": {"query": "a", "documents": ["a", {"text": "b"}]},
}
FILES: Final = {"image": media_files.picture(), "mask": media_files.picture()}
SOUND: Final = media_files.wav(1)

ODD_TEXTS: Final = (
    "",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u2066\ufeff\uffff",
    "x" * 5_000,
    "é" * 300,
    "../../admin",
    "' OR 1=1 --",
    "data:image/png;base64,AAAA",
    "http://127.0.0.1:1/",
    "{{7*7}}",
    TOO_LARGE,
)
ODD_NUMBERS: Final = (
    *(0, -1, 1, 2, 129, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**64), 10**30),
    *(0.5, -0.0, 1e-320, 1e308, 1.0, float("nan"), float("inf")),
)
ODD_NAMES: Final = ("", "constructor", "__proto__", "a\0", "\ud800", "n" * 300, "model", "stream")


def nested(depth: int) -> Any:
    """Return arrays and objects inside each other."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"type": value}
    return value


LEAVES: Final = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ODD: Final = st.sampled_from(
    [
        None,
        True,
        False,
        [],
        {},
        [None],
        [[]],
        {"type": None},
        {"": ""},
        nested(20),
        nested(500),
        *list(ODD_TEXTS),
        *list(ODD_NUMBERS),
    ]
) | st.one_of(
    LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.text(max_size=8), LEAVES, max_size=3)
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request; the model's place in its body is MODEL."""

    method: str
    path: str  # below /v1, as it is sent
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_broken: bool = True
    is_test_key: bool = False
    has_key: bool = True


def fitting(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Return values that fit a schema, of those that our description uses."""
    if "$ref" in schema:
        return fitting(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "oneOf" in schema:
        return st.one_of([fitting(one) for one in schema["oneOf"]])
    kinds = schema.get("type", ["string", "object"])
    return st.one_of([_of(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _of(kind: str, schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    if kind == "null":
        return st.none()
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(schema.get("minimum", -5), min(schema.get("maximum", 300), 300))
    if kind == "number":
        return st.floats(schema.get("minimum", -5), schema.get("maximum", 5))
    if kind == "string":
        return st.text(min_size=schema.get("minLength", 0), max_size=12)
    if kind == "array":
        least = schema.get("minItems", 0)
        return st.lists(fitting(schema.get("items", {})), min_size=least, max_size=least + 2)
    return _objects(schema)


def _objects(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    properties = {name: fitting(one) for name, one in schema.get("properties", {}).items()}
    if not properties:
        names = st.sampled_from(["type", "text", "name", "effort", "order", "1"])
        return st.dictionaries(names, st.text(max_size=8), max_size=2)
    needed = {name: properties[name] for name in schema.get("required", ())}
    others = {name: one for name, one in properties.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=others)


def _optional(schema: Mapping[str, Any]) -> dict[str, SearchStrategy[Any]]:
    schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    required = schema.get("required", ())
    return {
        name: fitting(one) for name, one in schema["properties"].items() if name not in required
    }


OPERATIONS: Final = {
    path: {
        kind: _optional(media["schema"])
        for kind, media in item["post"]["requestBody"]["content"].items()
    }
    for path, item in DESCRIPTION["paths"].items()
    if "post" in item
}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return each container below a value with each of its keys or positions."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            found += places(value[key])
    return found


def break_one(draw: DrawFn, body: dict[str, Any]) -> None:
    """Break one thing in a body: leave it out, replace, wrap, repeat or add."""
    spots = places(body)
    how = draw(st.sampled_from(["replace", "replace", "drop", "wrap", "repeat", "add"]))
    if how == "add" or not spots:
        body[draw(st.sampled_from(ODD_NAMES) | st.text(max_size=8))] = deepcopy(
            draw(ODD)
        )  # a later break may reach into it
        return
    container, key = draw(st.sampled_from(spots))
    if how == "drop":
        del container[key]
    elif how == "replace":
        container[key] = deepcopy(draw(ODD))  # a later break may reach into it
    elif how == "wrap":
        container[key] = draw(st.sampled_from([[container[key]], {"value": container[key]}]))
    else:
        container[key] = [container[key]] * draw(st.sampled_from([2, 50]))


def break_bytes(draw: DrawFn, data: bytes) -> bytes:
    """Return bytes that are hardly JSON, or not in this coding."""
    how = draw(st.integers(0, 6))
    at = draw(st.integers(0, len(data)))
    return (
        data[:at],
        data[:at] + draw(st.binary(min_size=1, max_size=4)) + data[at:],
        draw(st.binary(max_size=50)),
        b"\xef\xbb\xbf" + data,
        data.decode("latin-1").encode("utf-16"),
        data[:-1] + b"," + data[1:] if data.startswith(b"{") else b"[" * 50_000,
        gzip.compress(data, mtime=0),
    )[how]


CONTENT_TYPES: Final = (
    *("application/json", "application/json; charset=utf-16", "application/xml", "text/plain"),
    *("application/x-www-form-urlencoded", FORM, f"{FORM}; boundary=", "json", "", "\xff/\xe9"),
    f"{FORM}; boundary=b0",
)
HEADERS: Final = (
    *("accept", "accept-encoding", "content-encoding", "content-type", "cookie", "expect"),
    *("idempotency-key", "origin", "range", "traceparent", "x-request-id", "x-forwarded-for"),
    *("x-exerati-tags", "x-exerati-include-route", "anthropic-version", "anthropic-beta"),
    *("authorization", "x-api-key", "x-goog-api-key", "openai-organization", "upgrade"),
)
VALUES: Final = st.sampled_from(
    ["", "1", "true", "*/*", "gzip", "bytes=0-", "a=b", "a" * 300, "Bearer", "Bearer x", "{", "é"]
) | st.text(alphabet=[chr(code) for code in range(0x20, 0x100) if code != 0x7F], max_size=30)


@st.composite
def body_cases(draw: DrawFn) -> Case:
    """Draw a POST whose body fits the description, or did before it was broken."""
    path = draw(st.sampled_from(sorted(OPERATIONS)))
    kind = draw(st.sampled_from(sorted(OPERATIONS[path])))
    known = OPERATIONS[path][kind]
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True))
    body = {"model": MODEL} | {name: draw(known[name]) for name in names} | dict(VALID[path])
    body = json.loads(json.dumps(body))
    breaks = draw(st.sampled_from([0, 0, 1, 1, 2, 3]))
    for _ in range(breaks):
        break_one(draw, body)
    content_type, data = _as_form(draw, body, path) if kind == FORM else _as_json(body)
    headers = {"content-type": content_type}
    odd = draw(st.integers(0, 9))
    if odd == 0:
        data = break_bytes(draw, data)
    elif odd == 1:
        headers["content-type"] = draw(st.sampled_from(CONTENT_TYPES))
    elif odd == 2:
        headers[draw(st.sampled_from(HEADERS))] = draw(VALUES)
    return Case(
        *("POST", path, data, headers), not breaks and odd > 2, is_test_key=draw(st.booleans())
    )


# One of each JSON type first: the suite tries only these.
WRONG: Final[tuple[Any, ...]] = (
    *(True, -1, 1.5, "a\0b", [None], {"type": []}),
    *(False, 0, 2**63, 1e308, "", "\ud800", "x" * 5_000, TOO_LARGE, [], [[]], ["a", 1], {}),
    *({"": ""}, {"type": "x", "name": None}, nested(20), nested(500)),
)
WRONG_TYPES: Final = 6
WRONG_TEXTS: Final = ("a\0b", "", "{", "-1", "null", "[" * 500, "é" * 300)


def wrong_cases(*, types_only: bool) -> Iterator[tuple[str, Case]]:
    """
    Yield every parameter of every operation with each wrong value in an ordinary body, one at a time, and its name:
    drawn at random, a parameter that few calls use would hardly ever come up.
    """
    for path, kinds in OPERATIONS.items():
        for kind, known in kinds.items():
            values: tuple[Any, ...] = WRONG_TEXTS if kind == FORM else WRONG
            for name in [*known, *VALID[path]]:
                for value in values[: WRONG_TYPES if types_only else None]:
                    body = {"model": MODEL} | dict(VALID[path]) | {name: value}
                    sent = _plain_form(body, path) if kind == FORM else _as_json(body)
                    headers = {"content-type": sent[0]}
                    yield f"{path} {kind} {name}", Case("POST", path, sent[1], headers)


def _plain_form(body: dict[str, Any], path: str) -> tuple[str, bytes]:
    files = {"file": SOUND} if path.startswith("/audio/") else FILES
    texts = [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in body.items()
    ]
    unsent = [(name, ("a.wav", "x/x", data)) for name, data in files.items() if name not in body]
    return form(*texts, *unsent)


def _as_json(body: dict[str, Any]) -> tuple[str, bytes]:
    data = json.dumps(body).replace(json.dumps(TOO_LARGE), "1e400")
    return "application/json", data.encode()


def _as_form(draw: DrawFn, body: dict[str, Any], path: str) -> tuple[str, bytes]:
    files = {"file": SOUND} if path.startswith("/audio/") else FILES
    parts: list[tuple[str, str | tuple[str, str, bytes]]] = []
    for name, value in body.items():
        text = value if isinstance(value, str) else json.dumps(value)
        shown = name.encode("utf-8", "replace").decode().replace('"', "")
        parts.append((shown, text.encode("utf-8", "replace").decode()))
    for name, data in files.items():
        sent = draw(st.sampled_from([data, data, data, data[:40], b"", bytes(3_000)]))
        parts.append((name, (draw(st.sampled_from(["a.wav", "a.png", "", "é\0"])), "x/x", sent)))
    return form(*parts)


SEGMENTS: Final = [
    *sorted({part for path in DESCRIPTION["paths"] for part in path.split("/") if part}),
    "..",
    ".",
    "",
    "%00",
    "%ff",
    "%2e%2e%2f",
    "a" * 3000,
    "files",
    "batches",
    "%0a",
    ";x=1",
]
METHODS: Final = (
    *("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"),
    *("get", "FOO", "X" * 60),
)
QUERY_NAMES: Final = sorted(
    {
        one["name"]
        for item in DESCRIPTION["paths"].values()
        for one in item.get("get", {}).get("parameters", [])
    }
)
QUERY_VALUES: Final = st.sampled_from(
    [
        "",
        "chat",
        "1",
        "-1",
        "1e400",
        "nan",
        "9" * 400,
        "%00",
        "%ff",
        "a,b",
        "text,",
        "gen_",
        "é",
        "null",
        "[",
    ]
) | st.text(max_size=10)

READS: Final = sorted(
    path for path, methods in DESCRIPTION["paths"].items() if "get" in methods and "{" not in path
)


@st.composite
def address_cases(draw: DrawFn) -> Case:
    """Draw a request whose address, method, query and headers are at random, with a small body now and then."""
    whose = draw(st.sampled_from(["ours", "read", "openai", "nobody"]))
    if whose == "read":
        path = draw(st.sampled_from(READS))
    elif whose == "openai":
        path = draw(st.sampled_from(NOT_SUPPORTED)).removeprefix("v1")
    elif whose == "ours":
        path = draw(st.sampled_from(sorted(DESCRIPTION["paths"])))
        path = path.replace("{id}", draw(st.sampled_from([MODEL, "none", "%00", "a/b", "%ff"])))
    else:
        text = st.text(max_size=8).map(lambda one: quote(one, errors="replace"))
        path = "/" + "/".join(draw(st.lists(st.sampled_from(SEGMENTS) | text, max_size=4)))
    names = st.sampled_from(QUERY_NAMES) | st.text(max_size=5)
    query = "&".join(
        f"{quote(name, errors='replace')}={quote(value, safe='%', errors='replace')}"
        for name, value in draw(st.lists(st.tuples(names, QUERY_VALUES), max_size=3))
    )
    sent = f"{path}?{query}" if query else path
    if whose == "read":
        return Case(draw(st.sampled_from(["GET", "GET", "PATCH"])), sent, None, {}, has_key=True)
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=3))
    body = draw(st.none() | st.sampled_from([b"", b"{}", b"x", b"[" * 300]))
    method = draw(st.sampled_from(METHODS))
    has_key = "authorization" not in headers and draw(st.integers(0, 3)) > 0
    return Case(method, sent, body, headers, has_key=has_key)
