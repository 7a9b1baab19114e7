"""Markup rules: prices of one organization's own, applied once, bounded, explained, and seen by nobody else."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from billing import price_book, price_formula, pricing
from billing.models import BillingAccount, MarkupRule, PriceVersion, Reservation
from billing.price_versions import RateSheet
from billing.read_models import request_log
from billing.types import TokenUsage
from gateway import markups, snapshot
from tests import factories
from tests.gateway import books

pytestmark = pytest.mark.django_db


def set_rule(organization, percent, *, model="", now=None):
    return markups.set_rule(
        organization,
        model=model,
        percent=None if percent is None else Decimal(percent),
        reason="Agreed",
        actor=None,
        now=now or timezone.now(),
    )


@pytest.fixture
def model(db):
    """A model that costs us $0.05 / $0.20 a million tokens and is listed at $0.10 / $0.40."""
    made = factories.make_model("m", provider=factories.make_provider("p"))
    factories.make_provider_cost(made.routes.get().provider, "m")
    return made


def own_price(organization, name="m"):
    row = PriceVersion.every.filter(organization=organization, model=name).latest("effective_from")
    return price_book.price_of(row)


# prices


@pytest.mark.parametrize("seed", range(200))
def test_a_charge_is_the_rule_applied_once_and_rounded_once(seed):
    chance = random.Random(seed)
    rates = {
        name: chance.randrange(1, 10**8)
        for name in ("input_microusd_per_mtok", "output_microusd_per_mtok")
    }
    percent = Decimal(chance.randrange(0, 100_000)) / 1000
    row = PriceVersion(**RateSheet(rates).marked_up(percent).columns())
    usage = TokenUsage(input_tokens=chance.randrange(10**6), output_tokens=chance.randrange(10**5))

    charge = pricing.charge_nanousd(usage, price=price_book.price_of(row))

    factor = 1 + Fraction(percent) / 100
    raised = {name: -(-(rate * factor) // 1) for name, rate in rates.items()}
    exact = Fraction(
        usage.input_tokens * raised["input_microusd_per_mtok"]
        + usage.output_tokens * raised["output_microusd_per_mtok"],
        1000,
    )
    assert charge == round(exact)  # Python rounds half to even


def test_a_rule_makes_the_price_of_one_organization_alone(acme, globex, model):
    rule, applied = set_rule(acme, "10")

    assert (applied.made, applied.without_cost) == (1, ())
    assert own_price(acme).rates.given() == {
        "input_microusd_per_mtok": 55_000,
        "output_microusd_per_mtok": 220_000,
    }
    assert not PriceVersion.every.filter(organization=globex).exists()
    assert [row.organization for row in PriceVersion.objects.filter(model="m")] == [None]
    audit = AuditEvent.objects.get(action="markup.set")
    assert (audit.details["percent"], audit.details["reason"]) == ("10", rule.reason)


def test_the_rule_of_one_model_goes_before_that_for_all_and_the_newest_holds(acme, model):
    set_rule(acme, "10")
    set_rule(acme, "50", model="m")
    set_rule(acme, "20")

    assert own_price(acme).rates.input_microusd_per_mtok == 75_000

    set_rule(acme, None, model="m")
    assert own_price(acme).rates.input_microusd_per_mtok == 100_000  # the list


def test_a_plan_goes_before_the_list_and_an_organization_before_its_plan(acme, globex, model):
    make_postpaid(acme, globex)
    set_rule("postpaid", "100")
    set_rule(globex, "10")

    catalog = snapshot.load_catalog()

    def rate(organization_id):
        found = catalog.model_for(organization_id, "m")
        assert found
        price = price_book.at(found.prices, timezone.now().timestamp())
        assert price
        return price.rates.input_microusd_per_mtok

    outsider = factories.make_organization("Initech")
    assert (rate(acme.pk), rate(globex.pk), rate(outsider.pk)) == (100_000, 55_000, 100_000)
    set_rule("postpaid", "40")
    catalog = snapshot.load_catalog()
    assert (rate(acme.pk), rate(globex.pk), rate(outsider.pk)) == (70_000, 55_000, 100_000)
    assert [row.organization for row in PriceVersion.objects.filter(model="m")] == [None]
    assert [m.name for m in catalog.models_for(acme.pk)] == [m.name for m in catalog.models_for(0)]


def make_postpaid(*organizations):
    for organization in organizations:
        BillingAccount.objects.create(organization=organization, plan="postpaid")


def test_a_rule_is_of_an_organization_or_of_a_plan(acme, model):
    rule = MarkupRule(organization=acme, plan="postpaid", reason="both", percent=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        rule.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        MarkupRule.objects.create(reason="neither", percent=1)


def test_a_new_cost_makes_a_new_price_and_the_same_cost_none(acme, model):
    set_rule(acme, "10")
    assert markups.refresh(timezone.now()).made == 0

    cost = factories.make_provider_cost(model.routes.get().provider, "other")
    cost.pk, cost.upstream_model, cost.effective_from = None, "m", timezone.now()
    cost.input_microusd_per_mtok = 60_000
    cost.save(force_insert=True)

    assert markups.refresh(timezone.now()).made == 1
    assert own_price(acme).rates.input_microusd_per_mtok == 66_000
    assert PriceVersion.every.filter(organization=acme).count() == 2


def test_a_model_whose_cost_is_not_known_stays_at_the_list_price(acme, model):
    factories.make_model("costless", provider=model.routes.get().provider)

    _, applied = set_rule(acme, "10")

    assert applied.without_cost == ("costless",)
    assert not PriceVersion.every.filter(organization=acme, model="costless").exists()


@pytest.mark.parametrize("percent", ["-0.001", "1000.001"])
def test_a_rule_below_cost_or_beyond_reason_is_refused(acme, percent):
    with pytest.raises(IntegrityError):
        set_rule(acme, percent)


def test_a_rule_wants_a_reason(acme):
    with pytest.raises(markups.ReasonMissing):
        markups.set_rule(
            acme, model="", percent=Decimal(1), reason=" ", actor=None, now=timezone.now()
        )


def test_the_snapshot_holds_own_prices_beside_the_list(acme, globex, model):
    set_rule(acme, "10")

    catalog = snapshot.load_catalog()

    own = catalog.model_for(acme.pk, "m")
    assert own is not None
    assert [dated.price.rates.input_microusd_per_mtok for dated in own.prices] == [100_000, 55_000]
    assert catalog.model_for(globex.pk, "m") is catalog.models["m"]
    assert [model.name for model in catalog.models_for(acme.pk)] == ["m"]
    assert next(catalog.models_for(acme.pk)) is own
    assert catalog.models["m"].prices[-1].price.rates.input_microusd_per_mtok == 100_000


def test_staff_make_rules_in_the_admin_and_public_pages_show_the_list(acme, model, client):
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    url = reverse("admin:billing_markuprule_add")
    said = {"organization": acme.pk, "model": "m", "percent": "12.5", "reason": "Volume"}

    unknown = client.post(url, {**said, "model": "nobody's"})
    done = client.post(url, said)

    assert (unknown.status_code, done.status_code) == (200, 302)
    assert MarkupRule.objects.get().percent == Decimal("12.5")
    assert own_price(acme).rates.input_microusd_per_mtok == 56_250
    assert client.get(reverse("admin:billing_markuprule_changelist")).status_code == 200


# calls


@pytest.mark.django_db(transaction=True)
def test_a_call_is_bounded_charged_and_explained_at_the_organizations_own_price(shop):
    listed = shop.chat()
    before = books.only(shop.organization)
    factories.make_provider_cost(shop.provider, shop.model)
    set_rule(shop.organization, "300")  # of half the list's rates: twice the list
    shop.relearn()

    raised = shop.chat()

    assert (listed.status, raised.status) == (200, 200)
    own = PriceVersion.every.get(organization=shop.organization, model=shop.model)
    request_id = request_log.parse_id(raised.headers["x-request-id"])
    assert request_id is not None
    event = request_log.find(shop.organization, request_id)
    assert event is not None
    assert event.price_version_id == own.pk
    price = price_book.price_of(own)
    usage = TokenUsage(input_tokens=event.input_tokens, output_tokens=event.output_tokens)
    assert event.charge_nanousd == pricing.charge_nanousd(usage, price=price)
    assert event.charge_nanousd == 2 * before.charge_nanousd
    assert event.upper_nanousd == 2 * before.upper_nanousd
    assert event.upper_nanousd == Reservation.objects.get(pk=event.pk).upper_nanousd
    formula = price_formula.explain(usage, price=price, price_nanousd=event.price_nanousd)
    assert formula is not None
    told = shop.gateway.request("GET", f"/v1/models/{shop.model}", key=shop.secret).json
    assert told["pricing"]["prompt"] == "0.0000002"


@pytest.mark.django_db(transaction=True)
def test_a_wish_for_the_price_looks_at_the_organizations_own(shop):
    factories.make_provider_cost(shop.provider, shop.model)
    wish = {"max_price": {"prompt": 0.15, "completion": 0.6}}
    within = shop.chat(provider=wish)
    set_rule(shop.organization, "300")
    shop.relearn()

    beyond = shop.chat(provider=wish)

    assert within.status == 200
    assert beyond.status == 404
    assert beyond.json["error"]["code"] == "no_matching_route"
