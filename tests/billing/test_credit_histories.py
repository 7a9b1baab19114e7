"""
Random histories of one wallet: credit comes, is used, expires, goes back and is disputed in any order, and the books
hold after each step. `EXERATI_SEEDS=2000` plays more of them, `EXERATI_FIRST_SEED=N` begins elsewhere.
"""

import os
import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from billing import ledger, lots, wallet
from billing.models import CreditLot, Dispute, Refund, TopUp
from billing.payments import disputes, refunds
from billing.payments.stripe_payments import DisputeState
from billing.verification.verify import INVARIANTS
from exerati.lib.money import NANOUSD_PER_CENT
from tests import factories
from tests.billing.payments import USD, assert_credit_is_sound, use

pytestmark = pytest.mark.django_db
SEEDS = int(os.environ.get("EXERATI_SEEDS", "6"))
FIRST = int(os.environ.get("EXERATI_FIRST_SEED", "1"))
STEPS = 25
[WALLETS] = [invariant for invariant in INVARIANTS if invariant.name == "wallets"]


class History:
    """One wallet and what may happen to it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.organization = factories.make_organization()
        self.numbers = 0

    def cents(self) -> int:
        """Return an amount that is small often, so that lots run empty."""
        return self.random.choice((1, 99, 500, 1_234, 5_000))

    def key(self) -> str:
        """Return a key of its own."""
        self.numbers += 1
        return f"history:{self.numbers}"

    def grant(self) -> None:
        ends = self.random.choice((None, timedelta(hours=-1), timedelta(days=2)))
        wallet.grant(
            self.organization,
            amount_nanousd=self.cents() * NANOUSD_PER_CENT + self.random.randrange(3),
            source=CreditLot.Source.GRANT,
            idempotency_key=self.key(),
            reason="test",
            expires_at=timezone.now() + ends if ends else None,
        )

    def buy(self) -> None:
        cents, tax = self.cents(), self.random.choice((0, 0, 7))
        topup = TopUp.objects.create(
            organization=self.organization,
            net_cents=cents,
            tax_cents=tax,
            state=TopUp.State.CREDITED,
            credited_at=timezone.now(),
            payment_intent_id=self.key(),
        )
        wallet.buy(
            self.organization, net_cents=cents, tax_cents=tax, idempotency_key=f"topup:{topup.pk}"
        )

    def call(self) -> None:
        free = wallet.available_nanousd(self.organization)
        if free > 0:
            use(self.organization, self.random.randint(1, min(free, 20 * USD)))

    def settle_late(self) -> None:
        posted = ledger.wallets(self.organization.pk).values_list("posted_nanousd", flat=True)
        if most := posted.first():
            use(self.organization, -self.random.randint(1, most))

    def draw(self) -> None:
        lots.draw(self.organization.pk)

    def expire(self) -> None:
        for lot in wallet.to_expire(timezone.now()):
            wallet.expire(lot, now=timezone.now())

    def refund(self) -> None:
        for topup in self.some_topup():
            most = refunds.most_cents(topup, by_staff=True)
            if most:
                refunds._take(
                    topup,
                    net_cents=self.random.randint(1, most),
                    reason="test",
                    actor=None,
                    by_staff=True,
                )

    def fail_refund(self) -> None:
        for refund in Refund.objects.filter(state=Refund.State.REQUESTED)[:1]:
            refunds._undo(refund.pk)

    def dispute(self) -> None:
        for topup in self.some_topup():
            left = topup.net_cents + topup.tax_cents - topup.refunded_cents
            if left and not topup.disputes.exists():
                self.bring(topup, self.key(), self.random.choice((0, left)), 0, "needs_response")

    def decide(self) -> None:
        for row in Dispute.objects.filter(status="needs_response").select_related("topup")[:1]:
            back = row.withdrawn_cents if self.random.random() < 0.5 else 0
            ended = "won" if back or not row.withdrawn_cents else "lost"
            self.bring(row.topup, row.stripe_id, row.withdrawn_cents, back, ended)

    def bring(self, topup: TopUp, id: str, withdrawn: int, back: int, status: str) -> None:
        state = DisputeState(id, topup.payment_intent_id, status, withdrawn, back, 1_500)
        disputes._bring_up_to(topup, state)
        disputes._bring_up_to(topup, state)

    def some_topup(self) -> list[TopUp]:
        return list(TopUp.objects.order_by("?")[:1])

    @property
    def deeds(self) -> list[Callable[[], None]]:
        """Return what may happen, the usual more often."""
        usual = [self.grant, self.buy, self.buy, self.call, self.call, self.call, self.draw]
        seldom = [self.settle_late, self.expire, self.refund, self.fail_refund]
        return [*usual, *seldom, self.dispute, self.decide]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_happens_to_credit_the_books_hold(seed):
    history = History(seed)
    done = []
    for _ in range(STEPS):
        deed = history.random.choice(history.deeds)
        done.append(deed.__name__)
        deed()
        assert broken() == [], done
        assert_credit_is_sound()


def broken() -> list[tuple[str, ...]]:
    """Return the wallets that are not what the ledger says."""
    with connection.cursor() as cursor:
        cursor.execute(WALLETS.broken)
        found: list[tuple[str, ...]] = cursor.fetchall()
    return found
