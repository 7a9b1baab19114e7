"""Several accounts of ours with one provider: shared by weight, skipped when refused, and staff are told."""

from exerati.lib.encryption import encrypt
from gateway.models import AccountNotice, ProviderAccount
from tests.gateway import books
from tests.upstream import wait_until

KEYS = ("account-one-key", "account-two-key")


def add_accounts(shop, **fields):
    for number, secret in enumerate(KEYS):
        name = f"account-{number}"
        ProviderAccount.objects.create(
            provider=shop.provider,
            name=name,
            sealed_credential=encrypt(secret, context=f"provider:{shop.provider.name}:{name}"),
            credential_last4=secret[-4:],
            **fields,
        )
    shop.relearn()


def used(shop):
    """Return which account each call came by."""
    return [
        call.headers.get("authorization", "").removeprefix("Bearer ")
        for call in shop.upstream.calls_of(shop.model)
    ]


def test_calls_are_spread_over_the_accounts(shop):
    add_accounts(shop)

    for _ in range(6):
        assert shop.chat().status == 200

    assert sorted(used(shop)) == sorted(KEYS * 3)


def test_an_account_that_runs_dry_is_skipped_and_staff_are_told(shop):
    add_accounts(shop)
    shop.script(refuses=KEYS[0], status=402, error={"message": "Your credit balance is too low."})

    answers = [shop.chat() for _ in range(6)]

    assert [answer.status for answer in answers] == [200] * 6
    assert used(shop).count(KEYS[0]) == 1
    wait_until(lambda: AccountNotice.objects.filter(provider=shop.provider).exists(), seconds=30)
    notice = AccountNotice.objects.get(provider=shop.provider)
    assert (notice.reason, notice.account, notice.count) == ("quota", "account-0", 1)
    books.settled(shop.organization, calls=6)


def test_a_refusal_of_our_account_is_never_the_customers_401(shop):
    add_accounts(shop)
    shop.script(status=401)

    answers = [shop.chat() for _ in range(3)]

    assert {answer.status for answer in answers} == {503}
    assert len(shop.upstream.calls_of(shop.model)) == len(KEYS)  # each was asked once, then left
    assert int(answers[-1].headers["retry-after"]) > 30


def test_an_account_over_its_own_quota_is_not_used(shop):
    add_accounts(shop, requests_per_minute=2)  # one for each of two processes

    statuses = [shop.chat().status for _ in range(3)]

    assert statuses == [200, 200, 503]
    assert sorted(used(shop)) == sorted(KEYS)
