"""A wallet that a chargeback took below zero: nothing is admitted until it is topped up."""

import pytest

from billing import wallet
from tests.billing.calls import make_payer, open_doors, outcomes, stored
from tests.billing.payments import USD, use

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


def lose_what_was_used(organization):
    """Buy $10, use $4, and lose the $10 to the payer's bank."""
    wallet.buy(organization, net_cents=1_000, tax_cents=0, idempotency_key="lost")
    use(organization, 4 * USD)
    wallet.take_back(
        "lost",
        kind="dispute",
        net_cents=1_000,
        tax_cents=0,
        idempotency_key="taken",
        reason="test",
    )


async def test_wallet_below_zero_admits_nothing_until_it_is_topped_up(transactional_db):
    payer = await stored(make_payer, credit_usd="0")
    await stored(lose_what_was_used, payer.organization)
    topup = {"net_cents": 500, "tax_cents": 0, "idempotency_key": "next"}

    async with open_doors() as doors:
        assert await stored(wallet.available_nanousd, payer.organization) == -4 * USD
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["wallet total"]

        await stored(wallet.buy, payer.organization, **topup)

        assert await outcomes(doors.budgets, [payer.call(USD + 1)]) == ["wallet total"]
        assert await outcomes(doors.budgets, [payer.call(USD)]) == ["ok"]
