"""The billing pages: what an organization has, buying more of it, following a payment, and who may do what."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from billing import ledger, lots, wallet
from billing.models import BillingAccount, TopUp
from billing.payments import auto_topups, topups
from tests import factories
from tests.billing.payments import BANK, DECLINING, USD, begin, buy, pay, use

pytestmark = pytest.mark.django_db


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def url(name="billing", *arguments):
    return reverse(f"dashboard:{name}", args=["acme", *arguments])


def page(client, name="billing", *arguments):
    return text_of(client.get(url(name, *arguments)))


@pytest.fixture
def viewer_client(acme, client):
    """A browser in which somebody who may only look is signed in."""
    user = factories.make_user("viewer@acme.example")
    acme.memberships.create(user=user, role=Membership.Role.VIEWER)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_balance_is_told_apart_by_what_is_available_and_held(alice_client, acme):
    factories.make_credit(acme, usd="12.50")
    counter = acme_wallet(acme)
    counter.held_nanousd = 2 * USD
    counter.save()

    words = page(alice_client)

    assert "Available $10.50" in words
    assert "Held $2.00" in words
    assert "Balance $12.50" in words


def acme_wallet(acme):
    return ledger.wallets(acme.pk).get()


def test_lots_add_up_to_the_balance_though_they_are_drawn_behind(alice_client, acme):
    wallet.grant_trial(acme)
    factories.make_credit(acme, usd="5")
    use(acme, 3 * USD)  # and nobody has drawn that yet

    answer = alice_client.get(url())

    parts = [(p.source, p.left_nanousd / USD) for p in answer.context["parts"]]
    assert parts == [("Granted", 3.0)]
    lots.draw(acme.pk)
    again = alice_client.get(url()).context["parts"]
    assert [(p.source, p.left_nanousd / USD) for p in again] == parts


def test_credit_that_ends_is_shown_with_its_end(alice_client, acme, settings):
    settings.TRIAL_CREDIT_DAYS = 3
    wallet.grant_trial(acme)

    words = page(alice_client)

    assert "Trial credit" in words
    assert "in 3 d" in words
    assert "Ends soon $1.00" in words


def test_empty_wallet_says_what_follows(alice_client, acme):
    words = page(alice_client)

    assert "No credit is available" in words
    assert "refused until credit is added" in words


def test_wallet_below_zero_says_so(alice_client, acme):
    wallet.buy(acme, net_cents=500, tax_cents=0, idempotency_key="k")
    use(acme, USD)
    wallet.take_back(
        "k", kind="refund", net_cents=500, tax_cents=0, idempotency_key="r", reason="test"
    )

    assert "Your balance is below zero" in page(alice_client)


def test_whoever_pays_by_invoice_is_not_told_to_add_credit(alice_client, acme):
    BillingAccount.objects.update_or_create(
        organization=acme, defaults={"plan": "postpaid", "credit_limit_nanousd": 100 * USD}
    )
    ledger.lock_wallet(acme.pk)
    ledger.wallets(acme.pk).update(posted_nanousd=30 * USD)

    words = page(alice_client)

    assert "You pay by monthly invoice" in words
    assert "Available $70.00" in words
    assert "below zero" not in words.replace("below zero here", "")


def test_page_is_clear_about_payments_that_are_off(alice_client, settings):
    settings.STRIPE_SECRET_KEY = ""
    answer = alice_client.get(url())

    assert "Payments are switched off" in text_of(answer)
    assert "Continue to payment" not in text_of(answer)
    assert alice_client.post(url("topup_begin"), {"preset": "2500"})["Location"] == url()
    assert alice_client.post(url("portal"))["Location"] == url()
    assert not TopUp.objects.exists()


@pytest.mark.parametrize(
    ("key", "base", "banner"),
    [
        ("sk_test_1", "", "Stripe is in test mode"),
        ("sk_test_1", "http://127.0.0.1:9", "A stand-in for Stripe"),
        ("sk_live_1", "", ""),
    ],
)
def test_test_payments_are_called_so(alice_client, settings, key, base, banner):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = key, base

    words = page(alice_client)

    assert (banner in words) if banner else ("Test payments" not in words)


def test_every_member_sees_the_balance_and_only_some_may_pay(viewer_client, acme, fake_stripe):
    topup = buy(fake_stripe, acme)

    words = page(viewer_client)

    assert "$20.00" in words
    assert "Only an owner, admin or billing member of Acme can add credit" in words
    assert "Continue to payment" not in words
    for name, arguments in (
        ("topup_begin", []),
        ("portal", []),
        ("billing_settings", []),
        ("auto_topup_off", []),
        ("topup_refund", [topup.pk]),
    ):
        assert viewer_client.post(url(name, *arguments)).status_code == 403, name
    assert "Refund" not in page(viewer_client, "topup", topup.pk)


# Buying


@pytest.mark.parametrize(
    ("data", "cents"),
    [
        ({"preset": "2500"}, 2_500),
        ({"preset": "other", "amount": "12.34"}, 1_234),
        ({"preset": "2500", "amount": "$1,000"}, 100_000),
    ],
)
def test_buying_leads_to_stripes_page(alice_client, alice, fake_stripe, data, cents):
    answer = alice_client.post(url("topup_begin"), data)

    topup = TopUp.objects.get()
    assert answer["Location"] == topup.pay_url
    assert topup.pay_url.startswith(fake_stripe.url)
    assert (topup.net_cents, topup.actor) == (cents, alice)
    assert fake_stripe.url in answer["Content-Security-Policy"]
    [session] = fake_stripe.objects("checkout.session")
    assert session["success_url"].endswith(url("topup", topup.pk))
    assert session["cancel_url"].endswith(f"{url()}?left=1")
    assert "No card was charged" in text_of(alice_client.get(session["cancel_url"]))


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("4.99", "At least $5."),
        ("10000.01", "At most $10,000."),
        ("12.345", "At most two decimals"),
        ("many", "Write an amount in US dollars"),
        ("NaN", "Write an amount in US dollars"),
        ("1e3", None),
        ("", "Write the amount"),
        ("-5", "At least $5."),
    ],
)
def test_amounts_that_cannot_be_bought_are_refused_in_words(
    alice_client, fake_stripe, amount, words
):
    answer = alice_client.post(url("topup_begin"), {"preset": "other", "amount": amount})

    if words is None:
        assert answer.status_code == 302
        assert TopUp.objects.get().net_cents == 100_000
        return
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not TopUp.objects.exists()


def test_when_stripe_is_away_the_page_says_that_nothing_was_charged(alice_client, fake_stripe):
    fake_stripe.fault("POST /v1/checkout/sessions", "status", status=503, times=9)

    answer = alice_client.post(url("topup_begin"), {"preset": "2500"})

    assert answer.status_code == 422
    assert "nothing was charged" in text_of(answer)


def test_keeping_the_card_is_asked_of_stripe_only_when_wanted(alice_client, acme, fake_stripe):
    alice_client.post(url("topup_begin"), {"preset": "1000", "keep_card": "on"})
    pay(fake_stripe, TopUp.objects.get())

    [method] = fake_stripe.objects("payment_method")
    assert method["customer"] == TopUp.objects.get().customer_id


# Following a payment


def test_the_page_after_paying_credits_at_once(alice_client, acme, fake_stripe):
    topup = begin(acme)
    assert "Waiting for the payment" in page(alice_client, "topup", topup.pk)
    pay(fake_stripe, topup)

    answer = alice_client.get(url("topup", topup.pk))

    assert "The credit is in your wallet" in text_of(answer)
    assert "every 3s" not in answer.content.decode()
    assert wallet.balance_nanousd(acme) == 20 * USD
    assert "Receipt" in page(alice_client)


def test_an_open_payment_is_followed_with_and_without_javascript(alice_client, acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup, BANK)

    html = alice_client.get(url("topup", topup.pk)).content.decode()

    assert 'hx-trigger="every 3s"' in html
    assert f'href="{url("topup", topup.pk)}"' in html  # looks again, without JavaScript
    assert "banks days" in html


def test_a_decline_is_told_with_the_way_to_try_again(alice_client, acme, fake_stripe):
    topup = begin(acme)
    with pytest.raises(AssertionError):
        pay(fake_stripe, topup, DECLINING)

    answer = alice_client.get(url("topup", topup.pk))

    assert "Your card was declined." in text_of(answer)
    topup.refresh_from_db()
    assert f'href="{topup.pay_url}"' in answer.content.decode()


def test_a_payment_that_does_not_match_is_told_calmly(alice_client, acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup)
    values = {"amount_subtotal": 1}
    fake_stripe.tell("edit", kind="checkout.session", id=topup.checkout_id, values=values)

    answer = alice_client.get(url("topup", topup.pk))

    assert answer.status_code == 200
    assert "we look at it by hand" in text_of(answer)


def test_payments_of_others_are_not_there(charlie_client, alice_client, acme, globex, fake_stripe):
    theirs = begin(globex)

    assert alice_client.get(url("topup", theirs.pk)).status_code == 404
    assert alice_client.post(url("topup_refund", theirs.pk)).status_code == 404


# Refunds by oneself


def test_unused_credit_goes_back_by_a_form(alice_client, acme, alice, fake_stripe):
    topup = buy(fake_stripe, acme)
    use(acme, 5 * USD)
    lots.draw(acme.pk)
    assert "At most $15" in page(alice_client, "topup_refund", topup.pk)

    answer = alice_client.post(
        url("topup_refund", topup.pk), {"amount": "10", "reason": "too much"}, follow=True
    )

    assert "is on its way back to the card" in text_of(answer)
    assert "Sent back" in text_of(answer)
    assert wallet.balance_nanousd(acme) == 5 * USD
    refund = topup.refunds.get()
    assert (refund.state, refund.net_cents, refund.actor) == ("done", 1_000, alice)


def test_more_than_is_unused_does_not_go_back(alice_client, acme, fake_stripe):
    topup = buy(fake_stripe, acme)
    use(acme, 5 * USD)
    lots.draw(acme.pk)

    answer = alice_client.post(url("topup_refund", topup.pk), {"amount": "15.01"})

    assert answer.status_code == 422
    assert "At most $15" in text_of(answer)
    assert not topup.refunds.exists()


def test_a_refund_that_sets_automatic_top_up_off_says_so(alice_client, acme, fake_stripe):
    topup = buy(fake_stripe, acme, keep_card=True)
    factories.make_credit(acme, usd="5")
    alice_client.post(url("billing_settings"), WISH)  # below $5
    assert "charged again" not in page(alice_client, "topup_refund", topup.pk)

    use(acme, USD)  # of the credit that was given

    assert "If this takes the credit below $5.00" in page(alice_client, "topup_refund", topup.pk)


def test_after_the_window_the_page_offers_no_refund(alice_client, acme, fake_stripe, settings):
    topup = buy(fake_stripe, acme)
    TopUp.objects.update(credited_at=timezone.now() - timedelta(days=15))

    assert "Nothing of this payment can go back" in page(alice_client, "topup_refund", topup.pk)
    alice_client.post(url("topup_refund", topup.pk), {"amount": "1"})
    assert not topup.refunds.exists()


# The portal and automatic top-up


def test_portal_is_stripes_and_comes_back_here(alice_client, fake_stripe):
    answer = alice_client.post(url("portal"))

    assert answer["Location"].startswith(f"{fake_stripe.url}/portal/")
    [session] = fake_stripe.objects("billing_portal.session")
    assert session["return_url"].endswith(url())


WISH = {"threshold": "5", "target": "25", "ceiling": "100", "consent": "on"}


def test_automatic_top_up_wants_a_saved_card(alice_client, acme, fake_stripe):
    answer = alice_client.post(url("billing_settings"), WISH)

    assert answer.status_code == 422
    assert "No card is saved yet" in text_of(answer)


def test_automatic_top_up_keeps_the_words_that_were_agreed_to(
    alice_client, acme, alice, fake_stripe
):
    buy(fake_stripe, acme, keep_card=True)

    answer = alice_client.post(url("billing_settings"), WISH, follow=True)

    plan = acme.auto_topup
    assert (plan.threshold_cents, plan.target_cents, plan.ceiling_cents) == (500, 2_500, 10_000)
    assert plan.consented_by == alice
    assert "below $5.00" in plan.consent_text
    assert "at most $100.00 in a calendar month" in plan.consent_text
    assert plan.consent_text in text_of(answer).replace("&#x27;", "'")
    event = acme.audit_events.get(action="auto_topup.on")
    assert (event.actor, event.details["consent"]) == (alice, plan.consent_text)

    alice_client.post(url("auto_topup_off"))
    plan.refresh_from_db()
    assert plan.is_on is False
    assert acme.audit_events.filter(action="auto_topup.off").count() == 1


def test_automatic_top_up_without_consent_is_refused(alice_client, acme, fake_stripe):
    buy(fake_stripe, acme, keep_card=True)

    answer = alice_client.post(url("billing_settings"), {**WISH, "consent": ""})

    assert answer.status_code == 422
    assert "Without your consent" in text_of(answer)
    assert auto_topups.due(timezone.now()) == []


def test_target_must_leave_room_for_the_least_top_up(alice_client, fake_stripe):
    answer = alice_client.post(url("billing_settings"), {**WISH, "target": "9.99"})

    assert re.search(r"At least \$\d+: \$5 above the threshold\.", text_of(answer))


def test_page_costs_the_same_few_queries_however_many_payments(
    alice_client, acme, fake_stripe, django_assert_max_num_queries
):
    def count():
        with django_assert_max_num_queries(60) as captured:
            alice_client.get(url())
        return len(captured)

    buy(fake_stripe, acme)
    count()  # the first visit writes the session
    one = count()
    for _ in range(4):
        buy(fake_stripe, acme)

    assert count() == one
    assert topups.undecided(timezone.now()) == []


def test_rail_leads_to_billing(alice_client):
    html = alice_client.get(reverse("dashboard:overview", args=["acme"])).content.decode()

    assert f'href="{url()}"' in html
