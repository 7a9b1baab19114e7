"""Mails about invoices, to everybody who may change billing: ready, paid, failed, overdue, blocked."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.adapters import verified_addresses
from accounts.permissions import Action
from billing.models import Invoice
from exerati.drawing import formats
from exerati.lib.money import NANOUSD_PER_CENT


@dataclass(frozen=True, slots=True)
class Words:
    """What a mail says: subject and heading, a sentence, what to do, and the label of its button."""

    title: str
    text: str
    what_to_do: str
    button: str


def words(invoice: Invoice, kind: str) -> Words:
    """Return the words of one kind of mail."""
    number = invoice.number or invoice.public_id
    name, lower = f"Invoice {number}", f"invoice {number}"
    amount = formats.sum_text(invoice.due_cents * NANOUSD_PER_CENT)
    due = f"{invoice.due_at:%-d %B %Y}" if invoice.due_at else "now"
    if kind == "ready":
        how = (
            "The saved card is charged for it now; you need not do anything."
            if invoice.collection == "charge"
            else f"Please pay it by {due}."
        )
        return Words(
            f"{name} for {amount}", f"Your usage is billed: {amount}.", how, "See the invoice"
        )
    if kind == "paid":
        text = f"{amount} has arrived. If calls were blocked, they are admitted again."
        return Words(f"{name} is paid", text, "Thank you.", "See the invoice")
    if kind == "blocked":
        return Words(
            f"Calls are blocked until {lower} is paid",
            f"{amount} is overdue, and no further call is admitted.",
            "Pay the invoice: calls are admitted again at once.",
            "Pay now",
        )
    if kind == "overdue":
        text = f"{amount} was due on {due}."
        return Words(
            f"{name} is overdue", text, "Please pay it, so that calls are not blocked.", "Pay now"
        )
    return Words(
        f"The payment of {lower} failed",
        f"The saved card could not be charged for {amount}.",
        "Pay with another card, or change the saved one: we try again on days 3, 5 and 7, then calls are blocked.",
        "Pay now",
    )


def send(invoice_id: UUID, *, kind: str) -> int:
    """Send one mail about an invoice; return to how many addresses. Raises what the mail backend raises."""
    invoice = Invoice.objects.select_related("organization").get(pk=invoice_id)
    addresses = verified_addresses(invoice.organization, action=Action.MANAGE_BILLING)
    if not addresses:
        return 0
    message(invoice, kind=kind, addresses=addresses).send()
    return len(addresses)


def message(invoice: Invoice, *, kind: str, addresses: list[str]) -> EmailMultiAlternatives:
    """Return the mail, as text and as HTML."""
    slug = invoice.organization.slug
    context = {
        "organization": invoice.organization,
        "words": words(invoice, kind),
        "action_label": words(invoice, kind).button,
        "action_url": settings.SITE_URL
        + reverse("dashboard:invoice", args=[slug, invoice.public_id]),
    }
    mail = EmailMultiAlternatives(
        subject=" ".join(render_to_string("emails/invoice.subject.txt", context).split()),
        body=render_to_string("emails/invoice.txt", context),
        to=addresses,
        headers={"Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string("emails/invoice.html", context), "text/html")
    return mail
