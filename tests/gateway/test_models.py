"""The list of models over HTTP: what is sold, in the scope of the key, with prices to the last digit."""

import pytest

from billing.models import PriceVersion
from gateway.models import Model, Route
from tests import factories
from tests.upstream import wait_until


def listed(shop, **headers):
    answer = shop.gateway.request("GET", "/v1/models", key=shop.secret, headers=headers)
    return {model["id"]: model for model in answer.json["data"]}


def test_model_has_openai_s_fields_and_ours(shop):
    model = listed(shop)[shop.model]

    assert {"id", "object", "created", "owned_by", "shutdown_date"} <= set(model)
    assert (model["object"], model["owned_by"], model["kind"]) == ("model", "test", "chat")
    assert (model["context_length"], model["max_output_tokens"]) == (128_000, 16_384)
    assert model["pricing"] == {"prompt": "0.0000001", "completion": "0.0000004"}
    one = shop.gateway.request("GET", f"/v1/models/{shop.model}", key=shop.secret)
    assert one.json == model


def test_names_may_have_slashes(shop):
    name = f"vendor/{shop.model}:free"
    factories.make_model(name, provider=shop.provider)
    shop.relearn()

    answer = shop.gateway.request("GET", f"/v1/models/{name}", key=shop.secret)

    assert answer.json["id"] == name
    assert shop.chat(model=name).status == 200


def test_hidden_model_is_neither_listed_nor_served(shop):
    Model.objects.filter(name=shop.model).update(hidden_at="2026-01-01T00:00Z")
    shop.relearn()

    assert shop.model not in listed(shop)
    assert shop.chat().error["code"] == "model_not_found"


def test_price_missing_for_a_model_means_neither_listed_nor_served(shop):
    name = f"unpriced-{shop.model}"
    model = Model.objects.create(name=name, title=name, owned_by="x", kind="chat")
    Route.objects.create(model=model, provider=shop.provider, upstream_model=name)
    shop.relearn()

    assert name not in listed(shop)
    assert (shop.chat(model=name).status, shop.upstream.calls) == (404, [])


def test_model_whose_provider_is_off_is_a_503(shop):
    Route.objects.filter(model__name=shop.model).update(disabled_at="2026-01-01T00:00Z")
    shop.relearn()

    answer = shop.chat()

    assert (answer.status, answer.error["code"]) == (503, "no_provider")


@pytest.mark.parametrize("kind", ["chat", "embedding"])
def test_model_of_another_kind_does_not_exist_for_an_endpoint(shop, kind):
    other = "embedding" if kind == "chat" else "chat"
    name = f"{other}-{shop.model}"
    factories.make_model(name, provider=shop.provider, kind=other)
    shop.relearn()
    path = {"chat": "/v1/chat/completions", "embedding": "/v1/embeddings"}[kind]
    rest: dict[str, dict[str, object]] = {
        "chat": {"messages": [{"role": "user", "content": "x"}]},
        "embedding": {"input": "x"},
    }

    answer = shop.gateway.request("POST", path, key=shop.secret, body={"model": name, **rest[kind]})

    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def test_new_price_holds_for_the_next_call_without_a_restart(shop):
    PriceVersion.objects.create(
        model=shop.model,
        effective_from="2024-01-01T00:00Z",
        input_microusd_per_mtok=1_000_000,
        output_microusd_per_mtok=1_000_000,
    )

    # By the look every 5 s: nobody told.
    wait_until(lambda: listed(shop)[shop.model]["pricing"]["prompt"] == "0.000001")

    assert shop.chat().headers["x-exerati-cost-usd"] == "0.000013"


def test_the_list_counts_apart_from_the_calls_of_its_key(shop):
    secret = shop.make_key(requests_per_minute=1)

    answers = [shop.gateway.request("GET", "/v1/models", key=secret) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].error["code"] == "rate_limit_exceeded"
    assert "retry-after" in answers[1].headers
    assert shop.gateway.chat(secret, model=shop.model).status == 200
