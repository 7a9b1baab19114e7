"""Calls to providers whose accounts are more than a key, through a running gateway: sent, billed, never told."""

import json

import pytest

from gateway.models import Model, Provider
from gateway.providers import credentials
from gateway.routes import provider_accounts
from tests.gateway import books
from tests.gateway.event_stream import event
from tests.gateway.test_authorize import ACCOUNT
from tests.gateway.test_cohere import says, sse

AWS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "CANARY-aws", "region": "us-east-1"}
HI = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}}
USAGE = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}


@pytest.fixture
def account(shop):
    """Let the shop's provider speak an API through an account of ours."""

    def become(api, credential, *, path=""):
        provider = Provider.objects.get(pk=shop.provider.pk)
        provider.api, provider.base_url = api, shop.upstream.base_url + path
        text = credentials.compose(api, credential)
        provider_accounts.seal(provider, credential=text)
        provider.save()
        shop.relearn()
        return shop

    return become


def test_bedrock_is_called_with_a_signature_and_billed_as_it_reports(account):
    shop = account("bedrock", json.dumps(AWS))
    body = {**HI, "stopReason": "end_turn", "usage": USAGE}
    shop.script(raw=json.dumps(body).encode())

    answer = shop.chat(seed=7)

    (call,) = shop.upstream.calls_of(shop.model)
    assert call.path.endswith("/converse")
    assert call.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert answer.json["choices"][0]["message"]["content"] == "Hi"
    assert answer.headers["x-exerati-ignored-params"] == "seed"
    recorded = books.only(shop.organization)
    assert (recorded.input_tokens, recorded.output_tokens, recorded.basis) == (9, 4, "reported")


def test_bedrocks_binary_stream_comes_out_as_events_and_is_billed(account):
    shop = account("bedrock", json.dumps(AWS))
    pieces = [{"contentBlockIndex": 0, "delta": {"text": text}} for text in ("H", "i")]
    raw = event("messageStart", {"role": "assistant"})
    raw += b"".join(event("contentBlockDelta", piece) for piece in pieces)
    raw += event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": USAGE})
    shop.script(raw=raw, content_type="application/vnd.amazon.eventstream")

    answer = shop.chat(stream=True, seed=7)

    blocks = answer.body.removesuffix(b"\n\n").split(b"\n\n")
    chunks = [json.loads(block[6:]) for block in blocks[:-1]]
    text = [c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]]
    assert "".join(text) == "Hi"
    assert blocks[-1] == b"data: [DONE]"
    assert answer.headers["x-exerati-ignored-params"] == "seed"
    recorded = books.only(shop.organization)
    assert (recorded.input_tokens, recorded.output_tokens, recorded.basis) == (9, 4, "reported")


def test_a_strict_key_is_told_of_a_parameter_that_its_model_has_not(account):
    shop = account("bedrock", json.dumps(AWS))

    answer = shop.gateway.chat(
        shop.make_key(strict_parameters=True), model=shop.model, prompt_cache_key="k"
    )

    assert answer.status == 400
    assert answer.json["error"]["param"] == "prompt_cache_key"
    assert shop.upstream.calls_of(shop.model) == []


def test_vertex_is_called_with_a_token_fetched_once(account):
    file = {**ACCOUNT, "token_uri": ""}
    shop = account("vertex", json.dumps({"api_key": "x"}))
    file["token_uri"] = shop.upstream.base_url + "/token"
    shop = account("vertex", json.dumps(file))
    token = {"access_token": "CANARY-token", "expires_in": 3600}
    shop.upstream.script("token", raw=json.dumps(token).encode())
    candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
    body = {"candidates": [candidate], "usageMetadata": counts}
    shop.script(raw=json.dumps(body).encode())

    answers = [shop.chat() for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len(shop.upstream.calls_of("token")) == 1
    assert {call.headers["authorization"] for call in shop.upstream.calls_of(shop.model)} == {
        "Bearer CANARY-token"
    }
    books.settled(shop.organization, calls=3)


def test_azures_deployment_stands_in_the_path_and_its_key_in_a_header(account):
    shop = account("azure", json.dumps({"api_key": "CANARY-azure"}), path="/openai?api-version=1")
    Model.objects.get(name=shop.model).routes.update(upstream_model="gpt-4o-ours")
    shop.relearn()

    answer = shop.chat()

    (call,) = shop.upstream.calls_of("gpt-4o-ours")
    assert call.path == "/v1/openai/deployments/gpt-4o-ours/chat/completions?api-version=1"
    assert call.headers["api-key"] == "CANARY-azure"
    assert answer.status >= 400  # the stand-in answers nothing there


def test_cohere_streams_and_is_billed_by_its_billed_units(account):
    shop = account("cohere", "co-key")
    usage = {
        "billed_units": {"input_tokens": 9, "output_tokens": 4},
        "tokens": {"input_tokens": 500},
    }
    raw = sse(
        {"type": "message-start", "id": "co-1", "delta": says(role="assistant")},
        {"type": "content-delta", "index": 0, "delta": says(content={"text": "Hi"})},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    )
    shop.script(raw=raw, content_type="text/event-stream")

    answer = shop.chat(stream=True)

    assert b'"content":"Hi"' in answer.body
    recorded = books.only(shop.organization)
    assert (recorded.input_tokens, recorded.output_tokens, recorded.upstream_id) == (9, 4, "co-1")


@pytest.mark.parametrize(
    ("api", "credential"),
    [
        ("bedrock", json.dumps(AWS)),
        ("vertex", json.dumps({"api_key": "CANARY-google"})),
        ("azure", json.dumps({"api_key": "CANARY-azure"})),
        ("cohere", "CANARY-cohere"),
    ],
)
def test_no_secret_is_in_an_error_or_in_the_log(account, api, credential):
    shop = account(api, credential)
    secret = next(word for word in credential.split('"') if "CANARY" in word)
    echo = {"message": f"bad key {secret} in https://x.example/?key={secret}", "error": secret}
    shop.script(status=403, error=json.dumps(echo).encode())

    answer = shop.chat()

    assert answer.status in (502, 503)
    assert b"CANARY" not in answer.body
    assert "CANARY" not in shop.gateway.log
