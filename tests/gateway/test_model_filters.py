"""Filters of the list of models, and the routes of one model."""

import pytest

from gateway.models import Model, Provider, Route
from tests import factories


def listed(shop, query=""):
    answer = shop.gateway.request("GET", f"/v1/models{query}", key=shop.secret)
    assert answer.status == 200, answer.body
    return {model["id"] for model in answer.json["data"]}


@pytest.fixture
def shelf(shop):
    """Three models that differ in everything; a filter is tried on these alone."""
    name = shop.model
    factories.make_model(
        f"{name}-eyes",
        provider=shop.provider,
        title="Eagle Vision",
        input_modalities=["text", "image"],
        supported_parameters=["tools", "seed"],
        features=["vision"],
        context_tokens=1_000_000,
    )
    factories.make_price(
        f"{name}-eyes", effective_from="2024-01-01T00:00Z", input_microusd_per_mtok=3_000_000
    )
    factories.make_model(
        f"{name}-vectors",
        provider=shop.provider,
        kind=Model.Kind.EMBEDDING,
        description="Turns words into vectors",
        output_modalities=["embedding"],
        context_tokens=8_192,
        owned_by="someone",
    )
    shop.relearn()
    return shop


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"", "-eyes", "-vectors"}),
        ("?kind=embedding", {"-vectors"}),
        ("?kind=chat", {"", "-eyes"}),
        ("?owned_by=someone", {"-vectors"}),
        ("?input_modalities=image", {"-eyes"}),
        ("?input_modality=image", {"-eyes"}),
        ("?input_modalities=text,image", {"-eyes"}),
        ("?input_modalities=text&input_modalities=image", {"-eyes"}),
        ("?output_modalities=embedding", {"-vectors"}),
        ("?output_modality=text", {"", "-eyes"}),
        ("?supported_parameters=tools", {"-eyes"}),
        ("?supported_parameters=tools,seed", {"-eyes"}),
        ("?supported_parameters=tools,logprobs", set()),
        ("?features=vision", {"-eyes"}),
        ("?q=eagle", {"-eyes"}),
        ("?q=EAGLE%20vision", {"-eyes"}),
        ("?q=into+vectors", {"-vectors"}),
        ("?context=100000", {"", "-eyes"}),
        ("?context=1000001", set()),
        ("?max_price=0.1", {"", "-vectors"}),
        ("?max_price=0.09", set()),
        ("?min_price=2.5", {"-eyes"}),
        ("?min_price=1&max_price=3", {"-eyes"}),
        ("?kind=chat&input_modalities=image", {"-eyes"}),
        ("?kind=", {"", "-eyes", "-vectors"}),
        ("?kind=spaceship", set()),
        ("?max_price=cheap", set()),
        ("?max_price=NaN", set()),
        ("?context=-", set()),
        ("?nobody_knows=1", {"", "-eyes", "-vectors"}),
        ("?kind=%ff", set()),
    ],
)
def test_list_holds_what_passes_every_filter(shelf, query, expected):
    names = {
        f"{shelf.model}{end}" for end in ("", "-eyes", "-vectors")
    }  # others are of other tests

    assert listed(shelf, query) & names == {f"{shelf.model}{end}" for end in expected}


def test_filters_stay_inside_the_key_s_scope(shelf):
    key = shelf.make_key(model_patterns=[f"{shelf.model}-eyes"])

    answer = shelf.gateway.request("GET", "/v1/models?kind=chat", key=key)

    assert [model["id"] for model in answer.json["data"]] == [f"{shelf.model}-eyes"]


def test_head_works_with_filters(shop):
    answer = shop.gateway.request("HEAD", "/v1/models?kind=chat", key=shop.secret)

    assert (answer.status, answer.body) == (200, b"")


def test_too_many_parameters_are_the_client_s_fault(shop):
    answer = shop.gateway.request("GET", "/v1/models?" + "a&" * 1_500, key=shop.secret)

    assert (answer.status, answer.error["code"]) == (400, "invalid_request")


# who serves a model


def routes(shop, name="", *, key=""):
    path = f"/v1/models/{name or shop.model}/endpoints"
    return shop.gateway.request("GET", path, key=key or shop.secret)


def test_routes_of_a_model_come_in_the_order_they_are_tried(shop):
    other = factories.make_provider(title="Second Inc.", base_url=shop.upstream.base_url)
    shop.add_route(provider=other)

    found = routes(shop).json["data"]

    assert found["id"] == shop.model
    assert [e["provider_name"] for e in found["endpoints"]] == [shop.provider.title, "Second Inc."]
    first = found["endpoints"][0]
    assert (first["status"], first["context_length"]) == ("on", 128_000)
    assert first["pricing"] == {"prompt": "0.0000001", "completion": "0.0000004"}


@pytest.mark.parametrize("what", ["route", "provider", "account"])
def test_route_that_cannot_be_used_is_off(shop, what):
    if what == "route":
        Route.objects.filter(model__name=shop.model).update(disabled_at="2026-01-01T00:00Z")
    elif what == "provider":
        Provider.objects.filter(pk=shop.provider.pk).update(disabled_at="2026-01-01T00:00Z")
    else:
        Provider.objects.filter(pk=shop.provider.pk).update(api_key_env="NOBODY_SETS_THIS")

    [endpoint] = routes(shop).json["data"]["endpoints"]

    assert endpoint["status"] == "off"


def test_no_address_no_account_and_no_name_of_the_provider_s_is_told(shop):
    upstream_model = shop.add_route()

    told = routes(shop).body.decode()

    assert "127.0.0.1" not in told
    assert upstream_model not in told
    assert "base_url" not in told
    assert "credential" not in told


def test_model_outside_the_key_s_scope_has_no_routes(shop):
    key = shop.make_key(model_patterns=["nothing"])

    answer = routes(shop, key=key)

    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def test_routes_of_a_model_whose_name_has_slashes(shop):
    name = f"vendor/{shop.model}:free"
    factories.make_model(name, provider=shop.provider)
    shop.relearn()

    assert routes(shop, name).json["data"]["id"] == name
