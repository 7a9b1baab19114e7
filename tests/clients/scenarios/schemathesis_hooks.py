"""
What Schemathesis is told beside our description: names of models that exist, and what the envelope of errors is.

Loaded by Schemathesis itself (SCHEMATHESIS_HOOKS) with the Python of its own environment, see
`tests/gateway/test_schemathesis.py`.
"""

import itertools
import json
import os

import schemathesis

MODELS = json.loads(os.environ["EXERATI_MODELS"])  # by the beginning of an address below /v1
ANTHROPIC = ("/messages", "/messages/count_tokens")
NUMBERS = itertools.count()


def model_for(path):
    """Return a model that the operation at a path serves."""
    return next(name for beginning, name in MODELS.items() if path.startswith(beginning))


@schemathesis.hook
def map_body(context, body):
    """Let most bodies that name some model name one that is there; other faults stay as they are."""
    if isinstance(body, dict) and isinstance(body.get("model"), str) and len(body["model"]) != 1:
        body["model"] = model_for(context.operation.path)
    return body


@schemathesis.hook
def map_headers(context, headers):
    """Let most names of calls be new ones: else nearly every call would be refused for an old name."""
    if headers and len(headers.get("Idempotency-Key") or "") > 1:
        headers["Idempotency-Key"] = f"call-{os.getpid()}-{next(NUMBERS)}"
    return headers


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Let some addresses name a model that is there."""
    if path_parameters and isinstance(path_parameters.get("id"), str):
        if len(path_parameters["id"]) % 2:
            path_parameters["id"] = model_for("/chat/completions")
    return path_parameters


@schemathesis.check
def in_our_envelope(context, response, case):
    """Check that a refusal is our error object with a code and the id of the request, and no 5xx but 501 and 503."""
    if response.status_code < 400:
        return
    assert response.status_code < 500 or response.status_code in (501, 503), response.text[:500]
    if case.method.upper() == "HEAD":
        return
    body = response.json()
    error = body["error"]
    for name in ("message", "type", "code"):
        assert isinstance(error[name], str), body
        assert error[name], body
    if case.operation.path in ANTHROPIC:
        assert body["type"] == "error", body
    assert response.headers["x-request-id"][0].startswith("req_")
