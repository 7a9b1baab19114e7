"""`catalog load` and `provider add|list`: what ends up in the database, and what is left alone."""

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from billing.models import PriceVersion, ProviderCostVersion
from exerati.lib.encryption import decrypt
from gateway import snapshot
from gateway.catalog import catalog_data
from gateway.models import Model, Provider, Route
from gateway.providers.sandbox.sandbox import SANDBOX_MODELS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_accounts(monkeypatch):
    """Take away what the machine's own environment says of providers."""
    for provider in catalog_data.load().providers.values():
        monkeypatch.delenv(provider.api_key_env or "EXERATI_NONE", raising=False)


def run(*words):
    """Return what `manage.py <words> --json` prints."""
    output = io.StringIO()
    call_command(*words, "--json", stdout=output)
    return json.loads(output.getvalue())


def test_the_whole_catalog_and_the_sandbox_are_loaded():
    catalog = catalog_data.load()

    counts = run("catalog", "load")

    assert counts["models"] == len(catalog.models) + len(SANDBOX_MODELS)
    assert counts["providers"] == len(catalog.providers)
    assert set(Model.objects.values_list("name", flat=True)) == set(
        PriceVersion.objects.values_list("model", flat=True)
    )
    assert set(Route.objects.values_list("provider__name", "upstream_model")) >= set(
        ProviderCostVersion.objects.values_list("provider", "upstream_model")
    )


def test_a_second_load_changes_nothing():
    run("catalog", "load")

    again = run("catalog", "load")

    assert {value for name, value in again.items() if name.startswith("new_")} == {0}


def test_our_price_is_the_cost_and_the_markup():
    run("catalog", "load")

    ours = PriceVersion.objects.filter(model="gpt-4o-mini").latest("effective_from")
    cost = ProviderCostVersion.objects.filter(
        provider="openai", upstream_model="gpt-4o-mini"
    ).latest("effective_from")

    # $0.15 and $0.60 a million tokens, and 5.5 % on top.
    assert (cost.input_microusd_per_mtok, cost.output_microusd_per_mtok) == (150_000, 600_000)
    assert (ours.input_microusd_per_mtok, ours.output_microusd_per_mtok) == (158_250, 633_000)


def test_another_markup_makes_new_versions_and_keeps_the_old(settings):
    run("catalog", "load")
    settings.MARKUP_PERCENT = "10"

    counts = run("catalog", "load")

    versions = PriceVersion.objects.filter(model="gpt-4o-mini").order_by("effective_from")
    assert counts["new_prices"] > 0
    assert counts["new_costs"] == 0
    assert [row.input_microusd_per_mtok for row in versions][-2:] == [158_250, 165_000]


def test_what_operators_decided_is_left_alone():
    run("catalog", "load")
    Provider.objects.filter(name="openai").update(base_url="https://proxy.example/v1")
    Provider.objects.filter(name="xai").update(disabled_at=timezone.now())
    Model.objects.filter(name="gpt-4o-mini").update(hidden_at=timezone.now(), title="mangled")

    run("catalog", "load")

    assert Provider.objects.get(name="openai").base_url == "https://proxy.example/v1"
    assert Provider.objects.get(name="xai").disabled_at is not None
    model = Model.objects.get(name="gpt-4o-mini")
    assert model.hidden_at is not None
    assert model.title != "mangled"


def test_the_gateway_reads_what_was_loaded():
    run("catalog", "load")

    catalog = snapshot.load_catalog()

    echo = catalog.models["sandbox/echo"]
    assert [route.upstream.name for route in echo.routes] == ["sandbox"]
    assert echo.prices[-1].price.rates.output_microusd_per_mtok == 400_000
    assert catalog.models["gpt-4"].routes == ()  # nobody's key is set
    assert catalog.models["text-embedding-ada-002"].prices


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("EXERATI_PROVIDER_OLLAMA_BASE_URL", "ollama"),
    ],
)
def test_a_provider_is_switched_on_by_the_environment(monkeypatch, variable, name):
    run("catalog", "load")
    before = {row["name"]: row for row in run("provider", "list")}
    monkeypatch.setenv(variable, "http://127.0.0.1:11434/v1")

    after = {row["name"]: row for row in run("provider", "list")}

    assert not before[name]["on"]
    assert variable in before[name]["why"]
    assert after[name]["on"]
    assert [row["name"] for row in before.values() if row["on"]] == ["sandbox"]


def test_a_server_of_ones_own_is_added_with_a_model_and_a_price(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-upstream-1234\n"))

    answer = run(
        *("provider", "add", "box", "--base-url", "http://127.0.0.1:9/v1/", "--api-key-stdin"),
        *("--model", "smol=HF/SmolLM2", "--input-price", "0.15", "--output-price", "0.6"),
    )

    provider = Provider.objects.get()
    price = PriceVersion.objects.get(model="smol")
    route = Route.objects.get(provider=provider)
    assert (answer["on"], answer["models"]) == (True, 1)
    assert "sk-upstream" not in json.dumps(answer)
    assert provider.base_url == "http://127.0.0.1:9/v1"
    assert provider.sealed_credential is not None
    assert decrypt(provider.sealed_credential, context="provider:box") == "sk-upstream-1234"
    assert (route.model.name, route.upstream_model) == ("smol", "HF/SmolLM2")
    assert (price.input_microusd_per_mtok, price.output_microusd_per_mtok) == (150_000, 600_000)


@pytest.mark.parametrize(
    "prices",
    [
        [],
        ["--input-price", "1"],
        ["--input-price", "0", "--output-price", "0"],
    ],
)
def test_nothing_is_free_unless_the_operator_says_so(prices):
    with pytest.raises(CommandError, match="--free"):
        run("provider", "add", "box", "--base-url", "http://b/v1", "--model", "m=m", *prices)

    assert not Provider.objects.exists()
    assert not PriceVersion.objects.exists()


def test_a_free_model_has_a_price_of_zero():
    run("provider", "add", "box", "--base-url", "http://127.0.0.1:9/v1", "--model", "m=m", "--free")

    price = PriceVersion.objects.get()
    assert (price.input_microusd_per_mtok, price.output_microusd_per_mtok) == (0, 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["box"], "--base-url"),
        (["box", "--base-url", "127.0.0.1:9/v1"], "http"),
        (["a box", "--base-url", "http://127.0.0.1:9/v1"], "slug"),
        (["snowflake"], "--base-url"),
    ],
)
def test_a_provider_that_could_not_be_reached_is_not_added(words, says):
    with pytest.raises(CommandError, match=says):
        run("provider", "add", *words)

    assert not Provider.objects.exists()


def test_a_known_local_server_needs_no_more_than_its_name():
    run("catalog", "load")

    answer = run("provider", "add", "ollama")

    assert answer["on"]
    assert answer["base_url"] == "http://127.0.0.1:11434/v1"


def test_a_credential_sealed_under_another_key_is_off_and_says_so(settings, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-upstream-1234"))
    run("provider", "add", "box", "--base-url", "http://127.0.0.1:9/v1", "--api-key-stdin")
    settings.FIELD_KEY = b"another field key"

    [row] = run("provider", "list")

    assert not row["on"]
    assert "EXERATI_FIELD_KEY" in row["why"]
