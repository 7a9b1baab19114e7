"""Periods are closed into invoices: each charged call once, whole cents, nothing lost between two months."""

from datetime import UTC, datetime, timedelta

import pytest

from billing import ledger, plans
from billing.invoices import billing_periods, invoice_push, invoicing
from billing.models import (
    Adjustment,
    BillingPeriod,
    Invoice,
    InvoiceLine,
    InvoicePart,
    InvoiceShare,
    UsageEvent,
)
from tests import factories
from tests.billing.owing import (
    CENT,
    DECEMBER,
    DOLLAR,
    GRACE,
    NOVEMBER,
    assert_books_balance,
    balances,
    close_due,
    close_month,
    make_debtor,
    use,
    use_all,
)

pytestmark = pytest.mark.django_db

MID = NOVEMBER + timedelta(days=14)


def test_a_month_becomes_one_sealed_invoice():
    payer = make_debtor()
    use(payer, 3 * DOLLAR, 4 * DOLLAR + 1, at=MID)

    invoice = close_month(payer.organization)

    assert (invoice.state, invoice.net_cents, invoice.carry_after_nanousd) == ("sealed", 700, 1)
    assert balances(payer.organization) == {"receivable": -7 * DOLLAR, "rounding_carry": -1}
    assert InvoicePart.objects.filter(line__invoice=invoice).count() == 2
    assert_books_balance()


def test_every_event_has_one_line_and_closing_again_changes_nothing():
    payer = make_debtor()
    use_all(payer, [(DOLLAR, MID + timedelta(seconds=n)) for n in range(9)])
    invoice = close_month(payer.organization)
    lines = list(UsageEvent.objects.values_list("invoice_line_id", flat=True))

    again = invoicing.close(invoice.period_id, now=DECEMBER + timedelta(days=3))

    assert again == invoice
    assert set(lines) == {invoice.lines.get().pk}
    assert Invoice.objects.count() == 1
    assert invoice.lines.get().requests == 9


def test_claims_in_small_chunks_give_the_same(monkeypatch):
    payer = make_debtor()
    other = factories.make_api_key(payer.organization).key
    use_all(payer, [(DOLLAR + n, MID + timedelta(seconds=n // 3)) for n in range(20)])
    use(payer, DOLLAR, at=MID, key=other, usage_details={"images": 2})
    use(payer, DOLLAR, at=MID, key=other, usage_details={"images": 3, "searches": 1})
    monkeypatch.setattr(invoicing, "CHUNK", 3)

    invoice = close_month(payer.organization)

    line = invoice.lines.get()
    assert (line.requests, line.charge_nanousd) == (22, 22 * DOLLAR + 190)
    assert line.details == {"images": 5, "searches": 1}
    assert (line.first_at, line.last_at) == (MID, MID + timedelta(seconds=6))
    shares = InvoiceShare.objects.order_by("requests")
    assert [(share.key, share.requests) for share in shares] == [(other, 2), (payer.key, 20)]
    assert_books_balance()


def test_partial_period_begins_when_the_organization_joins():
    joined = datetime(2026, 11, 17, 13, 30, 5, tzinfo=UTC)
    payer = make_debtor(since=joined)

    period = BillingPeriod.objects.get(organization=payer.organization)

    assert (period.period_start, period.period_end) == (joined, DECEMBER)


def test_partial_period_ends_when_the_plan_is_switched():
    payer = make_debtor(credit_usd="20")
    use(payer, 5 * DOLLAR, at=MID)
    left = MID + timedelta(hours=3)

    plans.switch(payer.organization, plan="prepaid", reason="asked", actor=None, now=left)
    invoice = close_due(payer.organization, now=left + GRACE)

    assert invoice.net_cents == 500
    assert (invoice.period.period_start, invoice.period.period_end) == (NOVEMBER, left)
    assert not BillingPeriod.objects.filter(state="open").exists()
    account = plans.account(payer.organization)
    assert account.credit_limit_nanousd == 5 * DOLLAR  # the debt does not eat the credit
    assert_books_balance()


def test_switching_to_the_present_plan_is_refused():
    payer = make_debtor()

    with pytest.raises(plans.NothingToChange):
        plans.switch(payer.organization, plan="postpaid", reason="x", actor=None, now=MID)


def test_nothing_is_closed_before_its_grace_is_over():
    payer = make_debtor()
    use(payer, DOLLAR, at=MID)
    period = BillingPeriod.objects.get()
    billing_periods.roll_over(period, now=DECEMBER)

    assert invoicing.close(period.pk, now=DECEMBER + GRACE - timedelta(seconds=1)) is None
    assert billing_periods.to_close(DECEMBER + GRACE - timedelta(seconds=1)) == []
    assert close_due(payer.organization, now=DECEMBER + GRACE).net_cents == 100


def test_late_event_goes_on_the_next_invoice_with_its_true_date():
    payer = make_debtor()
    use(payer, 2 * DOLLAR, at=MID)
    first = close_month(payer.organization)
    use(payer, 3 * DOLLAR, at=DECEMBER - timedelta(minutes=1), settled_at=DECEMBER + 2 * GRACE)
    use(payer, 4 * DOLLAR, at=DECEMBER + timedelta(days=2))

    second = close_month(payer.organization)

    late, present = second.lines.order_by("-is_late")
    assert (first.net_cents, second.net_cents) == (200, 700)
    assert (late.is_late, late.charge_nanousd) == (True, 3 * DOLLAR)
    assert late.first_at == DECEMBER - timedelta(minutes=1)
    assert "used 30 Nov 2026" in late.parts.order_by("pk")[0].description
    assert (present.is_late, present.charge_nanousd) == (False, 4 * DOLLAR)
    assert_books_balance()


def test_clock_last_moment_of_a_month_belongs_to_it_and_the_first_of_the_next_does_not():
    payer = make_debtor()
    use(payer, DOLLAR, at=DECEMBER - timedelta(milliseconds=1))
    use(payer, 2 * DOLLAR, at=DECEMBER)

    assert close_month(payer.organization).net_cents == 100
    assert close_month(payer.organization).net_cents == 200


def test_zero_invoice_is_a_local_row_only():
    payer = make_debtor()
    use(payer, 0, at=MID)

    invoice = close_month(payer.organization)

    assert (invoice.state, invoice.net_cents) == ("zero", 0)
    assert UsageEvent.objects.get().invoice_line_id is None
    assert balances(payer.organization) == {}
    assert invoice_push.unfinished() == []


def test_below_the_minimum_charge_it_is_carried_forward():
    payer = make_debtor()
    use(payer, DOLLAR - 1, at=MID)
    first = close_month(payer.organization)
    use(payer, 1, at=DECEMBER + timedelta(days=1))

    second = close_month(payer.organization)

    assert (first.state, first.usage_nanousd, first.net_cents) == ("carried", DOLLAR - 1, 0)
    assert (second.state, second.net_cents) == ("sealed", 100)
    assert balances(payer.organization) == {"receivable": -DOLLAR}
    assert_books_balance()


def test_a_part_of_a_cent_is_carried_until_it_is_one():
    payer = make_debtor()
    months = []
    for _ in range(3):
        start = BillingPeriod.objects.get(state="open").period_start
        use(payer, DOLLAR + 4_000_000, at=start + timedelta(days=1))
        months.append(close_month(payer.organization))

    assert [(each.net_cents, each.carry_after_nanousd) for each in months] == [
        (100, 4_000_000),
        (100, 8_000_000),
        (101, 2_000_000),
    ]
    assert balances(payer.organization) == {
        "receivable": -301 * CENT,
        "rounding_carry": -2_000_000,
    }
    assert_books_balance()


def test_price_change_mid_period_splits_the_line_by_version():
    payer = make_debtor()
    dearer = factories.make_price(
        effective_from=MID, input_microusd_per_mtok=200_000, output_microusd_per_mtok=800_000
    )
    use(payer, 10 * DOLLAR, at=MID - timedelta(seconds=1))
    use(payer, 20 * DOLLAR, at=MID + timedelta(seconds=1), price_version=dearer)

    invoice = close_month(payer.organization)

    assert {(line.price_version, line.charge_nanousd) for line in invoice.lines.all()} == {
        (payer.price, 10 * DOLLAR),
        (dearer, 20 * DOLLAR),
    }
    rates = InvoicePart.objects.filter(token_class="input").values_list("rate", flat=True)
    assert set(rates) == {100_000, 200_000}


def test_prompts_above_a_tier_have_their_own_line_at_its_rate():
    payer = make_debtor()
    tiered = factories.make_price(
        "tiered/model", tiers=[{"above_input_tokens": 5_000, "input_microusd_per_mtok": 700_000}]
    )
    calls = {"model": "tiered/model", "price_version": tiered}
    use(payer, DOLLAR, at=MID, input_tokens=5_000, **calls)
    use(payer, DOLLAR, at=MID, input_tokens=5_001, output_tokens=0, **calls)

    invoice = close_month(payer.organization)

    low, high = invoice.lines.order_by("above_input_tokens")
    assert (low.above_input_tokens, high.above_input_tokens) == (0, 5_000)
    part = high.parts.get()
    assert (part.token_class, part.rate, part.amount_cents) == ("input", 700_000, 100)
    assert "prompts above 5,000 tokens" in part.description


def test_prompts_that_were_read_several_times_are_on_the_line_of_the_longest():
    payer = make_debtor()
    tiered = factories.make_price(
        "tiered/model", tiers=[{"above_input_tokens": 5_000, "input_microusd_per_mtok": 700_000}]
    )
    calls = {"model": "tiered/model", "price_version": tiered, "input_tokens": 9_000}
    use(payer, DOLLAR, at=MID, usage_details={"longest_prompt_tokens": 5_000}, **calls)
    use(
        payer,
        DOLLAR,
        at=MID,
        usage_details={"longest_prompt_tokens": 4_000, "searches": 2},
        **calls,
    )
    use(payer, DOLLAR, at=MID, usage_details={"longest_prompt_tokens": 5_001}, **calls)

    invoice = close_month(payer.organization)

    low, high = invoice.lines.order_by("above_input_tokens")
    assert (low.above_input_tokens, low.requests, low.details) == (0, 2, {"searches": 2})
    assert (high.above_input_tokens, high.requests, high.details) == (5_000, 1, {})


def test_each_service_tier_has_its_own_lines_at_its_rates():
    payer = make_debtor()
    price = factories.make_price(
        "tiers/model",
        input_microusd_per_mtok=2_000_000,
        output_microusd_per_mtok=8_000_000,
        service_tiers={
            "flex": {"input_microusd_per_mtok": 1_000_000, "output_microusd_per_mtok": 4_000_000},
            "priority": {
                "input_microusd_per_mtok": 3_500_000,
                "output_microusd_per_mtok": 14_000_000,
                "tiers": [{"above_input_tokens": 1_500_000, "input_microusd_per_mtok": 5_000_000}],
            },
        },
    )
    call = {
        "model": "tiers/model",
        "price_version": price,
        "input_tokens": 1_000_000,
        "output_tokens": 100_000,
    }
    use(payer, 2_800_000_000, at=MID, **call)  # 1 M x $2 + 0.1 M x $8
    use(payer, 1_400_000_000, 1_400_000_000, at=MID, service_tier="flex", **call)
    use(payer, 4_900_000_000, at=MID, service_tier="priority", **call)
    call["input_tokens"] = 2_000_000
    use(payer, 11_400_000_000, at=MID, service_tier="priority", **call)

    invoice = close_month(payer.organization)

    parts = InvoicePart.objects.filter(line__invoice=invoice)
    parts = parts.order_by("rate", "line__above_input_tokens")
    assert [(part.description, part.amount_cents) for part in parts] == [
        ("tiers/model, input · service tier flex · 2,000,000 tokens at $1.00 per million", 200),
        ("tiers/model, input · 1,000,000 tokens at $2.00 per million", 200),
        ("tiers/model, input · service tier priority · 1,000,000 tokens at $3.50 per million", 350),
        ("tiers/model, output · service tier flex · 200,000 tokens at $4.00 per million", 80),
        (
            "tiers/model, input · service tier priority · prompts above 1,500,000 tokens"
            " · 2,000,000 tokens at $5.00 per million",
            1_000,
        ),
        ("tiers/model, output · 100,000 tokens at $8.00 per million", 80),
        ("tiers/model, output · service tier priority · 100,000 tokens at $14.00 per million", 140),
        (
            "tiers/model, output · service tier priority · prompts above 1,500,000 tokens"
            " · 100,000 tokens at $14.00 per million",
            140,
        ),
    ]
    assert invoice.net_cents == 280 + 2 * 140 + 490 + 1_140
    assert_books_balance()


def test_audio_that_is_paid_by_the_second_is_not_on_the_line_by_the_token_too():
    payer = make_debtor()
    price = factories.make_price(
        "second/model",
        input_microusd_per_mtok=2_000_000,
        output_microusd_per_mtok=0,
        second_nanousd=CENT,
    )
    use(
        payer,
        2_000_000_000 + 60 * CENT,
        at=MID,
        model="second/model",
        price_version=price,
        input_tokens=1_500_000,
        output_tokens=0,
        usage_details={"seconds": 60, "audio_input_tokens": 500_000},
    )

    invoice = close_month(payer.organization)

    parts = InvoicePart.objects.filter(line__invoice=invoice).order_by("pk")
    assert [(part.token_class, part.quantity, part.amount_cents) for part in parts] == [
        ("input", 1_000_000, 200),
        ("second", 60, 60),
    ]


def test_parts_of_a_line_are_its_token_classes_and_add_up():
    payer = make_debtor()
    price = factories.make_price(
        "cached/model",
        input_microusd_per_mtok=3_000_000,
        output_microusd_per_mtok=15_000_000,
        cache_read_microusd_per_mtok=300_000,
        reasoning_microusd_per_mtok=None,
        image_nanousd=2 * CENT,
    )
    use(
        payer,
        0,
        at=MID,
        model="cached/model",
        price_version=price,
    )
    # 1,000,000 x $3 + 2,000,000 x $0.30 + 200,000 x $15 + 5 x $0.02 = $6.70
    use(
        payer,
        6_700_000_000,
        at=MID,
        model="cached/model",
        price_version=price,
        input_tokens=3_000_000,
        cache_read_tokens=2_000_000,
        output_tokens=200_000,
        reasoning_tokens=150_000,
        usage_details={"images": 5},
    )

    invoice = close_month(payer.organization)

    parts = InvoicePart.objects.filter(line__invoice=invoice).order_by("pk")
    assert [(part.token_class, part.quantity, part.amount_cents) for part in parts] == [
        ("input", 1_000_000, 300),
        ("cache_read", 2_000_000, 60),
        ("output", 200_000, 300),
        ("image", 5, 10),
    ]
    assert sum(part.amount_nanousd for part in parts) == 6_700_000_000


def test_what_is_beyond_240_lines_goes_to_stripe_as_one():
    payer = make_debtor()
    for n in range(250):
        price = factories.make_price(f"many/{n}", output_microusd_per_mtok=0)
        use(
            payer,
            DOLLAR + n * CENT,
            at=MID,
            model=f"many/{n}",
            price_version=price,
            output_tokens=0,
        )

    invoice = close_month(payer.organization)

    parts = InvoicePart.objects.filter(line__invoice=invoice)
    others = parts.filter(is_other=True)
    assert (parts.count(), others.count()) == (250, 10)
    assert max(part.amount_cents for part in others) == 109
    assert sum(part.amount_cents for part in parts) == invoice.net_cents == 25_000 + sum(range(250))


def test_adjustment_before_the_seal_is_on_the_invoice():
    payer = make_debtor()
    use(payer, 10 * DOLLAR, at=MID)
    plans.adjust(
        payer.organization, amount_nanousd=-4 * DOLLAR, reason="Slow on 3 November", actor=None
    )

    invoice = close_month(payer.organization)

    assert invoice.net_cents == 600
    part = InvoicePart.objects.get(token_class="adjustment")
    assert (part.description, part.amount_cents) == ("Slow on 3 November", -400)
    assert balances(payer.organization) == {"receivable": -6 * DOLLAR}
    assert Adjustment.objects.get().invoice == invoice
    assert_books_balance()


def test_adjustment_larger_than_the_usage_is_carried_forward_with_it():
    payer = make_debtor()
    use(payer, 2 * DOLLAR, at=MID)
    plans.adjust(payer.organization, amount_nanousd=-5 * DOLLAR, reason="Sorry", actor=None)
    first = close_month(payer.organization)
    use(payer, 10 * DOLLAR, at=DECEMBER + timedelta(days=1))

    second = close_month(payer.organization)

    assert (first.state, first.net_cents) == ("carried", 0)
    assert second.net_cents == 700
    assert_books_balance()


def test_usage_near_the_credit_limit_is_billed_early():
    payer = make_debtor()
    use(payer, 74 * DOLLAR, at=MID)
    assert billing_periods.too_large() == []
    use(payer, 2 * DOLLAR, at=MID)

    [period] = billing_periods.too_large()
    billing_periods.end_early(period, now=MID + timedelta(hours=1))
    invoice = close_due(payer.organization, now=MID + timedelta(hours=1))

    assert invoice.net_cents == 7_600
    rest = BillingPeriod.objects.get(state="open")
    assert (rest.period_start, rest.period_end) == (MID + timedelta(hours=1), DECEMBER)
    assert billing_periods.too_large() == []
    assert_books_balance()


def test_prepaid_calls_are_on_no_invoice():
    payer = make_debtor()
    use(payer, DOLLAR, at=MID, postpaid=False)
    use(payer, 5 * DOLLAR, at=MID)

    assert close_month(payer.organization).net_cents == 500


def test_other_organizations_are_not_touched():
    payer, other = make_debtor(), make_debtor()
    use(payer, 5 * DOLLAR, at=MID)
    use(other, 7 * DOLLAR, at=MID)
    period = BillingPeriod.objects.get(organization=payer.organization)
    billing_periods.roll_over(period, now=DECEMBER)

    assert billing_periods.to_close(DECEMBER + GRACE) == [period.pk]
    invoice = close_due(payer.organization, now=DECEMBER + GRACE)

    assert invoice.net_cents == 500
    assert UsageEvent.objects.get(organization=other.organization).invoice_line_id is None


def test_periods_missed_while_everything_was_down_follow_each_other_without_a_gap():
    payer = make_debtor()
    use(payer, 5 * DOLLAR, at=datetime(2027, 1, 20, tzinfo=UTC))
    now = datetime(2027, 3, 10, tzinfo=UTC)
    while ended := billing_periods.run_out(now):
        assert [billing_periods.roll_over(period, now=now) for period in ended] == [True]

    made = []
    while due := billing_periods.to_close(now):
        made.append(invoicing.close(due[0], now=now))

    periods = list(BillingPeriod.objects.order_by("period_start"))
    assert [period.period_end for period in periods[:-1]] == [
        period.period_start for period in periods[1:]
    ]
    assert [invoice and invoice.state for invoice in made] == ["zero", "zero", "sealed", "zero"]
    assert periods[-1].state == "open"


def test_wallet_room_comes_back_when_the_invoice_is_sealed_only_by_paying():
    payer = make_debtor()
    use(payer, 60 * DOLLAR, at=MID)

    close_month(payer.organization)

    counter = ledger.wallets(payer.organization.pk).get()
    account = plans.account(payer.organization)
    room = counter.credited_nanousd + account.credit_limit_nanousd - counter.posted_nanousd
    assert room == 40 * DOLLAR


def test_lines_are_unique_by_the_database_too():
    payer = make_debtor()
    use(payer, 5 * DOLLAR, at=MID)

    close_month(payer.organization)

    assert InvoiceLine.objects.count() == 1
