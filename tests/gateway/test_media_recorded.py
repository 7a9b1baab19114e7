"""Recorded answers of images, audio, moderation and reranking, through what reads them: shapes, usage, errors."""

import base64
import json

import pytest

from billing.types import Rates, TokenUsage
from gateway.media import audio_length, forms, image_calls, rerank_calls, units
from gateway.media.moderation_calls import parse_moderation
from gateway.providers import rerank
from gateway.providers.base import ServeAs
from gateway.providers.openai import openai_errors, openai_media
from tests.gateway.recorded import MISSING, SHARED

SERVE_AS = ServeAs(id="our-id", model="public", created=1)
APIS = ("audio-transcriptions", "images-generations", "images-edits", "moderations", "rerank")
SECONDS = Rates(second_nanousd=1)

CASES = [
    (path, api)
    for provider in ("cohere", "mistral", "openai", "voyage", "xai")
    for path in sorted((SHARED / provider).glob("*.json"))
    for api in APIS
    if json.loads(path.read_text())["api"] == api
]
pytestmark = pytest.mark.skipif(not CASES, reason=MISSING)


def read(api, request, data):
    if api == "audio-transcriptions":
        return openai_media.transcript(data, quirks=frozenset())
    if api.startswith("images"):
        return openai_media.image_answer(data, serve_as=SERVE_AS)
    if api == "moderations":
        return openai_media.moderation_answer(data, serve_as=SERVE_AS)
    call = rerank_calls.parse_rerank({name: v for name, v in request.items() if v is not None})
    return rerank.answer(data, serve_as=SERVE_AS, documents=call.documents, return_documents=True)


@pytest.mark.parametrize(("path", "api"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_every_recorded_exchange_is_taken_and_read(path, api):
    for exchange in json.loads(path.read_text())["interactions"]:
        request, response = exchange["request"], exchange["response"]
        if request is not None:
            taken(api, request)
        data = json.dumps(response["body"]).encode()
        if response["status"] >= 400:
            error = openai_errors.read_error(response["status"], {}, data)
            assert (error.kind, error.code) == ("bad_request", response["body"]["error"]["code"])
            continue
        answer = read(api, request and request["body"], data)
        assert answer.has_output
        if api == "audio-transcriptions":
            assert answer.body == response["body"]
            assert answer.usage.seconds == {3: 3, 3.7: 4, 36.709999084472656: 37}[length_of(answer)]


def told(body, *, quirks: frozenset[str] = frozenset()) -> TokenUsage:
    usage = openai_media.transcript_usage(body, quirks=quirks)
    assert usage is not None
    return usage


def length_of(answer):
    usage = answer.body["usage"]
    return usage.get("prompt_audio_seconds") or answer.body["duration"]


def taken(api, request):
    """Assert that the client's side of the exchange would be taken as it is."""
    if request["body_encoding"] == "base64":
        body = base64.b64decode(request["body"])
        form = forms.parse(request["headers"]["content-type"], body)
        assert audio_length.measure(form.files_of("file")[0].data, param="file").seconds == 4
        return
    body = request["body"]
    if api == "moderations":
        assert parse_moderation(body).ignored == ()
    elif api == "images-edits":
        assert image_calls.parse_edit(body).input_images == 1
    elif api == "images-generations":
        assert image_calls.parse_generation({"model": "m", **body}).ignored == ()


def test_tokens_of_a_model_priced_by_the_second_cost_nothing_more():
    path = SHARED / "mistral" / "audio-transcriptions-plain-5c31.json"
    body = json.loads(path.read_text())["interactions"][0]["response"]["body"]

    usage = told(body)

    assert (usage.input_tokens, usage.seconds) == (3, 3)
    assert units.told(usage, rates=SECONDS) == TokenUsage(seconds=3, audio_input_tokens=375)


def test_the_least_that_a_provider_bills_is_what_is_told():
    quirks = frozenset({"least_10_seconds"})

    assert told({"duration": 2.1}, quirks=quirks).seconds == 10
    assert told({"duration": 12.1}, quirks=quirks).seconds == 13


@pytest.mark.parametrize("told", [-1, "7", float("inf"), float("nan"), 10**12, None, True])
def test_absurd_lengths_are_none(told):
    assert openai_media.transcript_usage({"duration": told}, quirks=frozenset()) in (
        None,
        TokenUsage(seconds=1),
    )
