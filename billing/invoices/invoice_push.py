"""
An invoice on its way to Stripe, step by step: customer, draft, lines, the total compared, final, paid or sent.

Each step is a row that commits before Stripe is asked, and look-before-create finds what a process that died had
made: so any number of workers, killed anywhere, end at one invoice. A total that differs stops with an alarm.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from billing import stripe_client
from billing.invoices import dunning_plan, invoice_states, stripe_invoices
from billing.invoices.stripe_invoices import Remote, RemoteLine
from billing.models import Invoice, InvoicePart, StripeCustomer, StripePush
from billing.payments import stripe_customers

logger = logging.getLogger(__name__)

BATCH = 100  # lines of one call
OTHER = "other"
COLLECTING = ("pay", "send")
State = Invoice.State


def push(invoice: Invoice, *, now: datetime) -> Invoice:
    """
    Bring a sealed invoice to Stripe and take its money, from wherever it was left; return it as it then is.

    Raises StripeAway; the same call later goes on. What Stripe refuses stops the invoice for staff to look at.
    """
    if invoice.problem or not stripe_client.is_on():
        return invoice
    try:
        if invoice.state == State.SEALED:
            invoice = _bring(invoice, now=now)
        if invoice.state == State.OPEN and not _is_collected(invoice):
            _collect(invoice, now=now)
    except stripe_client.Refused as error:
        _alarm(invoice, f"Stripe refuses: {error.message or error.code}")
    except stripe_client.NotAtStripe:
        _alarm(invoice, "Stripe does not know the invoice or its customer any more.")
    invoice.refresh_from_db()
    return invoice


def _bring(invoice: Invoice, *, now: datetime) -> Invoice:
    """Make an invoice final at Stripe, unless that stops with an alarm; return it as it then is."""
    remote: Remote | None = _draft(invoice)
    if remote and remote.status == "draft":
        remote = _fill(invoice, remote)
    return invoice_states.apply(invoice.pk, remote, now=now) if remote else invoice


def _draft(invoice: Invoice) -> Remote:
    """Return the invoice at Stripe: the one that is known or found there, else a new draft."""
    if invoice.stripe_id:
        return stripe_invoices.retrieve(invoice.stripe_id)
    customer = stripe_customers.ensure(invoice.organization)
    found = _found(invoice, customer)
    if found is None:
        made = _step(invoice, "create", lambda key: _create(invoice, customer, key), customer)
        found = stripe_invoices.retrieve(made)
    Invoice.objects.filter(pk=invoice.pk, stripe_id="").update(
        stripe_id=found.id, customer_id=found.customer_id
    )
    invoice.refresh_from_db()
    return found


def _found(invoice: Invoice, customer: str) -> Remote | None:
    """
    Return the invoice that a push before this one has made. A draft of a customer who was deleted is thrown away.
    """
    known = StripeCustomer.objects.filter(organization=invoice.organization).exclude(stripe_id="")
    for customer_id in known.values_list("stripe_id", flat=True):
        remote = stripe_invoices.find(customer_id, reference=str(invoice.uuid))
        if remote is None:
            continue
        if remote.status == "draft" and customer_id != customer:
            stripe_invoices.discard(remote.id)
            continue
        return remote
    return None


def _create(invoice: Invoice, customer: str, key: str) -> str:
    period = invoice.period
    return stripe_invoices.create(
        customer_id=customer,
        reference=str(invoice.uuid),
        description=f"API usage, {period.period_start:%-d %b %Y} to {period.period_end:%-d %b %Y} (UTC)",
        collection=invoice.collection,
        days_until_due=invoice.days_until_due,
        shown=invoice.shown,
        idempotency_key=key,
    )


def _fill(invoice: Invoice, remote: Remote) -> Remote | None:
    """Add the lines that are missing, compare, and make the draft final; None where the totals differ."""
    there = {line.part for line in stripe_invoices.lines(remote.id)}
    for number, batch in enumerate(_batches(invoice)):
        missing = [line for line in batch if line.part not in there]
        if missing:
            _step(
                invoice,
                f"lines_{number}",
                lambda key, missing=missing: _add(remote.id, missing, key),  # type: ignore[misc]
            )
    if not _is_equal(invoice, remote.id):
        return None
    _step(invoice, "finalize", lambda key: _finalize(remote.id, key))
    return stripe_invoices.retrieve(remote.id)


def _batches(invoice: Invoice) -> Iterator[list[RemoteLine]]:
    """Yield the lines for Stripe in the same batches every time; the smallest are one line."""
    parts = list(
        InvoicePart.objects.filter(line__invoice=invoice).select_related("line").order_by("pk")
    )
    lines = [
        RemoteLine(
            part=str(part.pk),
            cents=part.amount_cents,
            description=part.description,
            first_at=part.line.first_at,
            last_at=part.line.last_at,
        )
        for part in parts
        if not part.is_other
    ]
    others = [part for part in parts if part.is_other]
    if others:
        cents = sum(part.amount_cents for part in others)
        lines.append(RemoteLine(OTHER, cents, f"Other usage: {len(others)} smaller lines"))
    for start in range(0, len(lines), BATCH):
        yield lines[start : start + BATCH]


def _is_equal(invoice: Invoice, stripe_id: str) -> bool:
    """Compare what Stripe would ask for with what we ask for, lines and total; sound the alarm if they differ."""
    wanted = sorted((line.part, line.cents) for batch in _batches(invoice) for line in batch)
    there = sorted((line.part, line.cents) for line in stripe_invoices.lines(stripe_id))
    net = stripe_invoices.retrieve(stripe_id).net_cents
    if there == wanted and net == invoice.net_cents:
        return True
    _alarm(
        invoice,
        f"Stripe's draft has {len(there)} lines of {net} cents, ours {len(wanted)} of "
        f"{invoice.net_cents}.",
    )
    return False


def _add(stripe_id: str, missing: list[RemoteLine], key: str) -> str:
    stripe_invoices.add_lines(stripe_id, missing, idempotency_key=key)
    return stripe_id


def _finalize(stripe_id: str, key: str) -> str:
    stripe_invoices.finalize(stripe_id, idempotency_key=key)
    return stripe_id


def _collect(invoice: Invoice, *, now: datetime) -> None:
    """Charge the card for an open invoice, or let Stripe send it; what fails is for dunning."""
    if invoice.collection == "send":
        _step(invoice, "send", lambda key: _send(invoice.stripe_id, key))
        return
    failure = charge(invoice, attempt="pay")
    invoice = invoice_states.follow(invoice, now=now)
    if failure and invoice.state == State.OPEN:
        dunning_plan.begin(invoice, now=now)


def _is_collected(invoice: Invoice) -> bool:
    """Say whether an open invoice was charged or sent, or its payment has failed before."""
    return (
        invoice.pushes.filter(step__in=COLLECTING, state=StripePush.State.DONE).exists()
        or invoice.dunning.exists()
    )


def unfinished() -> list[Invoice]:
    """Return the invoices that are to be brought to Stripe, or are there and not yet charged or sent."""
    done = StripePush.objects.filter(
        invoice=OuterRef("pk"), step__in=COLLECTING, state=StripePush.State.DONE
    )
    found = Invoice.objects.filter(
        Q(state=State.SEALED) | (Q(state=State.OPEN, dunning=None) & ~Exists(done)), problem=""
    )
    return list(found.select_related("organization", "period").order_by("created_at")[:500])


def charge(invoice: Invoice, *, attempt: str) -> str:
    """Try to take the money of an open invoice; return why that failed, "" where it did not. Raises StripeAway."""
    try:
        _step(invoice, attempt, lambda key: _pay(invoice.stripe_id, key))
    except stripe_client.Declined as error:
        return _failed(invoice, attempt, error.message)
    except stripe_client.Refused as error:
        return _failed(invoice, attempt, error.message or error.code)
    return ""


def _failed(invoice: Invoice, attempt: str, failure: str) -> str:
    StripePush.objects.filter(invoice=invoice, step=attempt).update(note=failure[:200])
    return failure


def _pay(stripe_id: str, key: str) -> str:
    stripe_invoices.pay(stripe_id, idempotency_key=key)
    return stripe_id


def _send(stripe_id: str, key: str) -> str:
    stripe_invoices.send(stripe_id, idempotency_key=key)
    return stripe_id


def _step(invoice: Invoice, step: str, do: Callable[[str], str], subject: str = "") -> str:
    """
    Do a step under its key and write down that it is done; return the id that it gave.

    Stripe repeats a failure under its key for a day: such a key is given up, and the next try has the next one.
    """
    row = _row(invoice, step, subject)
    try:
        stripe_id = do(row.key)
    except stripe_client.StripeAway as error:
        if error.is_replayed:
            StripePush.objects.filter(pk=row.pk).update(
                state=StripePush.State.FAILED, note="Stripe repeats a failure under this key."
            )
        raise
    StripePush.objects.filter(pk=row.pk).update(state=StripePush.State.DONE, stripe_id=stripe_id)
    return stripe_id


def _row(invoice: Invoice, step: str, subject: str) -> StripePush:
    """Return the row of a step's present generation, made where there is none."""
    newest = StripePush.objects.filter(invoice=invoice, step=step).order_by("-generation").first()
    generation = newest.generation if newest else 1
    if newest and (newest.state == StripePush.State.FAILED or subject not in newest.key):
        generation += 1
    name = f"{step}:{subject}" if subject else step
    row, _ = StripePush.objects.get_or_create(
        invoice=invoice,
        step=step,
        generation=generation,
        defaults={"key": f"invoice:{invoice.uuid}:{name}:g{generation}"},
    )
    return row


def _alarm(invoice: Invoice, problem: str) -> None:
    logger.error("invoice %s is stopped: %s", invoice.public_id, problem)
    invoice_states.stop(invoice, problem)
