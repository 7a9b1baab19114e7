"""The plan of what is done about an invoice that was not paid: its steps as rows, each with its day."""

from datetime import datetime, timedelta

from billing.models import DunningStep, Invoice

Step = DunningStep.Step
DAYS = {
    Step.NOTICE: 0,
    Step.RETRY_3: 3,
    Step.RETRY_5: 5,
    Step.RETRY_7: 7,
    Step.BLOCK: 8,
    Step.WRITE_OFF: 38,
}


def begin(invoice: Invoice, *, now: datetime) -> None:
    """Plan the steps of an invoice, once; day 0 is now."""
    if invoice.dunning.exists():
        return
    DunningStep.objects.bulk_create(
        [
            DunningStep(invoice=invoice, step=step, due_at=now + timedelta(days=days))
            for step, days in DAYS.items()
        ],
        ignore_conflicts=True,
    )


def overdue(now: datetime) -> list[Invoice]:
    """Return the invoices that were sent, are past their day and have no plan yet."""
    found = Invoice.objects.filter(
        state=Invoice.State.OPEN, collection="send", due_at__lte=now, dunning=None
    )
    return list(found.order_by("due_at")[:200])


def due(now: datetime) -> list[int]:
    """Return the steps whose day has come, the oldest first."""
    found = DunningStep.objects.filter(done_at=None, due_at__lte=now)
    return list(found.order_by("due_at", "pk").values_list("pk", flat=True)[:200])
