"""`manage.py ledger verify`: sound books pass, and each kind of damage is found by its own invariant."""

import asyncio
import json
from io import StringIO

import pytest
from django.core.management import call_command

from billing import aggregation
from billing.verification import verify_invoices
from billing.verification.verify import INVARIANTS, verify
from tests.billing.calls import (
    expire_leases,
    make_payer,
    open_doors,
    rows,
    settlement,
    stored,
    sweep,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

DAMAGE = {
    "held": "UPDATE billing_budget SET held_nanousd = held_nanousd + 1 WHERE scope = 'key' AND period = 'total'",
    "posted": "UPDATE billing_budget SET posted_nanousd = posted_nanousd + 1 WHERE scope = 'project'",
    "one event": "UPDATE billing_reservation SET state = 'open' WHERE state = 'settled'",
    "within the bound": "UPDATE billing_usageevent SET mode = 'test'",
    "ledger of calls": "DELETE FROM billing_ledgertransfer WHERE kind = 'usage'",
    "true-ups": "UPDATE billing_trueup SET applied_nanousd = applied_nanousd + 1",
    "periods of budgets": "UPDATE billing_budget SET posted_nanousd = posted_nanousd - 1 WHERE period = 'month'",
    "overdrawn": "UPDATE billing_budget SET credited_nanousd = posted_nanousd - 1 WHERE scope = 'wallet'",
    "reserved first": "DELETE FROM billing_reservation WHERE state = 'settled'",
    "attempts": "DELETE FROM billing_attempt WHERE number = 2",
    "wallets": "UPDATE billing_ledgertransfer SET amount_nanousd = amount_nanousd + 1 WHERE kind = 'grant'",
    "credit lots": "UPDATE billing_creditlot SET amount_nanousd = amount_nanousd + 1,"
    " remaining_nanousd = remaining_nanousd + 1",
    "parts of lots": "UPDATE billing_creditlot SET amount_nanousd = amount_nanousd + 1",
    "draws": "UPDATE billing_walletdraws SET transfer_id = 9223372036854775807",
    "top-ups": "UPDATE billing_creditlot SET source = 'purchase'",
    "money back": """
        WITH t AS (
            INSERT INTO billing_topup (
                uuid, organization_id, way, generation, net_cents, tax_cents, state, customer_id, checkout_id,
                payment_intent_id, pay_url, receipt_url, refunded_cents, failure, is_counted, created_at)
            SELECT gen_random_uuid(), organization_id, 'checkout', 1, 1, 0, 'failed', '', '', '', '', '', 0, '', false,
                now() FROM billing_creditlot LIMIT 1 RETURNING uuid
        )
        UPDATE billing_creditlot SET idempotency_key = 'topup:' || t.uuid, reversed_nanousd = 1,
            remaining_nanousd = remaining_nanousd - 1 FROM t
    """,
    "roll-ups": "DELETE FROM billing_outboxmessage",
    "sums of days": """
        INSERT INTO billing_tagdayrollup (
            day, organization_id, project_id, tag, model, mode, requests, errors, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, reasoning_tokens, audio_tokens, image_tokens, price_nanousd,
            charge_nanousd)
        SELECT '2026-01-01', organization_id, id, 'a', 'b', 'live', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM accounts_project
    """,
    "tenants": "UPDATE billing_usageevent SET organization_id = organization_id + 1",
    "money in": """
        INSERT INTO billing_topup (
            uuid, organization_id, way, generation, net_cents, tax_cents, state, customer_id, checkout_id,
            payment_intent_id, pay_url, receipt_url, refunded_cents, failure, is_counted, created_at, credited_at)
        SELECT gen_random_uuid(), organization_id, 'checkout', 1, 1, 0, 'credited', '', '', '', '', '', 0, '', false,
            now(), now() FROM billing_creditlot LIMIT 1
    """,
    "leases": "UPDATE billing_reservation SET state = 'open', lease_until = now() - interval '2 minutes'",
}


@pytest.fixture
async def books(transactional_db):
    payer = await stored(lambda: make_payer(budget_month_nanousd=10**9))
    async with open_doors() as doors:
        requests = [payer.call() for _ in range(4)]
        await asyncio.gather(*map(doors.budgets.reserve, requests))
        await asyncio.gather(
            *(doors.metering.settle(settlement(request)) for request in requests[:3])
        )
        late = payer.call(input_cost_nanousd=70)
        await doors.budgets.reserve(late)
        expire_leases([late.request_id])
        await asyncio.to_thread(sweep)
        await doors.metering.settle(settlement(late, 500, basis="estimated"))
        yield


async def test_sound_books_pass(books):
    findings = await stored(verify)

    assert [(finding.name, finding.broken) for finding in findings] == [
        (i.name, 0) for i in INVARIANTS
    ]
    assert next(finding for finding in findings if finding.name == "one event").checked == 5


@pytest.mark.parametrize("name", DAMAGE)
async def test_damage_is_found(books, name):
    await stored(damage, DAMAGE[name])

    findings = {finding.name: finding for finding in await stored(verify)}

    assert findings[name].broken >= 1
    assert findings[name].examples


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM billing_ledgertransfer WHERE kind = 'trueup'",
        "DELETE FROM billing_trueup",
        "UPDATE billing_trueup SET wanted_nanousd = 400",
    ],
)
async def test_damage_to_a_true_up_is_found_from_both_sides(books, statement):
    await stored(damage, statement)

    findings = {finding.name: finding for finding in await stored(verify)}

    assert findings["true-ups"].broken == 1


async def test_roll_ups_of_another_amount_are_found(books):
    await stored(aggregation.roll_up)
    await stored(damage, "UPDATE billing_usagerollup SET charge_nanousd = charge_nanousd - 1")

    findings = {finding.name: finding for finding in await stored(verify)}

    assert findings["roll-ups"].broken == 1


async def test_days_that_are_not_their_hours_are_found(books):
    await stored(aggregation.roll_up)
    await stored(damage, "UPDATE billing_usagedayrollup SET charge_nanousd = charge_nanousd - 1")

    findings = {finding.name: finding for finding in await stored(verify)}

    assert findings["sums of days"].broken == 1


async def test_the_command_says_what_is_broken_and_ends_with_1(books):
    await stored(damage, DAMAGE["credit lots"])
    output = StringIO()

    with pytest.raises(SystemExit) as ending:
        await stored(call_command, "ledger", "verify", "--json", stdout=output)

    assert ending.value.code == 1
    [broken] = [row for row in json.loads(output.getvalue()) if row["broken"]]
    assert broken["invariant"] == "credit lots"


def test_every_invariant_has_its_damage():
    of_invoices = {name for name, *_ in verify_invoices.INVARIANTS}  # test_verify_invoices.py
    assert set(DAMAGE) == {invariant.name for invariant in INVARIANTS} - of_invoices


def damage(statement: str) -> None:
    """Do what the ledger's triggers forbid."""
    rows("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER USER")
    try:
        rows(statement)
    finally:
        rows("ALTER TABLE billing_ledgertransfer ENABLE TRIGGER USER")
