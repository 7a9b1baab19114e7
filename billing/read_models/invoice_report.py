"""Read models of the invoice pages: the list, one invoice with its lines and shares, and the period that is open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from accounts.models import Organization
from billing import plans
from billing.invoices import billing_periods
from billing.invoices.invoice_parts import LABELS, UNITS, rate_words
from billing.models import (
    BillingPeriod,
    CreditNote,
    DunningStep,
    Invoice,
    InvoicePart,
    InvoiceRefund,
    InvoiceShare,
)
from exerati.lib.money import NANOUSD_PER_CENT

State = Invoice.State
SHOWN = 120  # ten years of months
# State -> the word on its badge and the badge's tone.
WORDS = {
    State.CLOSING: ("being made", "neutral"),
    State.ZERO: ("nothing used", "neutral"),
    State.CARRIED: ("carried forward", "neutral"),
    State.SEALED: ("being sent", "neutral"),
    State.OPEN: ("open", "warn"),
    State.PAID: ("paid", "ok"),
    State.UNCOLLECTIBLE: ("overdue", "danger"),
    State.VOID: ("taken back", "neutral"),
}


# Status of a dispute at Stripe -> the word on its badge and the badge's tone; what is not here is open.
DISPUTE_WORDS = {
    "won": ("won", "ok"),
    "lost": ("lost", "danger"),
    "warning_closed": ("closed", "neutral"),
    "prevented": ("closed", "neutral"),
}


# New columns come last, so that a reader by position stays right.
CSV_COLUMNS = (
    *("part", "description", "model", "class", "quantity", "rate", "amount_cents", "nanousd"),
    *("service_tier", "above_input_tokens"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One invoice as the list and its page's head show it; amounts in nano-USD."""

    id: str
    title: str
    period_start: datetime
    period_end: datetime
    state: str
    tone: str
    is_owed: bool
    net_nanousd: int
    tax_nanousd: int
    credited_nanousd: int
    due_nanousd: int
    small_nanousd: int  # what was carried forward to the next invoice
    due_at: datetime | None
    paid_at: datetime | None
    pdf_url: str
    hosted_url: str


@dataclass(frozen=True, slots=True)
class PartRow:
    """One token class of a line, with the address query of its requests ("" for an adjustment)."""

    description: str
    model: str
    label: str
    quantity: int
    rate: int | None
    per_million: bool
    amount_nanousd: int
    exact_nanousd: int
    requests_query: str
    is_late: bool
    service_tier: str
    above_input_tokens: int
    rate_words: str


@dataclass(frozen=True, slots=True)
class ShareRow:
    """What one key spent on one model within an invoice."""

    project: str
    key: str
    key_id: str
    model: str
    requests: int
    charge_nanousd: int


@dataclass(frozen=True, slots=True)
class ReturnRow:
    """A refund or a dispute of an invoice's payment; `away_nanousd` is what the payer, or its bank, has again."""

    title: str
    state: str
    tone: str
    at: datetime
    away_nanousd: int


@dataclass(frozen=True, slots=True)
class Page:
    """One invoice in full."""

    row: Row
    parts: tuple[PartRow, ...]
    shares: tuple[ShareRow, ...]
    notes: tuple[CreditNote, ...]
    steps: tuple[DunningStep, ...]
    returns: tuple[ReturnRow, ...]
    exact_nanousd: int
    carry_before_nanousd: int
    carry_after_nanousd: int

    @property
    def returned_nanousd(self) -> int:
        """What of its payment is not with us any more."""
        return sum(row.away_nanousd for row in self.returns)


@dataclass(frozen=True, slots=True)
class Present:
    """The open period so far, and where it leads at this pace; amounts in nano-USD."""

    period_start: datetime
    period_end: datetime
    used_nanousd: int
    forecast_nanousd: int
    owed_nanousd: int
    limit_nanousd: int

    @property
    def free_nanousd(self) -> int:
        """What may still be used before something is paid."""
        return max(0, self.limit_nanousd - self.owed_nanousd)


def listed(organization: Organization) -> list[Row]:
    """Return an organization's invoices, the newest period first; one query."""
    found = Invoice.objects.filter(organization=organization).select_related("period")
    return [_row(invoice) for invoice in found.order_by("-period__period_start")[:SHOWN]]


def page(organization: Organization, public_id: str) -> Page | None:
    """Return one invoice of an organization in full, None where there is none."""
    invoice = (
        Invoice.objects.filter(organization=organization, public_id=public_id)
        .select_related("period")
        .first()
    )
    if invoice is None:
        return None
    parts = InvoicePart.objects.filter(line__invoice=invoice).select_related("line").order_by("pk")
    done = invoice.dunning.filter(done_at__isnull=False).order_by("done_at")
    return Page(
        row=_row(invoice),
        parts=tuple(_part(part) for part in parts),
        shares=tuple(_shares(invoice)),
        notes=tuple(invoice.credit_notes.order_by("created_at")),
        steps=tuple(done),
        returns=tuple(_returns(invoice)),
        exact_nanousd=invoice.usage_nanousd + invoice.adjusted_nanousd,
        carry_before_nanousd=invoice.carry_before_nanousd,
        carry_after_nanousd=invoice.carry_after_nanousd,
    )


def present(organization: Organization, *, now: datetime) -> Present | None:
    """Return the open period of an organization that pays afterwards, None for others."""
    period = BillingPeriod.objects.filter(
        organization=organization, state=BillingPeriod.State.OPEN
    ).first()
    if period is None:
        return None
    used = billing_periods.used_in(period)
    gone = max((now - period.period_start).total_seconds(), 3600.0)
    whole = (period.period_end - period.period_start).total_seconds()
    return Present(
        period_start=period.period_start,
        period_end=period.period_end,
        used_nanousd=used,
        forecast_nanousd=max(used, used * int(whole) // int(gone)),
        owed_nanousd=plans.owed_nanousd(organization),
        limit_nanousd=plans.account(organization).agreed_limit_nanousd,
    )


def line_id(organization: Organization, text: str) -> int | None:
    """Return the row id of a line by its public id: -1, which is none, for one that is not the organization's."""
    if not text:
        return None
    try:
        found = organization.invoices.filter(lines__public_id=UUID(text))
    except ValueError:
        return -1
    return found.values_list("lines__pk", flat=True).first() or -1


def csv_rows(page: Page) -> Iterator[Sequence[object]]:
    """Yield the lines of an invoice, then what each key spent, as rows of a file; exact amounts in nano-USD."""
    yield CSV_COLUMNS
    for part in page.parts:
        yield (
            "line",
            part.description,
            part.model,
            part.label,
            part.quantity,
            part.rate,
            part.amount_nanousd // NANOUSD_PER_CENT,
            part.exact_nanousd,
            part.service_tier,
            part.above_input_tokens or "",
        )
    for share in page.shares:
        words = f"{share.project} / {share.key}"
        yield (
            "key",
            words,
            share.model,
            "requests",
            share.requests,
            *("", ""),
            share.charge_nanousd,
            *("", ""),
        )


def latest_owed(organization: Organization) -> Row | None:
    """Return the oldest invoice that is still to be paid, None where there is none."""
    found = Invoice.objects.filter(
        organization=organization, state__in=(State.OPEN, State.UNCOLLECTIBLE)
    )
    invoice = found.select_related("period").order_by("period__period_start").first()
    return _row(invoice) if invoice else None


def _row(invoice: Invoice) -> Row:
    word, tone = WORDS[State(invoice.state)]
    is_late = invoice.state == State.OPEN and invoice.due_at and invoice.due_at < timezone.now()
    if is_late and (invoice.collection == "send" or invoice.due_cents):
        word, tone = ("overdue", "danger")
    small = invoice.usage_nanousd + invoice.adjusted_nanousd
    return Row(
        id=invoice.public_id,
        title=invoice.number or f"{invoice.period.period_end:%B %Y}",
        period_start=invoice.period.period_start,
        period_end=invoice.period.period_end,
        state=word,
        tone=tone,
        is_owed=invoice.state in {State.OPEN, State.UNCOLLECTIBLE},
        net_nanousd=invoice.net_cents * NANOUSD_PER_CENT,
        tax_nanousd=invoice.tax_cents * NANOUSD_PER_CENT,
        credited_nanousd=(invoice.credited_cents + invoice.credited_tax_cents) * NANOUSD_PER_CENT,
        due_nanousd=invoice.due_cents * NANOUSD_PER_CENT,
        small_nanousd=small if invoice.state == State.CARRIED else 0,
        due_at=invoice.due_at,
        paid_at=invoice.paid_at,
        pdf_url=invoice.pdf_url,
        hosted_url=invoice.hosted_url,
    )


def _part(part: InvoicePart) -> PartRow:
    line = part.line
    return PartRow(
        description=part.description,
        model=line.model,
        label=LABELS.get(part.token_class, part.token_class),
        quantity=part.quantity,
        rate=part.rate,
        per_million=part.token_class not in UNITS,
        amount_nanousd=part.amount_cents * NANOUSD_PER_CENT,
        exact_nanousd=part.amount_nanousd,
        requests_query=f"line={line.public_id}" if line.price_version_id else "",
        is_late=line.is_late,
        service_tier=line.service_tier,
        above_input_tokens=line.above_input_tokens,
        rate_words=", ".join(rate_words(line)),
    )


def _shares(invoice: Invoice) -> Iterator[ShareRow]:
    found = (
        InvoiceShare.objects.filter(invoice=invoice)
        .values("project__name", "key__name", "key__public_id", "model")
        .annotate(requests=Sum("requests"), charge=Sum("charge_nanousd"))
        .order_by("-charge", "key__name", "model")
    )
    for row in found:
        yield ShareRow(
            project=row["project__name"] or "",
            key=row["key__name"] or "",
            key_id=row["key__public_id"] or "",
            model=row["model"],
            requests=row["requests"],
            charge_nanousd=row["charge"],
        )


def _returns(invoice: Invoice) -> Iterator[ReturnRow]:
    """Yield what went back of an invoice's payment, the oldest first; two queries."""
    for refund in invoice.refunds.order_by("created_at", "pk"):
        has_failed = refund.state == InvoiceRefund.State.FAILED
        word, tone = ("did not arrive", "warn") if has_failed else ("refunded", "neutral")
        away = 0 if has_failed else refund.total_nanousd
        yield ReturnRow("Refund", word, tone, refund.created_at, away)
    for dispute in invoice.disputes.order_by("created_at", "pk"):
        word, tone = DISPUTE_WORDS.get(dispute.status, ("open", "warn"))
        yield ReturnRow("Dispute", word, tone, dispute.created_at, dispute.away_nanousd)
