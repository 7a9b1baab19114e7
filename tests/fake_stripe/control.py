"""What tests tell the stand-in under `/_test/`: faults, the clock, deliveries, disputes, late payments, dump, reset."""

from typing import TYPE_CHECKING, Any

from tests.fake_stripe import checkout, payments, reversals, webhooks
from tests.fake_stripe.faults import Fault
from tests.fake_stripe.invoice_payments import pay
from tests.fake_stripe.state import StripeError

if TYPE_CHECKING:
    from tests.fake_stripe.app import App


async def command(app: "App", path: str, body: dict[str, Any]) -> Any:
    """Do what a test asks; an unknown command is an error of the test."""
    name = path.removeprefix("/_test/")
    if name == "deliver":
        return await _deliver(app, body)
    return _COMMANDS[name](app, body)


def _fault(app: "App", body: dict[str, Any]) -> Any:
    app.faults.waiting.append(Fault(**body))
    return {}


def _clear_faults(app: "App", body: dict[str, Any]) -> Any:
    app.faults.waiting.clear()
    return {}


def _clock(app: "App", body: dict[str, Any]) -> Any:
    """Move the clock; open invoices whose hour has come are tried."""
    app.store.clock_offset += body["seconds"]
    for invoice in app.store.all("invoice", status="open"):
        due = invoice["next_payment_attempt"]
        if due is not None and due <= app.store.now:
            try:
                pay(app.store, invoice, {})
            except StripeError:
                continue  # the failure is an event
    return {"now": app.store.now}


def _expire_keys(app: "App", body: dict[str, Any]) -> Any:
    app.keys.expire()
    return {}


def listen(app: "App", body: dict[str, Any]) -> Any:
    """Tell an address of every event, signed with a secret that the test has chosen."""
    made = webhooks.create_endpoint(app.store, {"url": body["url"], "enabled_events": ["*"]})
    app.store.secrets[made["id"]] = body["secret"]
    return {}


def _hold(app: "App", body: dict[str, Any]) -> Any:
    app.courier.held = True
    return {}


def _release(app: "App", body: dict[str, Any]) -> Any:
    app.courier.release()
    return {}


def _waiting(app: "App", body: dict[str, Any]) -> Any:
    """Return the events that wait; with `drop`, forget them."""
    waiting = list(app.courier.waiting)
    if body.get("drop"):
        app.courier.waiting.clear()
    return {"events": waiting}


async def _deliver(app: "App", body: dict[str, Any]) -> Any:
    """Deliver these events in this order, whatever was delivered before."""
    made = []
    for id in body["events"]:
        made += await app.courier.deliver(
            id,
            timestamp_offset=body.get("timestamp_offset", 0),
            secrets=body.get("secrets"),
        )
    return {"statuses": [delivery.status for delivery in made]}


def _deliveries(app: "App", body: dict[str, Any]) -> Any:
    return {"deliveries": [vars(delivery) for delivery in app.courier.deliveries]}


def _dispute(app: "App", body: dict[str, Any]) -> Any:
    charge = app.store.get("charge", body["charge"])
    return reversals.open_dispute(app.store, charge)


def _end_dispute(app: "App", body: dict[str, Any]) -> Any:
    dispute = app.store.get("dispute", body["dispute"])
    return reversals.end_dispute(app.store, dispute, won=body["won"])


def _end_bank(app: "App", body: dict[str, Any]) -> Any:
    """Let a bank payment arrive or fail, and tell its session."""
    intent = app.store.get("payment_intent", body["payment_intent"])
    payments.end_bank(app.store, intent)
    for session in app.store.all("checkout.session", payment_intent=intent["id"]):
        checkout.end_bank_payment(app.store, session, paid=intent["status"] == "succeeded")
    return intent


def _pay_session(app: "App", body: dict[str, Any]) -> Any:
    """Pay a Checkout session with a test card, as its page does."""
    session = app.store.get("checkout.session", body["session"])
    return checkout.complete(
        app.store, session, body["card"], authenticated=body.get("authenticated", True)
    )


def _edit(app: "App", body: dict[str, Any]) -> Any:
    """Change an object behind everybody's back, as somebody does in Stripe's own dashboard."""
    found = app.store.get(body["kind"], body["id"])
    found.update(body["values"])
    return found


def _dump(app: "App", body: dict[str, Any]) -> Any:
    return {
        "objects": app.store.objects,
        "calls": app.calls,
        "drift": app.drift,
        "now": app.store.now,
    }


def _reset(app: "App", body: dict[str, Any]) -> Any:
    app.store.objects.clear()
    app.store.cards.clear()
    app.store.secrets.clear()
    app.store.clock_offset = 0.0
    app.keys.expire()
    app.faults.waiting.clear()
    app.courier.held = False
    app.courier.waiting.clear()
    app.courier.deliveries.clear()
    app.calls.clear()
    app.drift.clear()
    return {}


_COMMANDS = {
    "fault": _fault,
    "clear_faults": _clear_faults,
    "clock": _clock,
    "expire_keys": _expire_keys,
    "listen": listen,
    "hold": _hold,
    "release": _release,
    "waiting": _waiting,
    "deliveries": _deliveries,
    "dispute": _dispute,
    "end_dispute": _end_dispute,
    "end_bank": _end_bank,
    "pay_session": _pay_session,
    "edit": _edit,
    "dump": _dump,
    "reset": _reset,
}
