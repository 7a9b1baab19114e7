"""Stripe's webhooks: only what Stripe has signed gets in, once, and what got in is applied whatever happens."""

import asyncio
import hashlib
import hmac
import json
import shutil
import subprocess
import time
from typing import Any

import pytest
from django.test import RequestFactory
from pydantic import ValidationError

from billing import stripe_events, webhooks
from billing.models import StripeEvent
from billing.payments import topups
from billing.tasks import apply_stripe_events, poll_stripe
from exerati import body_limit, checks
from exerati.settings.env import Env
from tests.billing.payments import begin, pay
from tests.stripe_cast import WEBHOOK_SECRET

pytestmark = pytest.mark.django_db
URL = "/stripe/webhook"


@pytest.fixture
def stripe_on(settings):
    """A key and a secret; nobody answers at Stripe."""
    settings.STRIPE_SECRET_KEY = "sk_test_tests"
    settings.STRIPE_WEBHOOK_SECRET = WEBHOOK_SECRET


def event(**changes):
    """Return the body of an event, spaced as Stripe sends it."""
    values = {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": {"id": "cs_1", "object": "checkout.session"}},
        "livemode": False,
        "type": "checkout.session.completed",
        **changes,
    }
    return json.dumps(values, indent=2).encode()


def mac(payload, *, at, secret):
    return hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()


def signature(payload, *, secret=WEBHOOK_SECRET, age=0):
    at = int(time.time()) - age
    return f"t={at},v1={mac(payload, at=at, secret=secret)}"


def send(client, payload, header=None):
    return client.post(
        URL,
        data=payload,
        content_type="application/json",
        headers={"stripe-signature": header if header is not None else signature(payload)},
    )


def test_a_signed_event_is_stored_first_and_applied_after(
    client, stripe_on, django_capture_on_commit_callbacks
):
    payload = event()
    with django_capture_on_commit_callbacks() as waiting:
        answer = send(client, payload)

    stored = StripeEvent.objects.get()
    assert answer.status_code == 200
    assert (stored.event_id, stored.kind, stored.object_id) == (
        "evt_1",
        "checkout.session.completed",
        "cs_1",
    )
    assert stored.applied_at is None
    assert len(waiting) == 1


FORGED = {
    "no signature": lambda payload: "",
    "no signature of this version": lambda payload: f"t={int(time.time())},v0=abc",
    "another secret": lambda payload: signature(payload, secret="whsec_other"),
    "an empty secret": lambda payload: signature(payload, secret=""),
    "of another body": lambda payload: signature(payload + b" "),
    "too old": lambda payload: signature(payload, age=301),
    "from the future": lambda payload: signature(payload, age=-302),
    "a time that is no number": lambda payload: "t=now,v1=" + "0" * 64,
    "nonsense": lambda payload: "nonsense",
}


@pytest.mark.parametrize("how", FORGED)
def test_replay_attack_or_forged_event_is_refused(client, stripe_on, how):
    payload = event()

    answer = send(client, payload, FORGED[how](payload))

    assert answer.status_code == 400
    assert not StripeEvent.objects.exists()


def test_one_altered_byte_is_refused(client, stripe_on):
    payload = event()
    header = signature(payload)
    for place in (0, len(payload) // 2, len(payload) - 1):
        altered = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        assert send(client, altered, header).status_code == 400

    assert not StripeEvent.objects.exists()


def test_the_raw_body_counts_not_what_it_says(client, stripe_on):
    payload = event()
    same = json.dumps(json.loads(payload)).encode()

    assert send(client, same, signature(payload)).status_code == 400


def test_while_a_secret_is_rotated_either_signature_is_enough(client, stripe_on):
    payload, at = event(), int(time.time())
    old = mac(payload, at=at, secret="whsec_old")
    new = mac(payload, at=at, secret=WEBHOOK_SECRET)

    assert send(client, payload, f"t={at},v1={old},v1={new}").status_code == 200
    assert send(client, payload, f"t={at},v1={old}").status_code == 400


def test_a_clock_that_is_somewhat_off_does_no_harm(client, stripe_on):
    payload = event()

    assert send(client, payload, signature(payload, age=-200)).status_code == 200
    assert send(client, payload, signature(payload, age=200)).status_code == 200


@pytest.mark.parametrize(
    ("key", "livemode"), [("sk_live_1", False), ("rk_live_1", False), ("sk_test_1", True)]
)
def test_an_event_of_the_other_mode_is_refused(client, stripe_on, settings, key, livemode):
    settings.STRIPE_SECRET_KEY = key

    assert send(client, event(livemode=livemode)).status_code == 400
    assert not StripeEvent.objects.exists()


def test_webhook_replay_or_duplicate_is_stored_and_applied_once(
    client, stripe_on, django_capture_on_commit_callbacks
):
    payload = event()
    with django_capture_on_commit_callbacks() as waiting:
        answers = [send(client, payload).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert StripeEvent.objects.count() == 1
    assert len(waiting) == 1


@pytest.mark.parametrize("missing", ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])
def test_nothing_gets_in_while_payments_are_off(client, stripe_on, settings, missing):
    setattr(settings, missing, "")
    payload = event()

    assert send(client, payload, signature(payload, secret="")).status_code == 404
    assert not StripeEvent.objects.exists()


def test_only_post_is_answered(client, stripe_on):
    assert client.get(URL).status_code == 405


def test_an_independent_signer_is_understood(client, stripe_on):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("There is no openssl to sign with.")
    payload, at = event(), int(time.time())
    made = subprocess.run(
        [openssl, "dgst", "-sha256", "-hmac", WEBHOOK_SECRET, "-hex"],
        input=f"{at}.".encode() + payload,
        capture_output=True,
        check=True,
    )
    digest = made.stdout.decode().rsplit(maxsplit=1)[-1]

    assert send(client, payload, f"t={at},v1={digest}").status_code == 200


# Size, before anything is read


def ask(headers, chunks=(), *, path=URL):
    """Return the status of a request and how many pieces of its body were read."""
    sent: list[Any] = []
    read: list[bytes] = []

    async def receive():
        read.append(chunks[len(read)])
        return {
            "type": "http.request",
            "body": read[-1],
            "more_body": len(read) < len(chunks),
        }

    async def send_message(message):
        sent.append(message)

    async def application(scope, receive, send):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(body_limit.limited(application, scope, receive, send_message))
    return sent[0]["status"], len(read)


def test_a_hundred_megabytes_are_refused_unread():
    assert ask([(b"content-length", b"104857600")], [b"x"]) == (413, 0)


def test_a_body_that_does_not_say_its_length_is_cut_where_it_is_too_long(settings):
    settings.STRIPE_WEBHOOK_BYTES = 1_000

    assert ask([], [b"x" * 400] * 100) == (413, 3)
    assert ask([], [b"x" * 400] * 2) == (200, 2)


def test_the_rest_of_the_site_takes_as_much_as_an_api_call(settings):
    length = [(b"content-length", str(settings.STRIPE_WEBHOOK_BYTES + 1).encode())]

    assert ask(length, [b"x"])[0] == 413
    assert ask(length, [b"x"], path="/dashboard/acme/billing/") == (200, 1)


# Live only with a secret


def settings_of(**values):
    given = {"STRIPE_SECRET_KEY": "", "STRIPE_WEBHOOK_SECRET": "", "EXERATI_STRIPE_API_BASE": ""}
    return Env(
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings takes it
        **{**given, **values},
    )


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_live_payments_do_not_start_without_a_secret_or_with_a_stand_in(key):
    with pytest.raises(ValidationError, match="STRIPE_WEBHOOK_SECRET must be set"):
        settings_of(STRIPE_SECRET_KEY=key)
    with pytest.raises(ValidationError, match="EXERATI_STRIPE_API_BASE must not be set"):
        settings_of(
            STRIPE_SECRET_KEY=key,
            STRIPE_WEBHOOK_SECRET="whsec_1",
            EXERATI_STRIPE_API_BASE="http://127.0.0.1:1",
        )

    assert settings_of(STRIPE_SECRET_KEY=key, STRIPE_WEBHOOK_SECRET="whsec_1")
    assert settings_of(STRIPE_SECRET_KEY="sk_test_1")


def test_a_deployment_without_a_secret_or_with_a_stand_in_fails_its_check(settings):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", ""
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"

    assert [found.id for found in checks.webhooks_have_a_secret(None)] == ["exerati.E002"]
    assert [found.id for found in checks.payments_go_to_stripe(None)] == ["exerati.E003"]

    settings.STRIPE_WEBHOOK_SECRET, settings.STRIPE_API_BASE = "whsec_1", ""
    assert checks.webhooks_have_a_secret(None) == checks.payments_go_to_stripe(None) == []


# What was stored is applied


def deliver(fake, id):
    """Hand an event of the stand-in to the receiver, signed, as its courier does."""
    [found] = [item for item in fake.objects("event") if item["id"] == id]
    payload = json.dumps(found, indent=2).encode()
    request = RequestFactory().post(
        URL,
        data=payload,
        content_type="application/json",
        headers={"stripe-signature": signature(payload)},
    )
    assert webhooks.receive(request).status_code == 200


def completed(fake):
    return [e["id"] for e in fake.objects("event") if e["type"] == "checkout.session.completed"][-1]


def test_worker_killed_between_store_and_apply_loses_nothing(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup)
    deliver(fake_stripe, completed(fake_stripe))  # and its task never runs
    topup.refresh_from_db()
    assert topup.state == "pending"

    for _ in range(2):
        apply_stripe_events()

    topup.refresh_from_db()
    assert topup.state == "credited"
    assert stripe_events.waiting() == []


def test_handler_slow_or_down_leaves_its_event_waiting(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup)
    asked = len(fake_stripe.tell("dump")["calls"])
    deliver(fake_stripe, completed(fake_stripe))
    assert len(fake_stripe.tell("dump")["calls"]) == asked  # the answer waits for nobody
    fake_stripe.fault("GET /v1/checkout/sessions/*", "status", status=500, times=20)

    apply_stripe_events()
    assert len(stripe_events.waiting()) == 1

    fake_stripe.tell("clear_faults")
    apply_stripe_events()
    assert topups.follow(topup.pk).state == "credited"
    assert stripe_events.waiting() == []


def test_lost_webhooks_are_found_by_the_poller(acme, fake_stripe, settings):
    topup = begin(acme)
    pay(fake_stripe, topup)

    poll_stripe()
    assert StripeEvent.objects.filter(kind="checkout.session.completed").count() == 1
    apply_stripe_events()

    topup.refresh_from_db()
    assert topup.state == "credited"
    known = StripeEvent.objects.count()
    poll_stripe()
    assert StripeEvent.objects.count() == known


def test_out_of_order_events_end_alike(acme, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup)
    for id in [e["id"] for e in fake_stripe.objects("event")][::-1]:
        deliver(fake_stripe, id)
        deliver(fake_stripe, id)
    apply_stripe_events()

    topup.refresh_from_db()
    assert topup.state == "credited"
    assert acme.credit_lots.count() == 1
