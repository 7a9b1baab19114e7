"""The description of /v1: complete by the URL table, valid by its own standard, and true of what is answered."""

import json
import re
from typing import Any, get_args

import pytest
from anthropic.types import AnthropicBetaParam
from jsonschema import Draft202012Validator

from gateway import api_urls, model_list, serializers
from gateway.api.base import MeteredView
from gateway.api.openapi import DOCUMENT
from gateway.api_error import CODES
from gateway.dialects import completions, messages_native, messages_request, responses_request
from gateway.media import (
    image_calls,
    moderation_calls,
    rerank_calls,
    speech_calls,
    transcription_calls,
)
from gateway.models import Model
from gateway.routes import preferences
from tests import factories
from tests.gateway import books
from tests.gateway.media_files import wav
from tests.gateway.media_shop import form, sell

DESCRIPTION: dict[str, Any] = json.loads(DOCUMENT.read_text())
METHODS = {"get", "post", "put", "patch", "delete"}


def properties(schema):
    return set(DESCRIPTION["components"]["schemas"][schema]["properties"])


def view_of(pattern: Any):
    return pattern.callback.view_class


def table():
    """Return the methods of each address of the URL table, as the description writes it."""
    return {
        re.sub(r"<path:\w+>", "{id}", str(pattern.pattern)).removeprefix("v1"): {
            method for method in METHODS if hasattr(view_of(pattern), method)
        }
        for pattern in api_urls.urlpatterns
    }


def check(answer, schema):
    """Assert that an answer is what a schema of the description says."""
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DESCRIPTION["components"]}
    Draft202012Validator(reference).validate(answer.json)


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


# complete


def test_every_address_is_described_with_its_methods_and_no_other():
    described = {path: METHODS & set(item) for path, item in DESCRIPTION["paths"].items()}

    assert described == table()


def test_beta_features_of_anthropics_are_listed_as_they_are_treated():
    header = DESCRIPTION["components"]["parameters"]["AnthropicBeta"]
    passed_on = set(header["x-exerati-passed-on"])
    left_out = {name for group in header["x-exerati-left-out"] for name in group["names"]}
    known = {name[: -len("-2026-01-01")] for name in get_args(get_args(AnthropicBetaParam)[1])}

    assert passed_on == messages_native.BETAS
    assert known <= passed_on | left_out
    for name in passed_on | left_out:
        passed, ignored = messages_native.betas(f"{name}-2026-01-01")
        assert (bool(passed), bool(ignored)) == (name in passed_on, name in left_out)


def test_every_operation_has_a_name_of_its_own_and_says_how_it_fails():
    operations = [
        item[method] for item in DESCRIPTION["paths"].values() for method in METHODS & set(item)
    ]

    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all({"200", "500"} <= set(operation["responses"]) for operation in operations)
    for operation in operations:
        assert ("401" in operation["responses"]) != (operation.get("security") == [])


def test_every_metered_operation_names_every_status_that_it_may_answer():
    # Of no operation: an address or method that is none, and what is told before any path is read.
    elsewhere = {"unknown_url", "method_not_allowed", "not_supported", "headers_too_large"}
    statuses = {status for code, (status, _) in CODES.items() if code not in elsewhere}

    for pattern in api_urls.urlpatterns:
        if issubclass(view_of(pattern), MeteredView):
            operation = DESCRIPTION["paths"][f"/{pattern.pattern}".removeprefix("/v1")]["post"]
            assert {int(status) for status in operation["responses"]} == statuses | {200, 400}
            assert {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]


def test_every_reference_leads_somewhere():
    for reference in set(references(DESCRIPTION)):
        found: Any = DESCRIPTION
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


@pytest.mark.parametrize("schema", sorted(DESCRIPTION["components"]["schemas"]))
def test_every_schema_is_one(schema):
    Draft202012Validator.check_schema(DESCRIPTION["components"]["schemas"][schema])


def test_parameters_are_those_that_are_known():
    assert properties("ChatRequest") == set(serializers._CHAT_CHECKS) | preferences.FIELDS
    assert properties("EmbeddingRequest") == set(serializers._EMBEDDINGS_CHECKS) | (
        preferences.FIELDS - {"models"}
    )
    chat = set(serializers._CHAT_CHECKS) - set(completions._CHAT_ONLY)
    assert properties("CompletionRequest") <= chat | completions._OWN
    assert completions._OWN <= properties("CompletionRequest")
    assert responses_request._OWN <= properties("ResponseRequest")
    refused = set(messages_native._REFUSED)
    assert properties("MessageRequest") == messages_request._TRANSLATED - refused


def test_parameters_of_images_and_audio_are_those_that_are_known():
    transcription = {*transcription_calls._TRANSCRIPTION_CHECKS, "file"}
    known = {
        "ImageRequest": image_calls._GENERATION_CHECKS,
        "ImageEditRequest": image_calls._EDIT_JSON_CHECKS,
        "ImageEditForm": {*image_calls._EDIT_FORM_CHECKS, "image", "mask"},
        "SpeechRequest": speech_calls._CHECKS,
        "TranscriptionForm": transcription,
        "TranslationForm": {*transcription_calls._TRANSLATION_CHECKS, "file"},
        "ModerationRequest": moderation_calls._CHECKS,
        "RerankRequest": rerank_calls._CHECKS,
    }

    assert {name: properties(name) for name in known} == {
        name: set(fields) | preferences.FIELDS for name, fields in known.items()
    }


def test_filters_are_those_that_work():
    parameters = DESCRIPTION["paths"]["/models"]["get"]["parameters"]

    assert {parameter["name"] for parameter in parameters} == set(model_list.FILTERS)


# served


def test_it_is_open_to_everybody(gateway):
    answer = gateway.request("GET", "/v1/openapi.json")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == DESCRIPTION
    assert answer.headers["access-control-allow-origin"] == "*"


def test_nothing_else_is_open_without_a_key():
    public = [p.name for p in api_urls.urlpatterns if view_of(p).is_public]

    assert public == ["openapi"]


# true


def test_answers_of_images_and_audio_are_as_described(shop):
    def call(path, kind, body, **rates):
        wanted = {"model": sell(shop, kind, **rates), **body}
        return shop.gateway.request("POST", f"/v1{path}", key=shop.secret, body=wanted)

    drawn = call("/images/generations", "image", {"prompt": "A cat"}, image_nanousd=1)
    check(drawn, "ImageList")
    check(call("/moderations", "moderation", {"input": "Hi"}, call_nanousd=0), "Moderation")
    asked = {"query": "a", "documents": ["a", "b"]}
    check(call("/rerank", "rerank", asked, search_nanousd=1), "RerankResult")
    model = sell(shop, "transcription", second_nanousd=1)
    content_type, body = form(("model", model), ("file", ("a.wav", "audio/wav", wav(1))))
    for route in ("transcriptions", "translations"):
        answer = shop.gateway.request(
            "POST",
            f"/v1/audio/{route}",
            key=shop.secret,
            body=body,
            headers={"content-type": content_type},
        )
        check(answer, "Transcript")


def test_answers_are_as_described(shop):
    name = f"embed-{shop.model}"
    factories.make_model(name, provider=shop.provider, kind=Model.Kind.EMBEDDING)
    shop.relearn()

    def call(path, body=None):
        method = "GET" if body is None else "POST"
        return shop.gateway.request(method, f"/v1{path}", key=shop.secret, body=body)

    chat = shop.chat()
    check(chat, "ChatCompletion")
    check(call("/completions", {"model": shop.model, "prompt": "Hi"}), "Completion")
    check(call("/responses", {"model": shop.model, "input": "Hi"}), "Response")
    asked = {"model": shop.model, "input": "Hi"}
    check(call("/responses/input_tokens", asked), "ResponseTokenCount")
    message = {"model": shop.model, "messages": [{"role": "user", "content": "Hi"}]}
    check(call("/messages", message | {"max_tokens": 50}), "MessageAnswer")
    check(call("/messages", message), "MessageError")
    check(call("/messages/count_tokens", message), "TokenCount")
    check(call("/embeddings", {"model": name, "input": "Hi"}), "EmbeddingList")
    check(call("/models"), "ModelList")
    check(call(f"/models/{shop.model}"), "Model")
    check(call(f"/models/{shop.model}/endpoints"), "ModelEndpoints")
    check(call("/key"), "Key")
    books.settled(shop.organization, calls=5)
    check(call(f"/generation?id={chat.json['id']}"), "Generation")
    check(call("/generation?id=none"), "Error")
    check(shop.chat(model="none"), "Error")
