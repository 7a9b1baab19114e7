"""
Every parameter of OpenAI's chat specification has a decision, so that none can raise a price unseen.

The table names each property of CreateChatCompletionRequest; a property that a newer specification adds, or one that
we begin to know, fails here until somebody decides what it costs.
"""

import json
from pathlib import Path
from typing import Final

import pytest

from gateway import serializers, tokens
from gateway.dialects import completions, responses_request
from gateway.media import image_calls, moderation_calls, speech_calls, transcription_calls
from gateway.providers.base import Upstream
from gateway.providers.openai.openai import OpenAIAdapter
from gateway.serializers import CHAT_FIELDS, ChatLimits, parse_chat
from gateway.wire_checks import InvalidRequest

SPECIFICATION = Path(__file__).parents[3] / "shared" / "contracts" / "openai-openapi.yaml"
USER: Final = {"role": "user", "content": "Hi"}
FUNCTION: Final = {"name": "f", "parameters": {"type": "object"}}

# passed: cannot raise the price. bounded: in the bound of tokens. priced: has a rate of its own.
# ours: answered here, never sent. refused: 400, for the reason in docs/site/budgets.md.
DECISIONS: Final[dict[str, tuple[str, object]]] = {
    "messages": ("bounded", [USER]),
    "model": ("ours", "gpt-4o"),
    "stream": ("ours", True),
    "stream_options": ("passed", {"include_usage": True}),
    "max_tokens": ("bounded", 5),
    "max_completion_tokens": ("bounded", 5),
    "n": ("bounded", 3),
    "tools": ("bounded", [{"type": "function", "function": FUNCTION}]),
    "functions": ("bounded", [FUNCTION]),
    "response_format": ("bounded", {"type": "json_object"}),
    "prediction": ("bounded", {"type": "content", "content": "x"}),
    "reasoning_effort": ("passed", "high"),  # reasoning is output, inside of its bound
    "verbosity": ("passed", "low"),
    "temperature": ("passed", 1),
    "top_p": ("passed", 1),
    "stop": ("passed", ["a"]),
    "frequency_penalty": ("passed", 1),
    "presence_penalty": ("passed", 1),
    "logit_bias": ("passed", {"1": 1}),
    "logprobs": ("passed", True),
    "top_logprobs": ("passed", 1),
    "seed": ("passed", 1),
    "tool_choice": ("passed", "auto"),
    "parallel_tool_calls": ("passed", False),
    "function_call": ("passed", "auto"),
    "user": ("passed", "u"),
    "safety_identifier": ("passed", "u"),
    "prompt_cache_key": ("passed", "k"),
    # Caches have a rate to be written; the bound takes it, whatever these say.
    "prompt_cache_retention": ("passed", "24h"),
    "prompt_cache_options": ("passed", {"mode": "explicit"}),
    "modalities": ("passed", ["text"]),  # with audio: priced, see test_chat_audio
    "service_tier": ("priced", "priority"),
    "audio": ("priced", {"voice": "alloy", "format": "mp3"}),
    "metadata": ("ours", {"a": "b"}),
    "store": ("ours", False),
    "web_search_options": ("refused", {}),
    "moderation": ("refused", {}),
}
# Values of parameters above that would cost what nobody bounds or keeps.
REFUSED_VALUES: Final = [
    ("store", True),
    ("modalities", ["text", "video"]),
    ("service_tier", "scale"),
    ("n", 129),
    ("tools", [{"type": "web_search"}]),
    ("tools", [{"type": "mcp", "server_url": "https://a"}]),
    ("tools", [{"type": "code_interpreter", "container": {"type": "auto"}}]),
    ("tools", [{"type": "file_search", "vector_store_ids": ["a"]}]),
    ("tools", [{"type": "computer_use_preview"}]),
    ("tools", [{"type": "image_generation"}]),
    ("messages", [{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}]),
    ("messages", [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]),
    ("messages", [{"role": "assistant", "content": "a", "audio": {"id": "audio_1"}}, USER]),
]


# What a parameter needs beside it.
BESIDE = {"stream_options": {"stream": True}, "top_logprobs": {"logprobs": True}}


def parsed(**fields):
    return parse_chat({"model": "gpt-4o", "messages": [USER], **fields}, limits=ChatLimits())


def sent(call):
    """Return what goes to OpenAI for a call."""
    bound = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=100, key_max_output_tokens=None
    )
    upstream = Upstream(
        name="openai", api="openai", base_url="https://a", quirks=frozenset({"service_tiers"})
    )
    request = OpenAIAdapter().chat_request(
        upstream,
        upstream_model="upstream-model",
        body=tokens.bounded_body(call, bound),
        stream=call.stream,
    )
    return json.loads(request.body)


def test_every_parameter_we_know_has_a_decision():
    assert set(DECISIONS) == CHAT_FIELDS


@pytest.fixture(scope="module")
def schemas():
    """The schemas of OpenAI's specification."""
    if not SPECIFICATION.exists():
        pytest.skip("the specification is not there")
    yaml = pytest.importorskip("yaml")
    return yaml.load(SPECIFICATION.read_text(), Loader=yaml.CSafeLoader)["components"]["schemas"]


def test_every_parameter_of_the_specification_has_a_decision(schemas):
    assert properties(schemas, "CreateChatCompletionRequest") == set(DECISIONS)


# What each endpoint beside chats knows: passes on, translates, or refuses by name.
KNOWN: Final = {
    "CreateCompletionRequest": CHAT_FIELDS | completions._OWN,
    "CreateResponse": CHAT_FIELDS | responses_request._OWN | set(responses_request._REFUSED),
    "CreateEmbeddingRequest": set(serializers._EMBEDDINGS_CHECKS),
    "CreateModerationRequest": set(moderation_calls._CHECKS),
    "CreateImageRequest": set(image_calls._GENERATION_CHECKS),
    "CreateImageEditRequest": set(image_calls._EDIT_FORM_CHECKS) | {"image", "mask"},
    "EditImageBodyJsonParam": set(image_calls._EDIT_JSON_CHECKS),
    "CreateSpeechRequest": set(speech_calls._CHECKS),
    "CreateTranscriptionRequest": set(transcription_calls._TRANSCRIPTION_CHECKS) | {"file"},
    "CreateTranslationRequest": set(transcription_calls._TRANSLATION_CHECKS) | {"file"},
}
# Named in `x-exerati-ignored-params`: coding agents send it, and an answer without it is the answer asked for.
IGNORED: Final = {"CreateResponse": {"context_management"}}


@pytest.mark.parametrize("name", KNOWN)
def test_every_parameter_of_the_other_endpoints_is_known(schemas, name):
    unknown = properties(schemas, name) - KNOWN[name]

    assert unknown == IGNORED.get(name, set())


def properties(schemas, name):
    """Return the names of a schema's properties, with those of the schemas it is made of."""
    found = set()
    waiting = [schemas[name]]
    while waiting:
        schema = waiting.pop()
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        found |= set(schema.get("properties", ()))
        for parts in ("allOf", "anyOf", "oneOf"):
            waiting += schema.get(parts, ())
    return found


@pytest.mark.parametrize(
    "name", [name for name, (what, _) in DECISIONS.items() if what == "passed"]
)
def test_what_costs_nothing_goes_out_as_it_came(name):
    value = DECISIONS[name][1]
    call = parsed(**{name: value}, **BESIDE.get(name, {}))

    assert sent(call)[name] == value
    if name != "stream_options":
        assert price_of(call) == price_of(parsed())


@pytest.mark.parametrize(
    "name", [name for name, (what, _) in DECISIONS.items() if what == "bounded"]
)
def test_what_makes_tokens_changes_the_bound(name):
    plain = parsed(messages=[{"role": "user", "content": "Hello there"}])
    call = parsed(**{"messages": [plain.body["messages"][0]], name: DECISIONS[name][1]})

    assert price_of(call) != price_of(plain)


def price_of(call):
    bound = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=100, key_max_output_tokens=None
    )
    return bound.input_tokens, bound.output_tokens


@pytest.mark.parametrize("name", [name for name, (what, _) in DECISIONS.items() if what == "ours"])
def test_what_is_answered_here_is_not_sent(name):
    outgoing = sent(parsed(**{name: DECISIONS[name][1]}))

    assert outgoing.get(name) in (None, "upstream-model", True)
    assert (name in outgoing) == (name in ("model", "stream"))


def test_the_service_tier_that_was_priced_is_sent_by_its_own_name():
    assert sent(parsed(service_tier="fast"))["service_tier"] == "priority"
    assert "service_tier" not in sent(parsed(service_tier="auto"))


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, (what, value) in DECISIONS.items() if what == "refused"]
    + REFUSED_VALUES,
)
def test_what_nobody_prices_is_refused_by_name(name, value):
    with pytest.raises(InvalidRequest) as caught:
        parsed(**{name: value})

    assert str(caught.value.param).startswith(name)
    assert caught.value.code in ("unsupported_value", "unsupported_parameter", "invalid_value")


def test_what_nobody_knows_is_named_and_never_sent():
    call = parsed(num_completions=1_000, best_of=20, plugins=[{"id": "web"}], models=["dear"])

    assert call.ignored == ("num_completions", "best_of", "plugins", "models")
    assert not {*call.ignored} & sent(call).keys()
