"""
What every Python scenario uses: where the gateway is, and one JSON line for each feature tried.

Standard library only: it runs inside of the client's own environment.
"""

import json
import os
import sys
import traceback

BASE_URL = os.environ["EXERATI_BASE_URL"]
ROOT_URL = BASE_URL.removesuffix("/v1")
KEY = os.environ["EXERATI_KEY"]
POOR_KEY = os.environ["EXERATI_POOR_KEY"]  # of an organization without credit
WRONG_KEY = "sk-live-of-nobody"
MODEL = os.environ["EXERATI_MODEL"]
BUSY_MODEL = os.environ["EXERATI_BUSY_MODEL"]  # turns the first call away
EMBEDDING_MODEL = os.environ["EXERATI_EMBEDDING_MODEL"]
NO_MODEL = "no-such-model"

QUESTION = "What is the capital of France?"
ANSWER = "Hello world"
WEATHER = "What is the weather in Paris?"
WEATHER_ANSWER = "It is 21 degrees in Paris."
PICTURE_ANSWER = "I see a picture."
TOKENS = (9, 4)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PICTURE = f"data:image/png;base64,{PNG}"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def equal(found, wanted):
    """Raise AssertionError unless both are equal."""
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def raises(expected, call, **attributes):
    """Call, and assert that this class of exception comes with these attributes."""
    try:
        call()
    except expected as error:
        for name, wanted in attributes.items():
            equal(getattr(error, name), wanted)
        return error
    raise AssertionError(f"{expected.__name__} was not raised")


def run(*features):
    """Try the functions in order, each named for its feature; a failure of one does not stop the others."""
    for feature in features:
        line = {"feature": feature.__name__, "ok": True}
        try:
            feature()
        except Exception:
            line |= {"ok": False, "error": traceback.format_exc()[-3000:]}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
