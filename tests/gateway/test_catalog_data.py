"""The shipped catalog keeps its rules, and the loader says exactly where a file breaks one."""

import json
from datetime import date
from itertools import pairwise

import pytest

from gateway.catalog import catalog_data
from gateway.catalog.catalog_data import Cost, Model
from gateway.catalog.catalog_row import SLUG, CatalogInvalid

# The models that the public documentation names.
DOCUMENTED = ["gpt-4o", "claude-3-opus", "gpt-4", "gpt-4-vision-preview", "text-embedding-ada-002"]
PROVIDERS = (
    "openai anthropic gemini azure groq mistral deepseek xai together fireworks openrouter "
    "perplexity cerebras moonshot alibaba zai huggingface ollama vllm llamacpp lmstudio sandbox"
)
CATALOG = catalog_data.load()
MODELS = list(CATALOG.models.values())
AS_OF = date.fromisoformat(json.loads((catalog_data.FOLDER / "curation.json").read_text())["as_of"])


def costs(model: Model) -> list[Cost]:
    own = [price.provider_cost for price in model.prices]
    own += [route.provider_cost for route in model.routes if route.provider_cost]
    return own + [tier for cost in own for tier in cost.service_tiers.values()]


def highest_rates(cost: Cost) -> dict[str, int]:
    rates = cost.rates.given()
    for tier in cost.tiers:
        for name, rate in tier.rates.given().items():
            rates[name] = max(rate, rates.get(name, 0))
    return rates


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_models_of_the_documentation_are_in_the_catalog(name):
    assert name in CATALOG.models


@pytest.mark.parametrize("name", PROVIDERS.split())
def test_the_provider_is_known(name):
    assert name in CATALOG.providers


def test_the_catalog_holds_every_kind_it_promises():
    assert len(CATALOG.models) >= 150
    kinds = {model.kind for model in CATALOG.models.values()}
    assert kinds >= {"chat", "embedding", "image", "speech", "transcription", "rerank"}


def test_names_are_slugs_that_fit_in_an_address():
    for model in MODELS:
        assert SLUG.fullmatch(model.name), model.name
        assert "/" not in model.name, model.name


def test_every_rate_is_positive():
    for model in MODELS:
        for cost in costs(model):
            rates = highest_rates(cost)
            assert cost.rates.given(), model.name
            assert rates == {"call_nanousd": 0} or min(rates.values()) > 0, model.name


def test_only_what_is_free_to_use_is_free():
    free = [
        model.name
        for model in MODELS
        for cost in costs(model)
        if cost.rates.given() == {catalog_data.FREE: 0}
    ]

    assert free == ["omni-moderation-latest"]


def test_a_price_is_in_force_on_the_day_of_the_build():
    for model in MODELS:
        assert model.prices[0].effective_from <= AS_OF, model.name


def test_cache_reads_never_cost_more_than_input():
    for model in MODELS:
        for cost in costs(model):
            rates = cost.rates
            if rates.cache_read_microusd_per_mtok and rates.input_microusd_per_mtok:
                assert rates.cache_read_microusd_per_mtok <= rates.input_microusd_per_mtok, (
                    model.name
                )


def test_chat_models_can_be_bounded():
    for model in MODELS:
        if model.kind != "chat":
            continue
        context, most = model.context_tokens or 0, model.max_output_tokens or 0
        assert 0 < most <= context, model.name
        assert all(price.provider_cost.rates.output_microusd_per_mtok for price in model.prices), (
            model.name
        )


def test_no_fallback_route_costs_more_than_the_model():
    for model in MODELS:
        own = highest_rates(model.prices[-1].provider_cost)
        for route in model.routes[1:]:
            if route.provider_cost is None:
                continue
            for name in ("input_microusd_per_mtok", "output_microusd_per_mtok"):
                assert highest_rates(route.provider_cost).get(name, 0) <= own[name], model.name


def test_every_row_names_the_source_of_its_price():
    for model in MODELS:
        assert model.sources["prices"], model.name


# List prices that the providers have published for long, typed here by hand.
@pytest.mark.parametrize(
    ("name", "input_rate", "output_rate"),
    [
        ("gpt-4", 30_000_000, 60_000_000),
        ("gpt-4o", 2_500_000, 10_000_000),
        ("claude-3-opus", 15_000_000, 75_000_000),
        ("gemini-2.5-pro", 1_250_000, 10_000_000),
        ("text-embedding-ada-002", 100_000, None),
    ],
)
def test_well_known_prices_are_as_published(name, input_rate, output_rate):
    rates = CATALOG.models[name].prices[-1].provider_cost.rates

    assert rates.input_microusd_per_mtok == input_rate
    assert rates.output_microusd_per_mtok == output_rate


def test_long_prompts_have_their_own_rates():
    [tier] = CATALOG.models["gemini-2.5-pro"].prices[-1].provider_cost.tiers

    assert tier.above_input_tokens == 200_000
    assert tier.rates.input_microusd_per_mtok == 2_500_000
    assert tier.rates.output_microusd_per_mtok == 15_000_000


def test_a_price_change_is_a_version_of_its_own():
    prices = CATALOG.models["gpt-5.6-sol"].prices

    assert [price.effective_from for price in prices][-1] == date(2026, 8, 21)
    assert prices[-2].provider_cost.rates.input_microusd_per_mtok == 5_000_000
    assert prices[-1].provider_cost.rates.input_microusd_per_mtok == 4_000_000


def test_unit_fees_are_in_nano_usd():
    def rates(name):
        return CATALOG.models[name].prices[-1].provider_cost.rates

    assert rates("whisper-1").second_nanousd == 100_000  # $0.006 a minute
    assert rates("tts-1").character_nanousd == 15_000  # $15 per million characters
    assert rates("rerank-v3.5").search_nanousd == 2_000_000  # $2 per thousand searches


def test_both_files_are_in_a_stable_order():
    names = [row["name"] for row in read("models.json")]

    assert all(a < b for a, b in pairwise(names))


def read(file):
    return json.loads((catalog_data.FOLDER / file).read_text())


@pytest.fixture
def folder(tmp_path):
    """A catalog of one model, to be broken."""
    model = next(row for row in read("models.json") if row["name"] == "gpt-4o")
    save(tmp_path, [model])
    (tmp_path / "providers.json").write_text(json.dumps(read("providers.json")))
    return tmp_path


def save(folder, models):
    (folder / "models.json").write_text(json.dumps(models))


def change(folder, path, value):
    """Set one value of the model, by its path of keys."""
    [model] = json.loads((folder / "models.json").read_text())
    place = model
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    save(folder, [model])


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        (["colour"], "red", "colour", "is not a known field"),
        (["supports", "magic"], True, "supports.magic", "is not a known field"),
        (["name"], "GPT 4o", "name", "must match"),
        (["kind"], "poem", "kind", "must be one of chat"),
        (["context_tokens"], 0, "context_tokens", "must be a positive whole number"),
        (["context_tokens"], None, "context_tokens", "must be known for a chat model"),
        (["context_tokens"], 1.5, "context_tokens", "must be a positive whole number"),
        (["input_modalities"], ["text", "smell"], "input_modalities", "'smell' is not one of"),
        (["input_modalities"], ["text"], "supports.vision", "must say whether image"),
        (["created_on"], "yesterday", "created_on", "must be a date"),
        (["title"], "", "title", "must be text"),
        (["routes"], [], "routes", "must name at least one provider"),
        (["routes", 0, "provider"], "nobody", "routes.provider", "no provider is named 'nobody'"),
        (["routes", 0, "weight"], 2, "routes[0].weight", "is not a known field"),
        (["prices"], [], "prices", "a model without a price is not listed"),
        (
            ["prices", 0, "provider_cost", "input_microusd_per_mtok"],
            0,
            "prices[0].provider_cost.input_microusd_per_mtok",
            "must be a positive whole number, not 0",
        ),
        (
            ["prices", 0, "provider_cost", "call_nanousd"],
            0,
            "prices[0].provider_cost.call_nanousd",
            "must be a positive whole number, not 0",
        ),
        (
            ["prices", 0, "provider_cost", "input_usd"],
            1,
            "prices[0].provider_cost.input_usd",
            "is not a known field",
        ),
        (["description"], "No full stop", "description", "must be a sentence"),
    ],
)
def test_a_broken_row_is_refused_by_file_row_and_field(folder, path, value, field, problem):
    change(folder, path, value)

    with pytest.raises(CatalogInvalid) as caught:
        catalog_data.load(folder)

    assert caught.value.file == "models.json"
    assert caught.value.row == ("GPT 4o" if path == ["name"] else "gpt-4o")
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"models.json: {caught.value.row}: {field}: ")


def test_a_missing_field_is_refused(folder):
    [model] = json.loads((folder / "models.json").read_text())
    del model["title"]
    save(folder, [model])

    with pytest.raises(CatalogInvalid, match=r"models\.json: gpt-4o: title: is missing"):
        catalog_data.load(folder)


def test_a_name_used_twice_is_refused(folder):
    [model] = json.loads((folder / "models.json").read_text())
    save(folder, [model, model])

    with pytest.raises(CatalogInvalid, match="name: is used twice"):
        catalog_data.load(folder)


def test_an_unknown_quirk_of_a_provider_is_refused(folder):
    rows = read("providers.json")
    rows[0]["quirks"] = ["sings"]
    (folder / "providers.json").write_text(json.dumps(rows))

    with pytest.raises(CatalogInvalid, match=r"providers\.json: openai: quirks: 'sings'"):
        catalog_data.load(folder)


def test_prices_out_of_order_are_refused(folder):
    [model] = json.loads((folder / "models.json").read_text())
    change(folder, ["prices"], [model["prices"][0], model["prices"][0]])

    with pytest.raises(CatalogInvalid, match="prices: must be in order of effective_from"):
        catalog_data.load(folder)
