"""
What becomes of an invoice once Stripe has it: its state here follows what Stripe says, forwards only.

Webhooks, the poller and our own steps all come to `follow`, which believes nothing but the invoice that it retrieves.
Each transition posts to the ledger under a key of its own, so that it is posted once.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import audit
from billing import ledger, plans, stripe_client
from billing.invoices import dunning_plan, stripe_invoices
from billing.models import Invoice, StripeEvent
from billing.models.payments import AFTER_PAYMENT
from exerati.lib.money import NANOUSD_PER_CENT
from exerati.lib.queue import enqueue

State = Invoice.State
Kind = ledger.Kind
# What may come after what; paid and void are the end.
NEXT: dict[str, frozenset[str]] = {
    State.SEALED: frozenset({State.OPEN, State.PAID, State.UNCOLLECTIBLE, State.VOID}),
    State.OPEN: frozenset({State.PAID, State.UNCOLLECTIBLE, State.VOID}),
    State.UNCOLLECTIBLE: frozenset({State.PAID, State.VOID}),
}


def follow_stripe(stripe_id: str) -> str:
    """Follow the invoice of a Stripe id; return a word on it. Raises StripeAway and NotAtStripe."""
    remote = stripe_invoices.retrieve(stripe_id)
    found = Invoice.objects.filter(stripe_id=stripe_id).first() or _by_reference(remote)
    if found is None:
        return "not an invoice of ours"
    return apply(found.pk, remote, now=timezone.now()).state


def follow(invoice: Invoice, *, now: datetime) -> Invoice:
    """Bring an invoice to what Stripe says of it now. Raises StripeAway."""
    try:
        remote = stripe_invoices.retrieve(invoice.stripe_id)
    except stripe_client.NotAtStripe:
        stop(invoice, "Stripe does not know the invoice any more.")
        invoice.refresh_from_db()
        return invoice
    return apply(invoice.pk, remote, now=now)


def _by_reference(remote: stripe_invoices.Remote) -> Invoice | None:
    """Return our invoice where its push died before it wrote the id down."""
    try:
        return Invoice.objects.filter(pk=UUID(remote.reference), stripe_id="").first()
    except ValueError:
        return None


@transaction.atomic
def apply(invoice_id: UUID, remote: stripe_invoices.Remote, *, now: datetime) -> Invoice:
    """Take over what Stripe says of an invoice, if it leads forwards; return it as it then is."""
    organizations = Invoice.objects.filter(pk=invoice_id).values_list("organization_id", flat=True)
    ledger.lock_wallet(organizations.get())  # before the invoice, as everywhere
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(pk=invoice_id)
    )
    if remote.reference != str(invoice.uuid):
        return invoice
    invoice.followed_at = now
    if remote.status == "draft":
        invoice.save(update_fields=["followed_at"])
        return invoice
    if invoice.state == State.SEALED and not _is_ours(invoice, remote):
        return invoice
    if remote.status in NEXT.get(invoice.state, frozenset()):
        if invoice.state == State.SEALED:
            _open(invoice, remote, now=now)
        if remote.status != State.OPEN:
            _end(invoice, remote.status, now=now)
    invoice.stripe_id, invoice.hosted_url = remote.id, remote.hosted_url
    invoice.pdf_url = remote.pdf_url
    invoice.save()
    plans.refresh(invoice.organization, now=now)
    if invoice.state == State.OPEN and invoice.collection == "charge" and remote.tried:
        dunning_plan.begin(invoice, now=now)
    return invoice


def _is_ours(invoice: Invoice, remote: stripe_invoices.Remote) -> bool:
    """Say whether a final invoice at Stripe asks for what ours does; if not, nothing goes on without staff."""
    if remote.net_cents == invoice.net_cents:
        return True
    invoice.problem = (
        f"Stripe's invoice {remote.id} asks for {remote.net_cents} cents, ours for "
        f"{invoice.net_cents}."
    )
    invoice.save(update_fields=["problem", "followed_at"])
    return False


def _open(invoice: Invoice, remote: stripe_invoices.Remote, *, now: datetime) -> None:
    """The invoice is final at Stripe: its number and its tax are known, and the tax is owed."""
    invoice.number, invoice.tax_cents = remote.number, remote.tax_cents
    invoice.due_at, invoice.finalized_at, invoice.state = remote.due_at or now, now, State.OPEN
    invoice.problem = ""
    _post(
        invoice,
        "tax",
        ((Kind.TAX_RECEIVABLE, Kind.TAX_PAYABLE, remote.tax_cents * NANOUSD_PER_CENT),),
    )
    _record(invoice, "invoice.opened")
    enqueue("billing.mail_invoice", invoice_id=str(invoice.pk), kind="ready")


def _end(invoice: Invoice, state: str, *, now: datetime) -> None:
    """Post how an invoice ends: paid, given up, or taken back."""
    was_given_up = invoice.state == State.UNCOLLECTIBLE
    net = (invoice.net_cents - invoice.credited_cents) * NANOUSD_PER_CENT
    tax = (invoice.tax_cents - invoice.credited_tax_cents) * NANOUSD_PER_CENT
    if state == State.PAID:
        legs: tuple[ledger.Leg, ...] = (
            (Kind.STRIPE_CLEARING, Kind.BAD_DEBT if was_given_up else Kind.RECEIVABLE, net),
            (Kind.STRIPE_CLEARING, Kind.TAX_PAYABLE if was_given_up else Kind.TAX_RECEIVABLE, tax),
        )
        invoice.paid_at = now
    elif state == State.UNCOLLECTIBLE:
        legs = (
            (Kind.BAD_DEBT, Kind.RECEIVABLE, net),
            (Kind.TAX_PAYABLE, Kind.TAX_RECEIVABLE, tax),
        )
    else:
        legs = (
            (Kind.REVENUE, Kind.BAD_DEBT if was_given_up else Kind.RECEIVABLE, net),
            *(() if was_given_up else ((Kind.TAX_PAYABLE, Kind.TAX_RECEIVABLE, tax),)),
        )
    invoice.state = state
    _post(invoice, state, legs)
    _record(invoice, f"invoice.{state}")
    if state == State.PAID:
        enqueue("billing.mail_invoice", invoice_id=str(invoice.pk), kind="paid")
        # What came back of its payment was told before we knew it as paid: it was stopped.
        StripeEvent.objects.filter(note=AFTER_PAYMENT).update(applied_at=None, note="")


def _post(invoice: Invoice, what: str, legs: tuple[ledger.Leg, ...]) -> None:
    ledger.post(
        invoice.organization,
        kind=f"invoice_{what}",
        idempotency_key=f"invoice:{invoice.uuid}:{what}",
        legs=legs,
        reason=f"Invoice {invoice.number or invoice.public_id}",
    )


def _record(invoice: Invoice, action: str) -> None:
    audit.record(
        invoice.organization,
        action=action,
        actor=None,
        target=invoice.public_id,
        details={"total_cents": invoice.total_cents, "number": invoice.number},
    )


def stop(invoice: Invoice, problem: str) -> None:
    """Let nothing more be done about an invoice until staff have looked at it."""
    Invoice.objects.filter(pk=invoice.pk).update(problem=problem[:300])


def to_follow(before: datetime) -> list[Invoice]:
    """Return the invoices at Stripe that nobody has asked for since a moment, the longest first."""
    found = Invoice.objects.filter(
        state__in=(State.SEALED, State.OPEN, State.UNCOLLECTIBLE), problem=""
    ).exclude(stripe_id="")
    found = found.exclude(followed_at__gte=before)
    return list(found.order_by("followed_at")[:200])
