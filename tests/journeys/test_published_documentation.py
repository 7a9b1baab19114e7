"""
The documentation that was published is true: `public_documentation.txt`, walked from its first line to its last.

Commands are run, requests sent, answers compared in shape, and each sentence has a check of its own below; a sentence
without one fails the test.
"""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from openai import OpenAI

from accounts.models import Organization
from tests import factories
from tests.gateway_server import Gateway
from tests.journeys.docs_desk import load_catalog

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TEXT = (Path(__file__).parent / "public_documentation.txt").read_text()
TITLES = {
    "Documentation", "Authentication", "Quickstart", "Chat Completions", "Models", "Embeddings", "Request",
    "Response", "Parameters", "| Name | Type | Required | Description |", "|---|---|---|---|",
}  # fmt: skip
COMMAND = re.compile(r"^curl (?:[^\n]*\\\n)*(?:-d '\{\n.*?^\}'|[^\n]*)$", re.MULTILINE | re.DOTALL)
OBJECT = re.compile(r"^\{$.*?^\}$(?!\n[\]}])", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^(\w+) \|\n(.+) \|$", re.MULTILINE)
KEY, BASE_URL = "sk-your-api-key", "https://api.exerati.com/v1"
SENTENCES: dict[str, Any] = {}


@dataclass
class Shop:
    """A gateway with the whole catalog, an organization, and its owner's browser."""

    gateway: Gateway
    organization: Organization
    browser: Client

    def key(self, *, mode="test", **rules):
        return factories.make_api_key(self.organization, mode=mode, **rules).secret

    def ok(self, path, body=None, *, key=None):
        """Return the JSON of a good answer."""
        method = "GET" if body is None else "POST"
        answer = self.gateway.request(method, path, key=key or self.key(), body=body)
        assert answer.status == 200, answer.body
        return answer.json

    def chat(self, text="Hello!", **fields):
        body = {"model": "gpt-4", "messages": [{"role": "user", "content": text}], **fields}
        return self.ok("/v1/chat/completions", body)

    def code(self, secret, **fields):
        """Return the code of the refusal of a chat."""
        answer = self.gateway.chat(secret, **{"model": "gpt-4o-mini", **fields})
        return answer.error["code"] if answer.status != 200 else None


@pytest.fixture
def shop(start_servers):
    load_catalog()
    owner = factories.make_user()
    organization = factories.make_organization("Acme", owner=owner)
    factories.make_credit(organization)
    browser = Client()
    browser.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    [gateway] = start_servers(1)
    return Shop(gateway, organization, browser)


def test_published_documentation_is_true(shop):
    rest = TEXT
    for command in COMMAND.findall(TEXT):
        run(command, shop)
        rest = rest.replace(command, "")
    answers: list[Any] = []
    for found in OBJECT.findall(rest):
        walk(json.loads(found), shop, answers)
        rest = rest.replace(found, "", 1)
    for name, words in ROW.findall(rest):
        PARAMETERS[name](shop)
        rest = rest.replace(f"{name} |\n{words} |", "")
        assert words.split(" | ")[0] in ("string", "array", "number", "integer", "boolean")
    said = sentences(rest)

    assert set(said) == set(SENTENCES)
    for check in dict.fromkeys(SENTENCES[sentence] for sentence in said):
        check(shop)


def sentences(text):
    """Return what is left of the text once everything that runs is out, sentence by sentence."""
    lines = (line.strip() for line in text.splitlines())
    prose = [line for line in lines if line and line not in TITLES]
    return [one for line in prose for one in re.split(r"(?<!e\.g)\.(?:\s|$)", line) if one]


def run(command, shop):
    """Run a command as it was published, with our address and key."""
    ours = command.replace(BASE_URL, shop.gateway.base_url).replace(KEY, shop.key())
    done = subprocess.run(
        ["bash", "-euc", ours.replace("curl ", "curl -sS --fail-with-body ", 1)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert json.loads(done.stdout)["object"] in ("list", "chat.completion")


def walk(found, shop, answers):
    """Send a published request; compare a published answer with what we answer."""
    if "messages" in found:
        answers.append(shop.ok("/v1/chat/completions", found))
    elif "input" in found:
        assert shop.ok("/v1/embeddings", found)["data"][0]["embedding"]
    elif found["object"] == "list":
        listed = {model["id"]: model for model in shop.ok("/v1/models")["data"]}
        for model in found["data"]:
            assert model.items() <= listed[model["id"]].items()
    else:
        assert_like(found, answers[-1], but=("id", "usage"))


def assert_like(published, ours, *, but):
    """Assert that everything published is in ours: the same values, or of the same type for `but`."""
    assert type(published) is type(ours)
    if isinstance(published, dict):
        assert published.keys() <= ours.keys()
        for name, value in published.items():
            if name in but:
                assert type(value) is type(ours[name])
                assert not isinstance(value, dict) or value.keys() <= ours[name].keys()
            else:
                assert_like(value, ours[name], but=but)
    elif isinstance(published, list):
        assert len(published) == len(ours)
        for one, other in zip(published, ours, strict=True):
            assert_like(one, other, but=but)
    else:
        assert published == ours


# parameters


def model_is_required(shop):
    answer = shop.gateway.request(
        "POST", "/v1/chat/completions", key=shop.key(), body={"messages": []}
    )
    assert answer.error["param"] == "model"


def messages_are_required(shop):
    answer = shop.gateway.request(
        "POST", "/v1/chat/completions", key=shop.key(), body={"model": "gpt-4"}
    )
    assert answer.error["param"] == "messages"


def temperature_is_0_to_2(shop):
    assert [shop.code(shop.key(), temperature=value) for value in (0, 1, 2)] == [None] * 3
    assert shop.code(shop.key(), temperature=2.1) == "invalid_value"


def max_tokens_bounds_the_answer(shop):
    answer = shop.chat("Tell me a very long story. " * 20, max_tokens=3)
    assert answer["usage"]["completion_tokens"] <= 3
    assert answer["choices"][0]["finish_reason"] == "length"


def stream_is_off_and_can_be_on(shop):
    assert shop.chat()["object"] == "chat.completion"
    assert shop.gateway.chat(shop.key(), model="gpt-4", stream=True).body.endswith(b"[DONE]\n\n")


PARAMETERS = {
    "model": model_is_required,
    "messages": messages_are_required,
    "temperature": temperature_is_0_to_2,
    "max_tokens": max_tokens_bounds_the_answer,
    "stream": stream_is_off_and_can_be_on,
}


# sentences


def says(*sentences):
    """Make a function the check of these sentences."""

    def kept(check):
        SENTENCES.update(dict.fromkeys(sentences, check))
        return check

    return kept


@says("Everything you need to integrate Exerati into your applications")
def documentation_is_there(shop):
    assert shop.browser.get("/docs/").status_code == 200


@says("All API requests require an API key passed in the Authorization header")
def requests_require_a_key(shop):
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
    ):
        assert (
            shop.gateway.request(method, path, body={} if method == "POST" else None).status == 401
        )


@says(
    "Generate keys from your dashboard under API Keys",
    "Navigate to Dashboard → API Keys and create a new key",
    "Keys are shown once at creation — store them securely",
    "API keys are shown only once at creation",
    "Store them securely",
    "If lost, you'll need to generate a new key",
)
def keys_are_made_on_the_dashboard_and_shown_once(shop):
    page = f"/dashboard/{shop.organization.slug}/keys/"
    assert "API keys" in shop.browser.get(f"/dashboard/{shop.organization.slug}/").content.decode()
    assert "New key" in shop.browser.get(page).content.decode()
    form = shop.browser.get(f"{page}new/").context["form"]
    filled = {name: form[name].value() for name in form.fields}
    typed = {name: value for name, value in filled.items() if value not in (None, "", False, [])}
    made = shop.browser.post(f"{page}new/", {**typed, "name": "once", "mode": "test"}, follow=True)
    [secret] = set(re.findall(r"sk-exr-test-\w{49}", made.content.decode()))
    key = shop.organization.api_keys.get(name="once")
    assert secret not in shop.browser.get(page).content.decode()
    assert secret not in shop.browser.get(f"{page}{key.public_id}/").content.decode()
    assert shop.ok("/v1/models", key=secret)["data"]


@says('Prefix your key with "Bearer " in the header: Authorization: Bearer sk-xxxxxxxxxxxx')
def keys_have_a_prefix(shop):
    answer = shop.gateway.request(
        "GET", "/v1/models", headers={"Authorization": f"Bearer {shop.key()}"}
    )
    assert answer.status == 200


@says("Keys can be scoped to specific models and have individual rate limits and budget caps")
def keys_have_scopes_limits_and_caps(shop):
    assert shop.code(shop.key(model_patterns=["gpt-4"])) == "model_not_allowed"
    slow = shop.key(requests_per_minute=1)
    assert [shop.code(slow), shop.code(slow)] == [None, "rate_limit_exceeded"]
    poor = shop.key(mode="live", budget_month_nanousd=1)
    assert shop.code(poor, model="sandbox/echo") == "insufficient_quota"


@says(
    "Get your first API response in under two minutes",
    "Create an account, generate an API key, and make a POST request to /v1/chat/completions with your model of choice",
    "Create an account at exerati.com/register",
    "Make a POST request to /v1/chat/completions",
    "The chat completions endpoint (POST /v1/chat/completions) is the primary interface for generating responses",
)
def first_answer_comes_in_two_minutes(shop):
    started = time.monotonic()
    assert Client().get("/register").status_code == 200
    assert shop.chat()["choices"][0]["message"]["content"]
    assert time.monotonic() - started < 120


@says(
    "The API is OpenAI-compatible, so existing OpenAI SDKs work with a simple base_url change to "
    "https://api.exerati.com/v1"
)
def sdk_works(shop):
    with OpenAI(base_url=shop.gateway.base_url, api_key=shop.key()) as client:
        answer = client.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "Hello!"}]
        )
    assert answer.choices[0].message.content


@says("Send an array of messages with role (system, user, assistant) and content")
def roles(shop):
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    answer = shop.ok("/v1/chat/completions", {"model": "gpt-4", "messages": messages})
    assert answer["choices"][0]["message"]["role"] == "assistant"


@says(
    "Supports streaming via stream: true, function calling, and multi-modal inputs for vision models"
)
def streams_calls_and_sees(shop):
    stream_is_off_and_can_be_on(shop)
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    called = shop.chat(tools=[tool])["choices"][0]["message"]["tool_calls"]
    assert called[0]["function"]["name"] == "look"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    ]
    assert shop.chat(parts, model="gpt-4-vision-preview")["choices"]


@says("Responses include usage metrics (prompt_tokens, completion_tokens) for billing")
def usage_is_there(shop):
    usage = shop.chat()["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"] > 0


@says(
    "Exerati provides access to a curated catalog of AI models across text, vision, code, and audio modalities"
)
def catalog_has_every_modality(shop):
    models = shop.ok("/v1/models")["data"]
    takes = {name for model in models for name in model["architecture"]["input_modalities"]}
    assert {"text", "image", "audio"} <= takes
    assert any(model["id"].startswith("codestral") for model in models)


@says(
    "Use GET /v1/models to list all available models with their pricing, context windows, and capabilities",
    "Each model has a unique slug (e.g., gpt-4o, claude-3-opus) used in API requests",
)
def models_have_prices_contexts_and_slugs(shop):
    models = shop.ok("/v1/models")["data"]
    ids = [model["id"] for model in models]
    assert len(ids) == len(set(ids)) > 150
    assert all(model["pricing"] for model in models)
    assert all(model["context_length"] for model in models if model["kind"] == "chat")
    assert all("features" in model and "supported_parameters" in model for model in models)
    for slug in ("gpt-4o", "claude-3-opus"):
        assert shop.chat(model=slug)["model"] == slug


@says(
    "Generate vector embeddings for text using POST /v1/embeddings",
    "Useful for semantic search, clustering, and similarity comparisons",
    "Specify the embedding model and input text (string or array)",
    "Returns a list of embedding vectors with their dimensions",
)
def texts_become_vectors(shop):
    def vectors(text):
        body = {"model": "text-embedding-ada-002", "input": text}
        return [one["embedding"] for one in shop.ok("/v1/embeddings", body)["data"]]

    [one] = vectors("The quick brown fox")
    same, other = vectors(["The quick brown fox", "Something else"])
    assert len(one) == 1_536  # text-embedding-ada-002's own
    assert one == same != other
