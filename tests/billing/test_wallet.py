"""Credit into wallets: lot, ledger and counter agree, and a repeat gives nothing."""

import threading

import pytest
from django.conf import settings
from django.db import connection

from billing import wallet
from billing.models import Budget, CreditLot, LedgerTransfer
from billing.tasks import grant_trial
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db
USD = money.NANOUSD_PER_USD


def give(organization, *, key="a", usd=5):
    return wallet.grant(
        organization,
        amount_nanousd=usd * USD,
        source=CreditLot.Source.GRANT,
        idempotency_key=key,
        reason="test",
    )


def test_a_wallet_nobody_paid_into_holds_nothing(acme):
    assert wallet.balance_nanousd(acme) == wallet.available_nanousd(acme) == 0


def test_a_grant_enters_lot_ledger_and_wallet_alike(acme):
    lot = give(acme)

    transfer = LedgerTransfer.objects.get()
    assert lot.remaining_nanousd == transfer.amount_nanousd == 5 * USD
    assert (transfer.debit_account.kind, transfer.credit_account.kind) == (
        "promo_expense",
        "wallet",
    )
    assert transfer.debit_account.organization is None
    assert transfer.credit_account.organization == acme
    assert wallet.balance_nanousd(acme) == 5 * USD


def test_a_repeat_returns_the_first_lot_and_gives_nothing(acme):
    first, second = give(acme), give(acme)

    assert first == second
    assert wallet.balance_nanousd(acme) == 5 * USD
    assert LedgerTransfer.objects.count() == 1
    assert acme.audit_events.filter(action="wallet.granted").count() == 1


def test_a_key_that_stands_for_something_else_is_refused(acme, globex):
    give(acme)

    with pytest.raises(wallet.IdempotencyConflict):
        give(acme, usd=6)
    with pytest.raises(wallet.IdempotencyConflict):
        give(globex)

    assert wallet.balance_nanousd(acme) == 5 * USD
    assert wallet.balance_nanousd(globex) == 0


def test_what_is_posted_and_held_is_not_available(acme):
    give(acme)
    Budget.objects.filter(scope="wallet").update(posted_nanousd=1 * USD, held_nanousd=3 * USD)

    assert wallet.balance_nanousd(acme) == 4 * USD
    assert wallet.available_nanousd(acme) == 1 * USD


def test_the_wallet_of_another_organization_stays_as_it_is(acme, globex):
    give(acme)

    assert wallet.balance_nanousd(globex) == 0


def test_the_trial_comes_once_however_often_the_task_runs(acme):
    for _ in range(2):
        grant_trial(organization_id=acme.pk)

    assert wallet.balance_nanousd(acme) == settings.TRIAL_CREDIT_NANOUSD
    assert CreditLot.objects.get().source == CreditLot.Source.TRIAL


@pytest.mark.django_db(transaction=True)
def test_grants_at_the_same_time_all_count_and_repeats_of_one_count_once():
    organization = factories.make_organization()
    keys = ["a", "b", "c", "a", "b", "c"]

    def give_in_thread(key):
        give(organization, key=key)
        connection.close()

    threads = [threading.Thread(target=give_in_thread, args=[key]) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wallet.balance_nanousd(organization) == 15 * USD
    assert CreditLot.objects.count() == LedgerTransfer.objects.count() == 3
