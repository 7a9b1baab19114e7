"""The hosted pages that a browser can click: Checkout, the bank's question, the portal, an invoice, a receipt."""

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from tests.fake_stripe import checkout, customers, invoice_payments, payments
from tests.fake_stripe.cards import BY_NUMBER
from tests.fake_stripe.state import Object, Store, StripeError, invalid

if TYPE_CHECKING:
    from tests.fake_stripe.app import Reply

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f6f4;color:#17191c}
main{max-width:26rem;margin:min(4rem,8vw) auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:10px}
label{display:block;margin:1rem 0 .25rem}input,select{width:100%;padding:.5rem;font:inherit;box-sizing:border-box}
button{margin-top:1rem;padding:.6rem 1rem;font:inherit;font-weight:600;width:100%;border:0;
border-radius:6px;background:#0b6b53;color:#fff;cursor:pointer}
input,select{border:1px solid #868c96;border-radius:6px}h1{margin:.25rem 0 1rem;font-size:1.5rem}a{color:#0b6b53}
.note{color:#5a606b;font-size:.875rem}.error{color:#b42318}table{width:100%}td:last-child{text-align:right}
"""
CARD_FIELDS = """
<label for="number">Card number</label>
<input id="number" name="number" value="4242 4242 4242 4242" autocomplete="off" required>
<p class="note">4242 4242 4242 4242 pays; 4000 0000 0000 0002 declines; 4000 0027 6000 3184 asks you to confirm;
000123456789 is a bank account, which takes days.</p>
"""


def answer(store: Store, method: str, path: str, form: dict[str, str]) -> "Reply":
    """Return a page, or go where the customer is sent."""
    kind, _, rest = path.strip("/").partition("/")
    page = _PAGES.get(kind)
    if page is None:
        return _page("Nothing here", "<p>There is no such page.</p>", status=404)
    try:
        return page(store, rest, form if method == "POST" else None)
    except StripeError as error:
        return _page(
            "Not possible", f'<p class="error">{escape(str(error))}</p>', status=error.status
        )


def _pay(store: Store, id: str, form: dict[str, str] | None) -> "Reply":
    session = checkout.retrieve_session(store, {}, id)
    if session["status"] != "open":
        return _page("Closed", f"<p>This page is {escape(session['status'])}.</p>", status=410)
    if form is None:
        return _session_page(session)
    try:
        done = checkout.complete(store, session, token_of(form.get("number", "")))
    except StripeError as error:
        return _session_page(session, error=str(error))
    if done["object"] == "payment_intent":
        return _redirect(f"{done['next_action']['redirect_to_url']['url']}?session={id}")
    return _redirect(_success_url(session))


def _session_page(session: Object, *, error: str = "") -> "Reply":
    if session["mode"] == "setup":
        title, button = "Save a card", "Save"
    else:
        title, button = f"Pay {dollars(session['amount_total'])}", "Pay"
    lines = ""
    if session["mode"] == "payment":
        tax = (session["total_details"] or {}).get("amount_tax", 0)
        rows = (
            ("Amount", session["amount_subtotal"]),
            ("Tax", tax),
            ("Total", session["amount_total"]),
        )
        cells = "".join(
            f"<tr><td>{name}</td><td>{dollars(cents)}</td></tr>" for name, cents in rows
        )
        lines = f"<table>{cells}</table>"
    shown = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    back = (
        f'<p><a href="{escape(session["cancel_url"])}">Cancel</a></p>'
        if session["cancel_url"]
        else ""
    )
    body = f'{lines}{shown}<form method="post">{CARD_FIELDS}<button>{button}</button></form>{back}'
    return _page(title, body, status=402 if error else 200)


def _authenticate(store: Store, id: str, form: dict[str, str] | None) -> "Reply":
    intent = store.get("payment_intent", id)
    session = next(iter(store.all("checkout.session", payment_intent=id)), None)
    if form is None:
        body = (
            '<p>Your bank asks whether this is you.</p><form method="post">'
            '<button name="answer" value="yes">Confirm</button> <button name="answer" value="no">Refuse</button></form>'
        )
        return _page("Confirm the payment", body)
    if form.get("answer") != "yes":
        intent["status"], intent["next_action"] = "requires_payment_method", None
        store.emit("payment_intent.payment_failed", intent)
        return (
            _redirect(session["cancel_url"] or "/")
            if session
            else _page("Refused", "<p>Refused.</p>")
        )
    payments.confirm(store, intent, authenticated=True)
    if session is None:
        return _page("Paid", "<p>The payment is confirmed.</p>")
    session["payment_status"] = "paid"
    checkout._completed(store, session)
    return _redirect(_success_url(session))


def _portal(store: Store, id: str, form: dict[str, str] | None) -> "Reply":
    session = store.get("billing_portal.session", id)
    customer = store.get("customer", session["customer"])
    error = ""
    if form is not None:
        try:
            _portal_action(store, customer, form)
        except StripeError as refused:
            error = f'<p class="error" role="alert">{escape(str(refused))}</p>'
    default = customer["invoice_settings"]["default_payment_method"]
    rows = "".join(
        _method_row(method, is_default=method["id"] == default)
        for method in store.all("payment_method", customer=customer["id"])
    )
    country = (customer["address"] or {}).get("country") or ""
    back = session["return_url"] or "/"
    body = (
        f"{error}<table>{rows}</table>"
        f'<form method="post">{CARD_FIELDS}<button name="do" value="add">Add card</button></form>'
        f'<form method="post"><label for="country">Country</label>'
        f'<input id="country" name="country" value="{escape(country)}">'
        f'<button name="do" value="address">Save address</button></form>'
        f'<p><a href="{escape(back)}">Return</a></p>'
    )
    return _page("Payment methods", body)


def _method_row(method: Object, *, is_default: bool) -> str:
    last4 = method["card"]["last4"] if "card" in method else "bank account"
    form = (
        f'<form method="post"><input type="hidden" name="method" value="{method["id"]}">'
        '<button name="do" value="default">Use</button><button name="do" value="remove">Remove</button></form>'
    )
    return f"<tr><td>{last4} {'(default)' if is_default else ''}</td><td>{form}</td></tr>"


def _portal_action(store: Store, customer: Object, form: dict[str, str]) -> None:
    match form.get("do"):
        case "add":
            method = customers.attach(store, token_of(form["number"]), customer["id"])
            _use(store, customer, method["id"])
        case "default":
            _use(store, customer, form["method"])
        case "remove":
            customers.detach_payment_method(store, {}, form["method"])
        case "address":
            address = {"address": {"country": form["country"].strip().upper()}}
            customers.update_customer(store, address, customer["id"])


def _use(store: Store, customer: Object, method: str) -> None:
    change: dict[str, Any] = {"invoice_settings": {"default_payment_method": method}}
    customers.update_customer(store, change, customer["id"])


def _invoice(store: Store, rest: str, form: dict[str, str] | None) -> "Reply":
    id, _, kind = rest.partition("/")
    invoice = store.get("invoice", id)
    if kind == "pdf":
        return _plain(f"Invoice {invoice['number']}: {dollars(invoice['total'])}\n")
    error = ""
    if form is not None and invoice["status"] in {"open", "uncollectible"}:
        try:
            _pay_invoice(store, invoice, token_of(form.get("number", "")))
        except StripeError as refused:
            error = f'<p class="error" role="alert">{escape(str(refused))}</p>'
    lines = "".join(
        f"<tr><td>{escape(line['description'] or '')}</td><td>{dollars(line['amount'])}</td></tr>"
        for line in store.all("line_item", invoice=id)[::-1]
    )
    button = f'<form method="post">{CARD_FIELDS}<button>Pay</button></form>'
    body = (
        f"<p>Status: {invoice['status']}</p><table>{lines}</table>"
        f"<p>Total {dollars(invoice['total'])}</p>{error}"
        f"{button if invoice['status'] in {'open', 'uncollectible'} else ''}"
    )
    return _page(f"Invoice {invoice['number']}", body)


def _pay_invoice(store: Store, invoice: Object, token: str) -> None:
    method = customers.payment_method(store, token)
    intent = invoice_payments.intent_of(store, invoice)
    try:
        payments.set_method(store, intent, method["id"])
        payments.confirm(store, intent, authenticated=True)
    except StripeError:
        invoice_payments.failed(store, invoice)
        raise
    invoice_payments.settle(store, invoice, intent)


def _receipt(store: Store, id: str, form: dict[str, str] | None) -> "Reply":
    charge = store.get("charge", id)
    return _page("Receipt", f"<p>Paid {dollars(charge['amount'])}.</p>")


def token_of(number: str) -> str:
    """Return the test token of a card number. Raises Stripe's refusal of a number that is none."""
    token = BY_NUMBER.get(number.replace(" ", ""))
    if token is None:
        raise invalid("Your card number is invalid.", code="incorrect_number", status=402)
    return token


def dollars(cents: int) -> str:
    """Return cents as people write them."""
    return f"${cents // 100:,}.{cents % 100:02d}" if cents >= 0 else f"-{dollars(-cents)}"


def _success_url(session: Object) -> str:
    return (session["success_url"] or "/").replace("{CHECKOUT_SESSION_ID}", session["id"])


def _page(title: str, body: str, *, status: int = 200) -> "Reply":
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f'<main><p class="note">Stand-in for Stripe: no real money moves.</p><h1>{escape(title)}</h1>{body}</main>'
    )
    return _reply(status, html.encode(), "text/html; charset=utf-8")


def _plain(text: str) -> "Reply":
    return _reply(200, text.encode(), "text/plain; charset=utf-8")


def _redirect(url: str) -> "Reply":
    return _reply(303, b"", "text/plain", (("location", url),))


def _reply(
    status: int, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...] = ()
) -> "Reply":
    from tests.fake_stripe.app import Reply  # which uses these pages

    return Reply(status, body, headers, content_type)


_PAGES: dict[str, Callable[[Store, str, dict[str, str] | None], "Reply"]] = {
    "pay": _pay,
    "authenticate": _authenticate,
    "portal": _portal,
    "invoices": _invoice,
    "receipts": _receipt,
}
