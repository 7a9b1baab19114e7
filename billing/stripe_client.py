"""
The only door to Stripe. Amounts are cents here; every write carries an idempotency key made from our own ids.

Objects of Stripe do not leave this module: callers get the frozen values below. Facts about the SDK (16.1, API
2026-10-28.endive): `StripeClient` retries nothing unless told so; a replayed answer is the answer of then, so what
matters is always retrieved again; an error without an answer says nothing of whether the work was done.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import stripe
from django.conf import settings
from stripe import StripeClient

TIMEOUT_SECONDS = 20
RETRIES = 2
LIVE_KEYS = ("sk_live_", "rk_live_")
CLOCK_SECONDS = 300  # how far a webhook's time may be from ours, both ways


class PaymentsOff(Exception):
    """No Stripe key is set, so nothing can be paid."""


class StripeAway(Exception):
    """
    Stripe did not answer, or asked us to wait; the same call with the same key is safe later.

    `is_replayed` says that Stripe has kept this failure under the key: only another key gets further.
    """

    def __init__(self, *, is_replayed: bool = False) -> None:
        super().__init__()
        self.is_replayed = is_replayed


class Refused(Exception):
    """Stripe says that the request makes no sense, by its code and in its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Declined(Exception):
    """The card was declined, or its bank wants to see its holder; the payment intent of the try, if there is one."""

    def __init__(self, code: str, message: str, *, payment_intent_id: str) -> None:
        super().__init__(code, message)
        self.code, self.message, self.payment_intent_id = code, message, payment_intent_id


class NotAtStripe(Exception):
    """Stripe does not know the object, or has deleted it."""


class BadSignature(Exception):
    """A webhook that is not Stripe's, or too old, or of another mode than our key."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """
    A Checkout session as it is now. `paid` is Stripe's word that the money is there, `has_failed` that it will not
    come any more; `failure` is why the last try failed. `url` is where the customer pays.
    """

    id: str
    reference: str
    customer_id: str
    status: str
    paid: bool
    has_failed: bool
    failure: str
    currency: str
    net_cents: int
    tax_cents: int
    url: str
    payment_intent_id: str
    receipt_url: str


@dataclass(frozen=True, slots=True)
class Event:
    """What Stripe tells: only a hint, since events come twice, late and in any order."""

    id: str
    kind: str
    object_id: str
    api_version: str
    happened_at: datetime


def is_on() -> bool:
    """Return whether a Stripe key is set."""
    return bool(settings.STRIPE_SECRET_KEY)


def is_test() -> bool:
    """Return whether the key is one of Stripe's test mode, so that no money moves."""
    return is_on() and not settings.STRIPE_SECRET_KEY.startswith(LIVE_KEYS)


def client() -> StripeClient:
    """Return Stripe's client of our key. Raises PaymentsOff."""
    if not is_on():
        raise PaymentsOff
    return _client_of(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@cache
def _client_of(key: str, base: str) -> StripeClient:
    # `requests` keeps connections by thread; a session of its own would be shared between them.
    http = stripe.RequestsClient(timeout=TIMEOUT_SECONDS)
    addresses: Any = {"api": base} if base else {}
    return StripeClient(
        key, max_network_retries=RETRIES, http_client=http, base_addresses=addresses
    )


class translated:
    """Turn Stripe's exceptions into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        match error:
            case stripe.CardError():
                intent = _error_of(error).get("payment_intent") or {}
                raise Declined(
                    error.code or "card_declined",
                    error.user_message or "The card was declined.",
                    payment_intent_id=str(intent.get("id") or ""),
                ) from error
            case stripe.InvalidRequestError() if error.code == "resource_missing":
                raise NotAtStripe from error
            case stripe.InvalidRequestError() | stripe.IdempotencyError():
                raise Refused(error.code or "", error.user_message or "") from error
            case stripe.StripeError():  # no answer, 429, 5xx, or a key that Stripe does not take
                replayed = (error.headers or {}).get("idempotent-replayed") == "true"
                raise StripeAway(is_replayed=replayed) from error


def _error_of(error: stripe.StripeError) -> Mapping[str, Any]:
    body: Any = error.json_body or {}
    found: Mapping[str, Any] = body.get("error") or {}
    return found


def make_customer(*, organization_id: str, name: str, email: str, idempotency_key: str) -> str:
    """Make a customer and return its id. Raises StripeAway."""
    with translated():
        made = client().v1.customers.create(
            {"name": name, "email": email, "metadata": {"organization": organization_id}},
            {"idempotency_key": idempotency_key},
        )
    return made.id


def find_customer(*, organization_id: str, email: str) -> str | None:
    """
    Return the customer that was made for an organization, if there is one. Raises StripeAway.

    By list and metadata: Stripe's search lags behind by up to an hour.
    """
    with translated():
        listed = client().v1.customers.list({"email": email, "limit": 100})
        for customer in listed.auto_paging_iter():
            metadata = customer.to_dict().get("metadata") or {}
            if metadata.get("organization") == organization_id:
                return customer.id
    return None


def has_customer(customer_id: str) -> bool:
    """Return whether Stripe knows the customer and has not deleted it. Raises StripeAway."""
    try:
        with translated():
            found = client().v1.customers.retrieve(customer_id)
    except NotAtStripe:
        return False
    return not getattr(found, "deleted", False)


def make_checkout(
    *,
    reference: str,
    customer_id: str,
    net_cents: int,
    description: str,
    success_url: str,
    cancel_url: str,
    keep_card: bool,
    receipt_email: str,
    idempotency_key: str,
) -> Checkout:
    """
    Make the page on which a customer pays for credit; `keep_card` lets us charge the card again by ourselves.
    Stripe mails the receipt where `receipt_email` says.

    Raises StripeAway and NotAtStripe (the customer).
    """
    metadata = {"topup": reference}
    params: Any = {
        "mode": "payment",
        "client_reference_id": reference,
        "customer": customer_id,
        "success_url": success_url,
        "cancel_url": cancel_url,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": description},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": net_cents,
                    "product_data": {"name": description},
                },
            }
        ],
    }
    if receipt_email:
        params["payment_intent_data"]["receipt_email"] = receipt_email
    if keep_card:
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    if settings.STRIPE_TAX:
        params["automatic_tax"] = {"enabled": True}
        params["customer_update"] = {"address": "auto"}
    with translated():
        made = client().v1.checkout.sessions.create(params, {"idempotency_key": idempotency_key})
    return checkout(made.id)


def checkout(session_id: str) -> Checkout:
    """Return a Checkout session as it is now. Raises StripeAway and NotAtStripe."""
    with translated():
        found = client().v1.checkout.sessions.retrieve(
            session_id, {"expand": ["payment_intent.latest_charge"]}
        )
    values = found.to_dict()
    intent = values.get("payment_intent") or {}
    charge = intent.get("latest_charge") or {}
    details = values.get("total_details") or {}
    is_over = values.get("status") == "complete" and values["payment_status"] != "paid"
    return Checkout(
        id=values["id"],
        reference=values.get("client_reference_id") or "",
        customer_id=values.get("customer") or "",
        status=values.get("status") or "",
        paid=values["payment_status"] == "paid",
        has_failed=is_over and intent.get("status") in ("requires_payment_method", "canceled"),
        failure=(intent.get("last_payment_error") or {}).get("message") or "",
        currency=values.get("currency") or "",
        net_cents=values.get("amount_subtotal") or 0,
        tax_cents=details.get("amount_tax") or 0,
        url=values.get("url") or "",
        payment_intent_id=intent.get("id") or "",
        receipt_url=charge.get("receipt_url") or "",
    )


def event(payload: bytes, *, signature: str) -> Event:
    """
    Return the event of a webhook. Raises BadSignature.

    The SDK refuses what is older than 300 s, but not what comes from the future; the mode must be our key's.
    """
    try:
        found = client().construct_event(
            payload, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=CLOCK_SECONDS
        )
    except (stripe.SignatureVerificationError, ValueError) as error:
        raise BadSignature from error
    signed_at = dict(part.partition("=")[::2] for part in signature.split(",")).get("t", "0")
    if int(signed_at) > time.time() + CLOCK_SECONDS:
        raise BadSignature
    values = found.to_dict()
    if values["livemode"] != settings.STRIPE_SECRET_KEY.startswith(LIVE_KEYS):
        raise BadSignature
    return _event(values)


def events_since(moment: datetime) -> Iterator[Event]:
    """Yield the events made at or after a moment, newest first. Raises StripeAway."""
    with translated():
        listed = client().v1.events.list(
            {"created": {"gte": int(moment.timestamp())}, "limit": 100}
        )
        for found in listed.auto_paging_iter():
            yield _event(found.to_dict())


def _event(values: Mapping[str, Any]) -> Event:
    return Event(
        id=values["id"],
        kind=values["type"],
        object_id=str(values["data"]["object"].get("id") or ""),
        api_version=values.get("api_version") or "",
        happened_at=datetime.fromtimestamp(values["created"], UTC),
    )
