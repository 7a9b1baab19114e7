"""Credit lots: drawn in order behind the calls, expired once, and given back to where it was drawn."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import lots, wallet
from billing.models import CreditLot, LedgerTransfer, LotDraw, WalletDraws, WalletHour
from billing.tasks import draw_lots
from tests.billing.payments import USD, assert_credit_is_sound, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet_of_three(acme):
    """Acme with bought credit of $10, granted credit of $5, and $1 that ends tomorrow: made in this order."""
    wallet.buy(acme, net_cents=1_000, tax_cents=0, idempotency_key="bought")
    give(acme, "granted", usd=5)
    give(acme, "ending", usd=1, expires_at=timezone.now() + timedelta(days=1))
    return acme


def give(organization, key, *, usd, expires_at=None):
    return wallet.grant(
        organization,
        amount_nanousd=usd * USD,
        source=CreditLot.Source.GRANT,
        idempotency_key=key,
        reason="test",
        expires_at=expires_at,
    )


def remaining():
    """Return what is left of each lot in dollars, by its key."""
    found = CreditLot.objects.values_list("idempotency_key", "remaining_nanousd")
    return {key: left / USD for key, left in found}


def test_what_ends_first_is_drawn_first_and_what_was_paid_last(wallet_of_three):
    use(wallet_of_three, USD // 2)
    lots.draw(wallet_of_three.pk)
    assert remaining() == {"ending": 0.5, "granted": 5, "bought": 10}

    use(wallet_of_three, 3 * USD)
    use(wallet_of_three, 4 * USD)
    lots.draw(wallet_of_three.pk)
    assert remaining() == {"ending": 0, "granted": 0, "bought": 8.5}


def test_a_draw_that_is_repeated_draws_nothing(wallet_of_three):
    use(wallet_of_three, 2 * USD)
    for _ in range(3):
        draw_lots()

    assert remaining() == {"ending": 0, "granted": 4, "bought": 10}
    assert LotDraw.objects.count() == 2
    assert WalletHour.objects.get().postings == 1
    assert lots.waiting() == []


def test_only_wallets_that_have_moved_are_looked_at(wallet_of_three, globex):
    give(globex, "theirs", usd=1)
    assert lots.waiting() == []

    use(wallet_of_three, 1)

    assert lots.waiting() == [wallet_of_three.pk]


def test_what_comes_back_returns_to_the_lots_drawn_last(wallet_of_three):
    use(wallet_of_three, 8 * USD)
    lots.draw(wallet_of_three.pk)
    assert remaining() == {"ending": 0, "granted": 0, "bought": 8}

    use(wallet_of_three, -3 * USD)
    lots.draw(wallet_of_three.pk)

    assert remaining() == {"ending": 0, "granted": 1, "bought": 10}


def test_lot_expires_once_and_what_is_left_goes_to_breakage(wallet_of_three):
    use(wallet_of_three, USD // 4)
    later = timezone.now() + timedelta(days=2)
    [ending] = wallet.to_expire(later)

    ended = [wallet.expire(ending, now=later) for _ in range(2)]

    assert ended == [3 * USD // 4, 0]
    transfer = LedgerTransfer.objects.get(kind="expiry")
    assert (transfer.debit_account.kind, transfer.credit_account.kind) == ("wallet", "breakage")
    assert transfer.amount_nanousd == 3 * USD // 4
    assert wallet.balance_nanousd(wallet_of_three) == 15 * USD
    assert wallet.to_expire(later) == []


def test_lot_does_not_expire_before_its_time(wallet_of_three):
    lot = CreditLot.objects.get(idempotency_key="ending")

    assert wallet.expire(lot.pk, now=timezone.now()) == 0
    assert wallet.to_expire(timezone.now()) == []


def test_what_comes_back_to_an_expired_lot_expires_too(wallet_of_three):
    later = timezone.now() + timedelta(days=2)
    use(wallet_of_three, USD // 4)
    lot = CreditLot.objects.get(idempotency_key="ending")
    wallet.expire(lot.pk, now=later)
    use(wallet_of_three, -USD // 4)
    lots.draw(wallet_of_three.pk)

    assert wallet.to_expire(later) == [lot.pk]
    assert wallet.expire(lot.pk, now=later) == USD // 4
    assert LedgerTransfer.objects.filter(kind="expiry").count() == 2
    assert_credit_is_sound(without=("top-ups",))  # lots without payments are sound otherwise


def test_use_beyond_all_lots_is_a_debt_that_the_next_credit_pays_first(wallet_of_three):
    wallet.take_back(
        "bought",
        kind="refund",
        net_cents=1_000,
        tax_cents=0,
        idempotency_key="r",
        reason="test",
    )
    use(wallet_of_three, 7 * USD)
    lots.draw(wallet_of_three.pk)
    assert WalletDraws.objects.get().uncovered_nanousd == USD
    assert wallet.balance_nanousd(wallet_of_three) == -USD

    wallet.buy(wallet_of_three, net_cents=500, tax_cents=0, idempotency_key="more")

    assert remaining()["more"] == 4
    assert WalletDraws.objects.get().uncovered_nanousd == 0
    assert_credit_is_sound(without=("top-ups",))  # lots without payments are sound otherwise


def test_use_of_a_lot_that_is_taken_back_becomes_use_of_the_others(acme):
    wallet.buy(acme, net_cents=1_000, tax_cents=0, idempotency_key="first")
    wallet.buy(acme, net_cents=1_000, tax_cents=0, idempotency_key="second")
    use(acme, 6 * USD)
    lots.draw(acme.pk)

    take_back: Any = {"net_cents": 1_000, "tax_cents": 0, "reason": "test"}
    wallet.take_back("first", kind="dispute", idempotency_key="d1", **take_back)
    assert remaining() == {"first": 0, "second": 4}

    wallet.give_back("first", kind="dispute_won", idempotency_key="d2", **take_back)
    assert remaining() == {"first": 10, "second": 4}
    assert_credit_is_sound(without=("top-ups",))  # lots without payments are sound otherwise


def test_draws_cannot_be_changed(wallet_of_three):
    use(wallet_of_three, USD)
    lots.draw(wallet_of_three.pk)

    with pytest.raises(Exception, match="append-only"):
        LotDraw.objects.update(amount_nanousd=1)
