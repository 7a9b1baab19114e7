"""Plans and terms: changed by staff with a reason, in force at the next call."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.models import Organization
from billing import plans
from billing.budgets import BudgetExceeded
from billing.models import Adjustment, BillingAccount, BillingPeriod
from billing.types import Refusal
from gateway import errors
from tests import factories
from tests.billing.calls import (
    make_payer,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    update,
)
from tests.billing.owing import DOLLAR, NOVEMBER, make_debtor
from tests.cast import signed_in


@pytest.fixture
def staff(db):
    return factories.make_user("staff@exerati.example", is_staff=True, is_superuser=True)


def account_form(organization, **changes):
    return {
        "organization": organization.pk,
        "plan": "postpaid",
        "limit_usd": "100",
        "collection": "charge",
        "days_until_due": 14,
        "reason": "Signed the contract",
        **changes,
    }


def test_staff_switch_an_organization_in_the_admin(staff, acme):
    answer = signed_in(staff).post(
        reverse("admin:billing_billingaccount_add"), account_form(acme, limit_usd="2500")
    )

    assert answer.status_code == 302
    account = BillingAccount.objects.get(organization=acme)
    assert (account.plan, account.credit_limit_nanousd) == ("postpaid", 2_500 * DOLLAR)
    assert BillingPeriod.objects.get(organization=acme).state == "open"
    event = acme.audit_events.get(action="billing.plan_changed")
    assert (event.actor, event.details["reason"]) == (staff, "Signed the contract")


def test_staff_raise_a_limit_with_a_reason(staff, acme):
    plans.switch(acme, plan="postpaid", reason="x", actor=staff, now=NOVEMBER)
    account = BillingAccount.objects.get(organization=acme)
    url = reverse("admin:billing_billingaccount_change", args=[account.pk])

    refused = signed_in(staff).post(url, account_form(acme, limit_usd="500", reason=""))
    signed_in(staff).post(url, account_form(acme, limit_usd="500"))

    assert refused.status_code == 200
    account.refresh_from_db()
    assert account.credit_limit_nanousd == 500 * DOLLAR
    event = acme.audit_events.get(action="billing.terms_changed")
    assert event.details["before"]["limit_nanousd"] == 100 * DOLLAR


@pytest.mark.parametrize("limit", ["-1", "much", "1e400"])
def test_a_limit_that_is_none_is_refused(staff, acme, limit):
    answer = signed_in(staff).post(
        reverse("admin:billing_billingaccount_add"), account_form(acme, limit_usd=limit)
    )

    assert answer.status_code == 200
    assert not BillingAccount.objects.filter(plan="postpaid").exists()


def test_staff_adjust_the_next_invoice(staff, acme):
    plans.switch(acme, plan="postpaid", reason="x", actor=staff, now=NOVEMBER)
    signed_in(staff).post(
        reverse("admin:billing_adjustment_add"),
        {"organization": acme.pk, "amount_usd": "-12.50", "reason": "Outage of 3 November"},
    )

    row = Adjustment.objects.get(organization=acme)
    assert (row.amount_nanousd, row.actor) == (-12_500_000_000, staff)


@pytest.mark.django_db
def test_credit_limit_is_100_dollars_until_raised():
    payer = make_debtor()

    assert plans.account(payer.organization).credit_limit_nanousd == 100 * DOLLAR


@pytest.mark.django_db
def test_prepaid_has_no_credit_limit():
    payer = make_payer()

    assert plans.account(payer.organization).credit_limit_nanousd == 0


def switched(payer, plan):
    plans.switch(
        Organization.objects.get(pk=payer.organization.pk),
        plan=plan,
        reason="test",
        actor=None,
        now=NOVEMBER + timedelta(days=1),
    )


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_calls_are_admitted_up_to_credit_and_limit_and_settled_as_owed():
    payer = await stored(make_debtor, credit_usd="0.000001")  # 1,000 nano-USD
    async with open_doors() as doors:
        most = 100 * DOLLAR + 1_000
        over = await outcomes(doors.budgets, [payer.call(most + 1)])
        request = payer.call(most)
        fits = await outcomes(doors.budgets, [request])
        await doors.metering.settle(settlement(request, 600))

    assert (over, fits) == (["wallet total"], ["ok"])
    assert rows("SELECT postpaid, charge_nanousd FROM billing_usageevent") == [(True, 600)]


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_a_call_is_paid_by_the_plan_of_its_settlement_and_trued_up_by_the_same():
    payer = await stored(make_payer)
    async with open_doors() as doors:
        before, across = payer.call(), payer.call()
        assert await outcomes(doors.budgets, [before, across]) == ["ok", "ok"]
        await doors.metering.settle(settlement(before, 300))
        await stored(switched, payer, "postpaid")
        await doors.metering.settle(settlement(across, 400))

    assert rows("SELECT postpaid FROM billing_usageevent ORDER BY charge_nanousd") == [
        (False,),
        (True,),
    ]


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_an_overdue_invoice_refuses_every_call_and_its_payment_admits_at_once():
    payer = await stored(make_debtor)
    [(account_id,)] = rows("SELECT id FROM billing_billingaccount")
    async with open_doors() as doors:
        running = payer.call()
        assert await outcomes(doors.budgets, [running]) == ["ok"]
        update("billing_billingaccount", account_id, blocked_at=NOVEMBER)
        blocked = await outcomes(doors.budgets, [payer.call(), payer.call(0)])
        await doors.metering.settle(settlement(running))
        update("billing_billingaccount", account_id, blocked_at=None)
        paid = await outcomes(doors.budgets, [payer.call()])

    assert blocked == ["past_due total", "past_due total"]
    assert paid == ["ok"]


def test_the_refusal_names_the_page_to_pay(settings):
    refusal = Refusal("past_due", "total", -1, 5, 0, 7, None)
    told = errors.from_exception(BudgetExceeded(refusal))

    assert (told.code, told.status, told.type) == ("invoice_past_due", 429, "insufficient_quota")
    assert told.details["pay_url"] == f"{settings.SITE_URL}/dashboard/-/invoices/"
    assert told.details["pay_url"] in told.message
    assert told.headers["x-should-retry"] == "false"
