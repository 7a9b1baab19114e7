"""Settlement: once, within the bound, every row of it or none."""

import asyncio
import random
from uuid import UUID

import psycopg
import pytest

from billing import metering
from billing.models import UsageEvent
from billing.types import Settlement, TokenUsage
from exerati.lib import ids
from tests.billing.calls import (
    MODEL,
    Payer,
    assert_books_balance,
    attempt,
    budget,
    expire_leases,
    make_payer,
    open_doors,
    rows,
    settlement,
    stored,
    sweep,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def test_settlement_moves_hold_to_charge_and_writes_every_row(payer):
    usage = TokenUsage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=40,
        cache_write_5m_tokens=3,
        cache_write_1h_tokens=4,
        reasoning_tokens=20,
        audio_input_tokens=7,
        images=1,
    )
    async with open_doors() as doors:
        request = payer.call(1_000, streamed=True)
        await doors.budgets.reserve(request)
        result = await doors.metering.settle(
            settlement(
                request, 600, usage=usage, price_nanousd=650, first_token_ms=7, duration_ms=9
            )
        )

    assert (result.settled, result.charge) == (True, 600)
    for scope, row_id in (
        ("wallet", payer.organization.pk),
        ("project", payer.key.project_id),
        ("key", payer.key.pk),
    ):
        assert budget(scope, row_id) == (600, 0)
    columns = (
        "organization_id, project_id, key_id, mode, endpoint, model, provider, upstream_model, upstream_id,"
        " streamed, outcome, basis, status, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,"
        " reasoning_tokens, usage_details, price_version_id, upper_nanousd, price_nanousd, charge_nanousd,"
        " provider_cost_nanousd, attempts, first_token_ms, duration_ms"
    )
    details = {
        "cache_write_5m_tokens": 3,
        "cache_write_1h_tokens": 4,
        "audio_input_tokens": 7,
        "images": 1,
    }
    assert rows(f"SELECT {columns} FROM billing_usageevent") == [  # noqa: S608  our own columns
        (
            *(payer.organization.pk, payer.key.project_id, payer.key.pk, "live"),
            *("chat/completions", MODEL, "sandbox", "echo", "up_1", True),
            *("finished", "reported", 200, 100, 50, 40, 7, 20, details),
            *(payer.price.pk, 1_000, 650, 600, 500, 2, 7, 9),
        )
    ]
    assert rows("SELECT number, status, error_code FROM billing_attempt ORDER BY number") == [
        (1, 503, "overloaded"),
        (2, 200, ""),
    ]
    assert rows("SELECT request_id FROM billing_outboxmessage") == [(request.request_id,)]
    assert rows("SELECT state, charge_nanousd FROM billing_reservation") == [("settled", 600)]
    assert usage_transfers() == [("wallet", "revenue", 600, f"request:{request.request_id}")]
    assert_books_balance()


def usage_transfers() -> list[tuple[object, ...]]:
    return rows(
        "SELECT d.kind, c.kind, t.amount_nanousd, t.idempotency_key FROM billing_ledgertransfer t"
        " JOIN billing_ledgeraccount d ON d.id = t.debit_account_id"
        " JOIN billing_ledgeraccount c ON c.id = t.credit_account_id WHERE t.kind = 'usage' ORDER BY t.id"
    )


async def test_event_belongs_to_the_moment_of_admission(payer):
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        rows("UPDATE billing_reservation SET created_at = created_at - interval '60 days'")
        await doors.metering.settle(settlement(request))

    found = rows(
        "SELECT e.occurred_at = r.created_at, e.duration_ms FROM billing_usageevent e"
        " JOIN billing_reservation r USING (request_id)"
    )
    assert found == [(True, 2**31 - 1)]  # longer than the column: never a reason to fail


async def test_second_settlement_changes_nothing_and_returns_the_first_charge(payer):
    async with open_doors() as doors:
        request = payer.call(1_000)
        await doors.budgets.reserve(request)
        await doors.metering.settle(settlement(request, 600))
        again = await doors.metering.settle(settlement(request, 900))

    assert (again.settled, again.charge) == (False, 600)
    assert rows("SELECT count(*), sum(charge_nanousd) FROM billing_usageevent") == [(1, 600)]
    assert budget("wallet", payer.organization.pk) == (600, 0)
    assert_books_balance()


async def test_settlements_of_one_call_at_the_same_time_make_one_event(payer):
    async with open_doors() as here, open_doors() as there:
        requests = [payer.call(1_000) for _ in range(20)]
        await asyncio.gather(*map(here.budgets.reserve, requests))
        results = await asyncio.gather(
            *(
                doors.metering.settle(settlement(request, charge))
                for request in requests
                for doors, charge in ((here, 100), (there, 200), (here, 300))
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(result, metering.ForeignReservation) for result in results) == 20
    own = [result for result in results if isinstance(result, metering.Settled)]
    charges = {result.request_id: result.charge for result in own if result.settled}
    assert len(charges) == 20
    assert sum(result.settled for result in own) >= 20
    assert all(result.charge == charges[result.request_id] for result in own)
    assert rows("SELECT count(*), sum(charge_nanousd) FROM billing_usageevent") == [
        (20, sum(charge or 0 for charge in charges.values()))
    ]
    assert_books_balance()


async def test_call_settled_twice_in_one_batch_takes_the_first(payer):
    async with open_doors() as doors:
        request = payer.call(1_000)
        await doors.budgets.reserve(request)
        first, second = await asyncio.gather(
            doors.metering.settle(settlement(request, 100)),
            doors.metering.settle(settlement(request, 200)),
        )

    assert (first.charge, second.charge) == (100, 100)


async def test_call_that_was_never_reserved_settles_nothing(payer):
    async with open_doors() as doors:
        result = await doors.metering.settle(settlement(ids.new_uuid()))

    assert (result.settled, result.charge) == (False, None)
    assert rows("SELECT count(*) FROM billing_usageevent") == [(0,)]


@pytest.mark.parametrize(
    ("claimed", "posted"), [(1_001, 1_000), (2**62, 1_000), (-5, 0), (0, 0), (1_000, 1_000)]
)
async def test_charge_stays_between_nothing_and_the_bound(payer, claimed, posted):
    async with open_doors() as doors:
        request = payer.call(1_000)
        await doors.budgets.reserve(request)
        result = await doors.metering.settle(settlement(request, claimed))

    assert result.charge == posted
    assert rows("SELECT charge_nanousd, price_nanousd FROM billing_usageevent") == [
        (posted, claimed)
    ]
    assert len(usage_transfers()) == (posted > 0)
    assert_books_balance()


async def test_test_key_posts_nothing_but_shows_the_price():
    payer = await stored(make_payer, mode="test", credit_usd="0")
    async with open_doors() as doors:
        request = payer.call(1_000)
        await doors.budgets.reserve(request)
        result = await doors.metering.settle(settlement(request, 600))

    assert (result.settled, result.charge) == (True, 0)
    assert rows("SELECT mode, price_nanousd, charge_nanousd FROM billing_usageevent") == [
        ("test", 600, 0)
    ]
    assert rows("SELECT count(*) FROM billing_ledgertransfer") == [(0,)]
    assert budget("wallet", payer.organization.pk) == (0, 0)


async def test_postpaid_organization_owes_instead_of_drawing_its_wallet(payer):
    rows(
        "INSERT INTO billing_billingaccount (organization_id, plan, credit_limit_nanousd, created_at)"
        " VALUES (%s, 'postpaid', 100, now())",
        payer.organization.pk,
    )
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        await doors.metering.settle(settlement(request, 600))

    assert usage_transfers() == [("unbilled", "revenue", 600, f"request:{request.request_id}")]


async def test_missing_ledger_account_fails_the_settlement_instead_of_losing_the_posting(payer):
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        rows(
            "INSERT INTO billing_billingaccount (organization_id, plan, credit_limit_nanousd, created_at)"
            " VALUES (%s, 'postpaid', 100, now())",
            payer.organization.pk,
        )
        rows("DELETE FROM billing_ledgeraccount WHERE kind = 'unbilled'")

        with pytest.raises(psycopg.IntegrityError):
            await doors.metering.settle(settlement(request))

    assert rows("SELECT state FROM billing_reservation") == [("open",)]
    assert budget("wallet", payer.organization.pk) == (0, 1_000)


async def test_poisoned_settlement_fails_alone(payer):
    async with open_doors() as doors:
        requests = [payer.call() for _ in range(5)]
        await asyncio.gather(*map(doors.budgets.reserve, requests))
        poison = {
            1: settlement(requests[1], usage=TokenUsage(input_tokens=-1)),
            3: settlement(requests[3], attempts=(attempt(1), attempt(1))),
        }
        results = await asyncio.gather(
            *(
                doors.metering.settle(poison.get(number) or settlement(request))
                for number, request in enumerate(requests)
            ),
            return_exceptions=True,
        )

    failed = [isinstance(result, psycopg.IntegrityError) for result in results]
    assert failed == [False, True, False, True, False]
    assert budget("wallet", payer.organization.pk) == (1_800, 2_000)
    assert_books_balance()


@pytest.mark.parametrize("text", ["a" * 500, "nul \0 inside", "half a pair \ud83d", "größer 😀"])
async def test_any_text_from_outside_can_be_stored(payer, text):
    texts = dict.fromkeys(metering.LENGTHS, text)
    tries = dict.fromkeys(("upstream_id", "error_code"), text)
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        result = await doors.metering.settle(
            settlement(request, **texts, attempts=(attempt(1, **tries),))
        )

    assert result.settled


def test_texts_are_cut_to_the_length_of_their_columns():
    columns = {
        field.name: field.max_length
        for field in UsageEvent._meta.concrete_fields
        if field.name in metering.LENGTHS
    }
    assert columns == metering.LENGTHS


async def test_settling_against_sweeping_makes_exactly_one_event(payer):
    async with open_doors() as here:
        for _ in range(6):
            requests = [payer.call(1_000) for _ in range(15)]
            await asyncio.gather(*map(here.budgets.reserve, requests))
            expire_leases(request.request_id for request in requests)
            await asyncio.gather(
                *(here.metering.settle(settlement(request, 600)) for request in requests),
                asyncio.to_thread(sweep),
                *(here.metering.settle(settlement(request, 700)) for request in requests),
                asyncio.to_thread(sweep),
            )

    assert rows("SELECT count(*), count(DISTINCT request_id) FROM billing_usageevent") == [(90, 90)]
    assert budget("wallet", payer.organization.pk)[1] == 0
    assert_books_balance()


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_interleaving_of_two_processes_keeps_the_books(transactional_db, seed):
    payers = await stored(lambda: [make_payer(credit_usd="0.00005") for _ in range(3)])
    for payer in payers:
        update("apikeys_apikey", payer.key.pk, budget_day_nanousd=20_000)

    async with open_doors() as here, open_doors() as there:
        await asyncio.gather(
            *(
                life(doors, payers, random.Random(seed + n))
                for n, doors in enumerate([here, there] * 3)
            )
        )

    assert_books_balance()


async def life(doors, payers: list[Payer], chance: random.Random) -> None:
    """Reserve, settle, renew, sweep and change caps in random order, as one worker of a gateway would."""
    open_calls: list[UUID] = []
    for _ in range(40):
        payer = chance.choice(payers)
        match chance.randrange(6):
            case 0 | 1:
                wanted = [
                    payer.call(chance.randrange(3_000)) for payer in chance.choices(payers, k=4)
                ]
                results = await asyncio.gather(
                    *map(doors.budgets.reserve, wanted), return_exceptions=True
                )
                admitted = zip(wanted, results, strict=True)
                open_calls += [call.request_id for call, result in admitted if result is None]
            case 2 | 3 if open_calls:
                chosen = chance.choices(open_calls, k=3)
                ended: list[Settlement] = [settlement(c, chance.randrange(4_000)) for c in chosen]
                await asyncio.gather(*map(doors.metering.settle, ended))
            case 4:
                await doors.budgets.renew(
                    [
                        {
                            "request_id": request_id,
                            "input_tokens": 1,
                            "output_tokens": 2,
                            "progress_nanousd": chance.randrange(2_000),
                            "sent": True,
                        }
                        for request_id in open_calls[:5]
                    ]
                )
                expire_leases(open_calls[:2])
                await asyncio.to_thread(sweep)
            case _:
                period = chance.choice(["week", "month", "total"])
                cap = chance.choice([None, 30_000, 60_000])
                update("apikeys_apikey", payer.key.pk, **{f"budget_{period}_nanousd": cap})
