"""
Usage events -> the invoice of a period, sealed here before Stripe hears of it.

Closing is three kinds of short transactions: the invoice is begun, events are claimed into its lines in chunks, and it
is sealed. Each may be cut off and repeated, by any number of workers: an advisory lock lets one work on an
organization, the period and its invoice are unique, and an event is claimed once, by a conditional update.
"""

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from accounts import audit
from accounts.models import Organization
from billing import ledger, plans, references
from billing.invoices import billing_periods, invoice_parts
from billing.invoices.invoice_sums import seal
from billing.models import Adjustment, BillingPeriod, Invoice, InvoiceLine, InvoicePart
from exerati.lib.money import NANOUSD_PER_CENT
from exerati.lib.queue import enqueue

CHUNK = 20_000  # events of one claim: about half a second in which a true-up may have to wait
STRIPE_LINES = 240  # Stripe takes 250; what is beyond is sent as one line
STRIPE_LEAST_CENTS = 50  # for the last invoice of an organization; Stripe asks for no less
EVER = 2**62

State = Invoice.State


class Busy(Exception):
    """Another worker has the organization's invoices in hand."""


def close(period_id: int, *, now: datetime) -> Invoice | None:
    """
    Make and seal the invoice of a period; return it, or None where it is not time yet. Raises Busy.

    Whatever was done before, by whoever, is gone on with.
    """
    invoice = _begin(period_id, now=now)
    if invoice is None or invoice.state != State.CLOSING:
        return invoice
    while not _claim(invoice):
        pass
    return _seal(invoice, now=now)


@transaction.atomic
def _begin(period_id: int, *, now: datetime) -> Invoice | None:
    """Return the period's invoice, made if there is none; an empty or small one is done with that."""
    period = BillingPeriod.objects.select_related("organization").get(pk=period_id)
    take_in_hand(period.organization_id)
    present = Invoice.objects.filter(period=period).exclude(state=State.VOID).first()
    if present is not None or not billing_periods.is_due(period, now=now):
        return present
    if BillingPeriod.objects.filter(
        organization=period.organization_id, period_start__lt=period.period_start
    ).exclude(state=BillingPeriod.State.SEALED):
        return None  # the carry comes from the one before
    return _new(period, now=now)


def _new(period: BillingPeriod, *, now: datetime) -> Invoice:
    organization = period.organization
    account = plans.account(organization)
    before = (
        Invoice.objects.filter(organization=organization).order_by("-period__period_start").first()
    )
    carry = before.carry_after_nanousd if before else 0
    adjustments = Adjustment.objects.filter(organization=organization, invoice=None)
    adjusted = adjustments.aggregate(sum=Sum("amount_nanousd"))["sum"] or 0
    is_last = period.ended_by == BillingPeriod.End.LEFT
    least = STRIPE_LEAST_CENTS if is_last else settings.INVOICE_LEAST_CENTS
    wanted = least * NANOUSD_PER_CENT - carry - adjusted
    used = _unbilled(organization, until=period.period_end, enough=wanted)
    values = {
        "organization": organization,
        "period": period,
        "carry_before_nanousd": carry,
        "carry_after_nanousd": carry,
        "collection": account.collection,
        "days_until_due": account.days_until_due,
        "shown": references.of(organization),
        "created_at": now,
    }
    if used < wanted:
        invoice = Invoice.objects.create(
            **values,
            state=State.CARRIED if used or adjusted else State.ZERO,
            usage_nanousd=used,
            adjusted_nanousd=adjusted,
            sealed_at=now,
        )
        _sealed(period, now=now)
        return invoice
    invoice = Invoice.objects.create(**values, adjusted_nanousd=adjusted)
    for row in adjustments.order_by("created_at"):
        InvoiceLine.objects.create(
            invoice=invoice,
            model=row.reason[:120],
            charge_nanousd=row.amount_nanousd,
            first_at=row.created_at,
            last_at=row.created_at,
        )
    adjustments.update(invoice=invoice)
    return invoice


def _claim(invoice: Invoice) -> bool:
    """Claim the next events; return whether a look at all of them has found none that was left."""
    with transaction.atomic(), connection.cursor() as cursor:
        take_in_hand(invoice.organization_id)
        invoice.refresh_from_db()
        if invoice.state != State.CLOSING:
            return True
        from_the_start = invoice.claimed_to_at is None
        period = invoice.period
        cursor.execute(
            "SELECT billing_claim(%s, %s, %s, %s)",
            [invoice.uuid, period.period_start, period.period_end, CHUNK],
        )
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return from_the_start and row[0] == 0


@transaction.atomic
def _seal(invoice: Invoice, *, now: datetime) -> Invoice:
    """Turn the lines into cents and post what is owed; nothing of the invoice changes after that."""
    take_in_hand(invoice.organization_id)
    invoice = Invoice.objects.select_related("organization", "period").get(pk=invoice.pk)
    if invoice.state != State.CLOSING:
        return invoice
    found = _parts(invoice)
    sealed = seal(
        [part.amount_nanousd for part in found], carry_nanousd=invoice.carry_before_nanousd
    )
    for part, cents in zip(found, sealed.cents, strict=True):
        part.amount_cents = cents
    for part in sorted(found, key=lambda part: -abs(part.amount_cents))[STRIPE_LINES:]:
        part.is_other = True
    InvoicePart.objects.bulk_create(found)
    invoice.net_cents, invoice.carry_after_nanousd = sealed.total_cents, sealed.carry_nanousd
    invoice.state, invoice.sealed_at = State.SEALED, now
    invoice.save()
    _post(invoice)
    _sealed(invoice.period, now=now)
    audit.record(
        invoice.organization,
        action="invoice.sealed",
        actor=None,
        target=invoice.public_id,
        details={"net_cents": invoice.net_cents},
    )
    enqueue("billing.push_invoice", invoice_id=str(invoice.pk))
    return invoice


def _parts(invoice: Invoice) -> list[InvoicePart]:
    lines = invoice.lines.select_related("price_version").order_by(
        "is_late", "model", "price_version_id", "service_tier", "above_input_tokens", "pk"
    )
    return [
        InvoicePart(
            line=line,
            token_class=part.token_class,
            quantity=part.quantity,
            rate=part.rate,
            amount_nanousd=part.amount_nanousd,
            amount_cents=0,
            description=invoice_parts.description(line, part),
        )
        for line in lines
        for part in invoice_parts.parts(line)
    ]


def _post(invoice: Invoice) -> None:
    """Move what was used from unbilled to receivable in whole cents; what is left over is carried."""
    carried = invoice.carry_after_nanousd - invoice.carry_before_nanousd
    kept = (ledger.Kind.ROUNDING_CARRY, ledger.Kind.UNBILLED, carried)
    given = (ledger.Kind.UNBILLED, ledger.Kind.ROUNDING_CARRY, -carried)
    ledger.post(
        invoice.organization,
        kind="seal",
        idempotency_key=f"invoice:{invoice.uuid}:seal",
        legs=(
            (
                ledger.Kind.RECEIVABLE,
                ledger.Kind.UNBILLED,
                invoice.net_cents * NANOUSD_PER_CENT,
            ),
            kept if carried > 0 else given,
        ),
        reason=f"Invoice {invoice.public_id}",
    )


def _sealed(period: BillingPeriod, *, now: datetime) -> None:
    BillingPeriod.objects.filter(pk=period.pk).update(state=BillingPeriod.State.SEALED)
    plans.refresh(period.organization, now=now)


def _unbilled(organization: Organization, *, until: datetime, enough: int) -> int:
    """Return what was used until a moment and is on no invoice; not less than `enough` where there is as much."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_unbilled(%s, %s, %s)", [organization.pk, until, enough])
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return int(row[0])


def take_in_hand(organization_id: int) -> None:
    """Keep other workers off an organization's invoices until the transaction ends. Raises Busy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext('billing_invoices'), %s::int)",
            [organization_id],
        )
        row = cursor.fetchone()
    if not row or not row[0]:
        raise Busy(organization_id)
