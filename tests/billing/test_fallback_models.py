"""Calls that another model may serve: held on every model's counters, posted to the one that served."""

import psycopg
import pytest

from apikeys.models import KeyModelBudget
from tests.billing.calls import (
    MODEL,
    Payer,
    assert_books_balance,
    budget,
    expire_leases,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    sweep,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def cap(payer: Payer, model: str, cap_nanousd: int) -> None:
    await stored(
        KeyModelBudget.objects.create,
        key=payer.key,
        model=model,
        period="month",
        cap_nanousd=cap_nanousd,
    )


def counters(payer: Payer) -> dict[str, tuple[int, int]]:
    return {
        model: budget("key_model", payer.key.pk, period="month", model=model)
        for model in (MODEL, "other", "third")
    }


async def test_bound_is_held_on_every_model_that_may_serve_and_posted_to_the_one_that_did(payer):
    for model in (MODEL, "other", "third"):
        await cap(payer, model, 5_000)
    request = payer.call(1_000, fallback_models=("other", "third"))
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [request]) == ["ok"]
        assert counters(payer) == dict.fromkeys((MODEL, "other", "third"), (0, 1_000))

        served = settlement(request, 600, model="other", price_version_id=77)
        assert (await doors.metering.settle(served)).charge == 600

    assert counters(payer) == {MODEL: (0, 0), "other": (600, 0), "third": (0, 0)}
    assert budget("wallet", payer.organization.pk) == (600, 0)
    assert rows("SELECT model, price_version_id FROM billing_usageevent") == [("other", 77)]
    assert_books_balance()


async def test_fallback_without_room_refuses_the_whole_call(payer):
    await cap(payer, "other", 999)
    async with open_doors() as doors:
        refused = payer.call(1_000, fallback_models=("third", "other"))
        assert await outcomes(doors.budgets, [refused]) == ["key_model month"]
        assert budget("wallet", payer.organization.pk) == (0, 0)

        assert await outcomes(doors.budgets, [payer.call(1_000)]) == ["ok"]


async def test_model_named_twice_is_held_once(payer):
    await cap(payer, MODEL, 5_000)
    await cap(payer, "other", 5_000)
    request = payer.call(1_000, fallback_models=("other", "other", MODEL))
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [request]) == ["ok"]

    assert counters(payer) == {MODEL: (0, 1_000), "other": (0, 1_000), "third": (0, 0)}
    assert_books_balance()


async def test_cap_set_on_a_fallback_while_it_runs_holds_its_bound(payer):
    request = payer.call(1_000, fallback_models=("other",))
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [request]) == ["ok"]
        await cap(payer, "other", 1_500)
        assert await outcomes(doors.budgets, [payer.call(501, model="other")]) == [
            "key_model month"
        ]

        await doors.metering.settle(settlement(request, 600, model="other"))
    assert counters(payer)["other"] == (600, 0)
    assert_books_balance()


async def test_model_that_was_not_reserved_settles_nothing(payer):
    request = payer.call(1_000, fallback_models=("other",))
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        with pytest.raises(psycopg.IntegrityError):
            await doors.metering.settle(settlement(request, 600, model="third"))

    assert budget("wallet", payer.organization.pk) == (0, 1_000)
    assert_books_balance()


async def test_swept_call_is_posted_to_the_model_asked_for(payer):
    await cap(payer, MODEL, 5_000)
    await cap(payer, "other", 5_000)
    request = payer.call(1_000, fallback_models=("other",))
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
    expire_leases([request.request_id])
    sweep()

    assert counters(payer) == {MODEL: (0, 0), "other": (0, 0), "third": (0, 0)}
    assert rows("SELECT model FROM billing_usageevent") == [(MODEL,)]
    assert_books_balance()
