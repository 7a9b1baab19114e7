"""The stand-in for Stripe, by Stripe's own client: it keeps to the contract, and to Stripe's ways."""

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
import stripe.params
import stripe.params.billing_portal
import stripe.params.checkout
from stripe import StripeClient

from tests.fake_stripe import contract, forms, operations
from tests.fake_stripe.app import App
from tests.fake_stripe.server import FakeStripe, running
from tests.upstream import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[FakeStripe]:
    with running() as started:
        yield started


@pytest.fixture
def fake(server: FakeStripe) -> FakeStripe:
    server.tell("reset")
    return server


@pytest.fixture
def client(fake: FakeStripe) -> StripeClient:
    return fake.client()


def customer(client: StripeClient, card: str = "pm_card_visa") -> str:
    made = client.v1.customers.create({"email": "payer@acme.test"})
    method = client.v1.payment_methods.attach(card, {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})
    return made.id


def open_invoice(client: StripeClient, payer: str, *amounts: int) -> str:
    invoice = client.v1.invoices.create({"customer": payer, "auto_advance": False})
    lines: Any = [{"amount": cents, "description": f"{cents} cents"} for cents in amounts]
    client.v1.invoices.add_lines(invoice.id, {"lines": lines})
    client.v1.invoices.finalize_invoice(invoice.id)
    return invoice.id


def pay_intent(client: StripeClient, card: str) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "payment_method": card, "confirm": True}
    )


# The contract


def test_misspelt_parameters_are_refused_at_any_depth(client):
    with pytest.raises(stripe.InvalidRequestError) as top:
        client.v1.customers.create({"emial": "a@b.test"})
    with pytest.raises(stripe.InvalidRequestError) as nested:
        client.v1.customers.create({"address": {"contry": "DE"}})

    assert (top.value.code, top.value.param) == ("parameter_unknown", "emial")
    assert (nested.value.code, nested.value.param) == ("parameter_unknown", "address[contry]")


def test_an_amount_that_is_no_integer_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError, match="Invalid integer"):
        client.v1.payment_intents.create({"amount": 10.5, "currency": "usd"})


def test_what_the_stand_in_has_not_is_501(client):
    with pytest.raises(stripe.APIError) as caught:
        client.v1.subscriptions.list()

    assert caught.value.http_status == 501


def test_every_operation_is_one_of_stripes():
    for route in operations.routes():
        contract.operation(route.method, route.path)

    assert len(operations.routes()) >= 60


def test_an_answer_that_strays_from_the_document_is_noticed():
    schema = contract.operation("GET", "/v1/customers/{customer}").response
    good = {**contract.blank("customer"), "id": "cus_1", "created": 1}
    contract.check(schema, good, what="a customer")

    with pytest.raises(contract.Drift):
        contract.check(schema, {**good, "balance": "12"}, what="a text for a number")
    with pytest.raises(contract.Drift):
        contract.check(schema, {**good, "nickname": "x"}, what="a field Stripe does not have")


SDK_PARAMS = {
    ("POST", "/v1/customers"): stripe.params.CustomerCreateParams,
    ("POST", "/v1/invoices"): stripe.params.InvoiceCreateParams,
    ("POST", "/v1/invoices/{invoice}/add_lines"): stripe.params.InvoiceAddLinesParams,
    ("POST", "/v1/invoiceitems"): stripe.params.InvoiceItemCreateParams,
    ("POST", "/v1/payment_intents"): stripe.params.PaymentIntentCreateParams,
    ("POST", "/v1/setup_intents"): stripe.params.SetupIntentCreateParams,
    ("POST", "/v1/refunds"): stripe.params.RefundCreateParams,
    ("POST", "/v1/credit_notes"): stripe.params.CreditNoteCreateParams,
    ("POST", "/v1/checkout/sessions"): stripe.params.checkout.SessionCreateParams,
    ("POST", "/v1/billing_portal/sessions"): stripe.params.billing_portal.SessionCreateParams,
    ("POST", "/v1/webhook_endpoints"): stripe.params.WebhookEndpointCreateParams,
    ("POST", "/v1/products"): stripe.params.ProductCreateParams,
    ("POST", "/v1/prices"): stripe.params.PriceCreateParams,
}
OF_THE_CLIENT = set(stripe.RequestOptions.__annotations__) | {
    "api_key",
    "content_type",
    "headers",
    "idempotency_key",
    "max_network_retries",
    "stripe_account",
    "stripe_context",
    "stripe_version",
}


@pytest.mark.parametrize("operation", SDK_PARAMS, ids=lambda each: each[1])
def test_the_overlay_is_all_that_the_client_has_beyond_the_document(operation):
    params = SDK_PARAMS[operation]
    named = {
        name for each in params.__mro__ for name in getattr(each, "__annotations__", {})
    } - OF_THE_CLIENT

    assert named == set(contract.operation(*operation).request["properties"])


def test_a_stand_in_of_a_site_that_is_started_again_repeats_no_id(monkeypatch):
    monkeypatch.setenv("FAKE_STRIPE_WEBHOOK_SECRET", "whsec_x")
    begun = int(time.time())

    with running("--webhook", "http://127.0.0.1:9/stripe/webhook") as started:
        made = started.client().v1.customers.create({})

    # The site keeps the customers of the stand-in before, whose ids must not come again.
    assert int(made.id.removeprefix("cus_")) > begun


def test_forms_nest():
    text = urlencode({"a[b][0][c]": "1", "a[b][1][c]": "2", "d": "x y", "e[]": "z"})

    assert forms.decode(text) == {
        "a": {"b": {"0": {"c": "1"}, "1": {"c": "2"}}},
        "d": "x y",
        "e": {"0": "z"},
    }


# Cards


def test_a_good_card_pays(client):
    intent = pay_intent(client, "pm_card_visa")

    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (intent.status, charge.paid, charge.amount) == ("succeeded", True, 1000)
    line = client.v1.balance_transactions.retrieve(str(charge.balance_transaction))
    assert line.net == 1000 - line.fee


@pytest.mark.parametrize(
    ("card", "code", "reason"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ],
)
def test_a_bad_card_says_why_and_names_its_intent(client, card, code, reason):
    with pytest.raises(stripe.CardError) as caught:
        pay_intent(client, card)

    error: Any = caught.value.error
    assert (caught.value.code, error.decline_code) == (code, reason)
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id)
    assert intent.status == "requires_payment_method"


def test_a_card_may_be_saved_and_decline_later(client):
    payer = customer(client, "pm_card_chargeCustomerFail")

    invoice = open_invoice(client, payer, 700)
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice)

    assert client.v1.invoices.retrieve(invoice).attempt_count == 1


def test_off_session_a_card_that_asks_is_an_error_and_on_session_a_page(client):
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(
            {
                "amount": 1000,
                "currency": "usd",
                "payment_method": "pm_card_authenticationRequired",
                "confirm": True,
                "off_session": True,
            }
        )
    asked = pay_intent(client, "pm_card_authenticationRequired")

    assert caught.value.code == "authentication_required"
    assert asked.status == "requires_action"
    assert asked.next_action is not None


def test_a_bank_pays_days_later(fake, client):
    intent = pay_intent(client, "pm_usBankAccount_success")
    assert intent.status == "processing"

    fake.tell("end_bank", payment_intent=intent.id)

    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


# Checkout


def checkout(client: StripeClient, **more: Any) -> stripe.checkout.Session:
    params: Any = {
        "mode": "payment",
        "client_reference_id": "topup-1",
        "success_url": "http://site.test/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://site.test/back",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 2500,
                    "product_data": {"name": "Credit"},
                },
            }
        ],
        **more,
    }
    return client.v1.checkout.sessions.create(params)


def post(url: str, **form: str) -> tuple[int, str, str]:
    """Return status, address it leads to, and text of a hosted page."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", f"/{path}", body=urlencode(form))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("location", ""), text


def test_the_page_takes_the_money_and_sends_the_payer_back(client):
    payer = client.v1.customers.create({"email": "a@b.test"})
    data: Any = {"setup_future_usage": "off_session", "metadata": {"topup": "1"}}
    session = checkout(client, customer=payer.id, payment_intent_data=data)
    assert (session.amount_total, session.payment_status) == (2500, "unpaid")

    status, location, _ = post(str(session.url), number="4242 4242 4242 4242")

    assert (status, location) == (303, f"http://site.test/done?session={session.id}")
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.payment_intent.metadata.to_dict() == {"topup": "1"}
    assert len(client.v1.customers.payment_methods.list(payer.id).data) == 1


def test_the_page_tells_of_a_decline_and_stays_open(client):
    session = checkout(client)

    status, _, text = post(str(session.url), number="4000 0000 0000 0002")

    assert (status, "Your card was declined." in text) == (402, True)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_the_bank_asks_on_a_page_of_its_own(client):
    session = checkout(client)
    _, location, _ = post(str(session.url), number="4000002760003184")

    status, location, _ = post(location, answer="yes")

    assert (status, "done" in location) == (303, True)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_session_ends_after_a_day(fake, client):
    session = checkout(client)

    fake.tell("clock", seconds=24 * 3600 + 1)

    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert fake.events()[-1] == "checkout.session.expired"


def test_tax_comes_on_top_by_the_payers_country(client):
    payer = client.v1.customers.create({"email": "a@b.test", "address": {"country": "DE"}})

    session = checkout(client, customer=payer.id, automatic_tax={"enabled": True})

    assert session.total_details is not None
    assert (session.amount_total, session.total_details.amount_tax) == (2975, 475)


# Invoices


def test_an_invoice_goes_from_draft_to_paid(client):
    payer = customer(client)
    invoice = open_invoice(client, payer, 500, 701)

    opened = client.v1.invoices.retrieve(invoice)
    paid = client.v1.invoices.pay(invoice)

    assert (opened.status, opened.total, opened.number is not None) == ("open", 1201, True)
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 1201, 0)
    payments = client.v1.invoices.retrieve(invoice, {"expand": ["payments"]}).payments
    assert payments is not None
    assert [payment.status for payment in payments.data] == ["paid"]


def test_a_final_invoice_takes_no_lines(client):
    invoice = open_invoice(client, customer(client), 500)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.invoices.add_lines(invoice, {"lines": [{"amount": 1}]})

    assert caught.value.code == "invoice_not_editable"


def test_an_invoice_has_250_lines_at_the_most(client):
    invoice = client.v1.invoices.create({"customer": customer(client)})
    lines: Any = [{"amount": 1, "description": "x"}] * 250
    client.v1.invoices.add_lines(invoice.id, {"lines": lines})

    with pytest.raises(stripe.InvalidRequestError, match="at most 250"):
        client.v1.invoices.add_lines(invoice.id, {"lines": lines[:1]})


def test_below_the_minimum_it_is_paid_and_owed_by_the_balance(client):
    payer = customer(client)

    invoice = client.v1.invoices.retrieve(open_invoice(client, payer, 49))

    assert (invoice.status, invoice.amount_due) == ("paid", 0)
    assert client.v1.customers.retrieve(payer).balance == 49


def test_credit_of_the_customer_is_used_at_the_end(client):
    payer = customer(client)
    client.v1.customers.balance_transactions.create(payer, {"amount": -300, "currency": "usd"})

    invoice = client.v1.invoices.retrieve(open_invoice(client, payer, 1000))

    assert (invoice.amount_due, client.v1.customers.retrieve(payer).balance) == (700, 0)


def test_void_and_uncollectible_are_ends(client):
    payer = customer(client)
    first, second = (open_invoice(client, payer, 500) for _ in range(2))

    assert client.v1.invoices.void_invoice(first).status == "void"
    assert client.v1.invoices.mark_uncollectible(second).status == "uncollectible"
    assert client.v1.invoices.pay(second).status == "paid"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(first)


def test_a_deleted_customer_says_only_that(client):
    payer = customer(client)

    client.v1.customers.delete(payer)

    assert client.v1.customers.retrieve(payer).deleted
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.invoices.create({"customer": payer})
    assert caught.value.code == "resource_missing"


def test_a_credit_note_is_never_more_than_its_invoice(client):
    invoice = open_invoice(client, customer(client), 1000)
    client.v1.credit_notes.create({"invoice": invoice, "amount": 400})

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.credit_notes.create({"invoice": invoice, "amount": 601})

    assert client.v1.invoices.retrieve(invoice).amount_remaining == 600


# Money back


def test_refunds_add_up_to_the_charge_at_the_most(client):
    intent = pay_intent(client, "pm_card_visa")
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 400})
    client.v1.refunds.create({"payment_intent": intent.id})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})

    assert caught.value.code == "charge_already_refunded"
    assert client.v1.charges.retrieve(str(intent.latest_charge)).amount_refunded == 1000


@pytest.mark.parametrize(("won", "left"), [(True, -1500), (False, -2500)])
def test_a_dispute_takes_the_money_and_may_give_it_back(fake, client, won, left):
    intent = pay_intent(client, "pm_card_createDispute")
    [dispute] = client.v1.disputes.list({"payment_intent": intent.id}).data

    ended = fake.tell("end_dispute", dispute=dispute.id, won=won)

    assert ended["status"] == ("won" if won else "lost")
    moved = client.v1.balance_transactions.list({"source": dispute.id}).data
    assert sum(line.net for line in moved) == left
    reinstated = "charge.dispute.funds_reinstated" in fake.events()
    assert reinstated is won


# Idempotency and faults


def test_a_key_answers_the_same_and_does_it_once(fake, client):
    first = client.v1.customers.create({"email": "a@b.test"}, {"idempotency_key": "k"})
    again = client.v1.customers.create({"email": "a@b.test"}, {"idempotency_key": "k"})

    assert first.id == again.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"email": "other@b.test"}, {"idempotency_key": "k"})
    fake.tell("expire_keys")
    late = client.v1.customers.create({"email": "a@b.test"}, {"idempotency_key": "k"})
    assert late.id != first.id


def test_a_replay_is_the_answer_of_then_and_not_of_now(client):
    payer = customer(client)
    options: Any = {"idempotency_key": "draft"}
    invoice = client.v1.invoices.create({"customer": payer}, options)
    client.v1.invoices.add_lines(invoice.id, {"lines": [{"amount": 500}]})
    client.v1.invoices.finalize_invoice(invoice.id)

    assert client.v1.invoices.create({"customer": payer}, options).status == "draft"


def test_a_refusal_before_the_work_is_not_kept(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"emial": "x"}, {"idempotency_key": "k"})

    assert client.v1.customers.create({"email": "x"}, {"idempotency_key": "k"}).id


def test_a_cut_after_the_work_has_done_the_work(fake, client):
    fake.fault("POST /v1/customers", "cut_after")

    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create({"email": "a@b.test"}, {"idempotency_key": "k"})

    assert len(fake.objects("customer")) == 1
    again = client.v1.customers.create({"email": "a@b.test"}, {"idempotency_key": "k"})
    assert again.id == fake.objects("customer")[0]["id"]


def test_a_cut_before_the_work_has_done_nothing(fake, client):
    fake.fault("POST /v1/customers", "cut_before")

    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create({"email": "a@b.test"})

    assert fake.objects("customer") == []


def test_a_stored_failure_comes_again_under_its_key_until_it_expires(fake, client):
    options: Any = {"idempotency_key": "k"}
    fake.fault("POST /v1/customers", "status", status=429, code="lock_timeout", stored=True)

    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.customers.create({"email": "a@b.test"}, options)
    fake.tell("expire_keys")

    assert client.v1.customers.create({"email": "a@b.test"}, options).id


# Webhooks


class Receiver:
    """An endpoint that keeps what it gets and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((body, self.headers["stripe-signature"]))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def endpoint(client: StripeClient, receiver: Receiver) -> str:
    made = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    return str(made.secret)


def test_events_are_signed_as_the_client_wants_them(client, receiver):
    secret = endpoint(client, receiver)

    client.v1.customers.create({"email": "a@b.test"})

    wait_until(lambda: receiver.got)
    body, header = receiver.got[0]
    event = client.construct_event(body, header, secret)
    assert event.type == "customer.created"
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body + b" ", header, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body, header, "whsec_wrong")


def test_what_was_not_taken_is_sent_again(client, receiver):
    endpoint(client, receiver)
    receiver.statuses = [500, 503]

    client.v1.customers.create({"email": "a@b.test"})

    wait_until(lambda: len(receiver.got) == 3)
    assert len({body for body, _ in receiver.got}) == 1


def test_events_can_be_held_repeated_reordered_and_dropped(fake, client, receiver):
    secret = endpoint(client, receiver)
    fake.tell("hold")
    for name in ("a", "b", "c"):
        client.v1.customers.create({"email": f"{name}@b.test"})
    first, second, third = fake.tell("waiting", drop=True)["events"]

    fake.tell("deliver", events=[third, first, first])

    got = [client.construct_event(body, header, secret).id for body, header in receiver.got]
    assert got == [third, first, first]
    assert second not in got


def test_an_old_timestamp_and_two_signatures_can_be_asked_for(fake, client, receiver):
    secret = endpoint(client, receiver)
    fake.tell("hold")
    client.v1.customers.create({"email": "a@b.test"})
    events = fake.tell("waiting")["events"]

    fake.tell("deliver", events=events, timestamp_offset=-301)
    fake.tell("deliver", events=events, secrets=["whsec_old", secret])

    (old, old_header), (rotated, rotated_header) = receiver.got
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(old, old_header, secret)
    assert client.construct_event(rotated, rotated_header, secret).id == events[0]


def test_the_stand_in_is_for_the_loopback_and_test_keys_only(fake):
    live = StripeClient("sk_live_1", base_addresses={"api": fake.url})

    with pytest.raises(stripe.AuthenticationError):
        live.v1.customers.list()
    assert fake.url.startswith("http://127.0.0.1:")
    assert App().store.base_url == ""
