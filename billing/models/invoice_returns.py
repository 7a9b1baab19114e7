"""Payments of invoices that went back to who paid them: refunds made at Stripe, and disputes."""

from django.db import models
from django.utils import timezone

from billing.models.invoices import Invoice
from exerati.lib.money import NANOUSD_PER_CENT


class InvoiceRefund(models.Model):
    """One refund of an invoice's payment, as it was made at Stripe: booked once, and reversed at most once."""

    class State(models.TextChoices):
        DONE = "done"
        FAILED = "failed"  # it did not reach its payer, and is reversed

    stripe_id = models.CharField(max_length=60, primary_key=True)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="refunds")
    net_cents = models.BigIntegerField()
    tax_cents = models.BigIntegerField()
    state = models.CharField(max_length=6, choices=State.choices, default=State.DONE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(net_cents__gte=0, tax_cents__gte=0),
                name="invoice_refund_not_negative",
            )
        ]

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.state}"

    @property
    def cents(self) -> int:
        """What the payer gets back."""
        return self.net_cents + self.tax_cents

    @property
    def total_nanousd(self) -> int:
        """What the payer gets back, tax included."""
        return self.cents * NANOUSD_PER_CENT


class InvoiceDispute(models.Model):
    """
    An invoice's payment that its payer's bank took back, and how that ended.

    `withdrawn`, `reinstated` and `fee` only grow; what was withdrawn and has not come back is held in the account
    `disputed` until it is lost, and is then a bad debt (`lost_net`) and tax that nobody owes (`lost_tax`).
    """

    OVER = ("won", "lost", "warning_closed", "prevented")

    stripe_id = models.CharField(max_length=60, primary_key=True)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="disputes")
    status = models.CharField(max_length=30)
    withdrawn_cents = models.BigIntegerField(default=0)
    reinstated_cents = models.BigIntegerField(default=0)
    lost_net_cents = models.BigIntegerField(default=0)
    lost_tax_cents = models.BigIntegerField(default=0)
    fee_cents = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    reinstated_cents__gte=0,
                    withdrawn_cents__gte=models.F("reinstated_cents")
                    + models.F("lost_net_cents")
                    + models.F("lost_tax_cents"),
                    lost_net_cents__gte=0,
                    lost_tax_cents__gte=0,
                ),
                name="invoice_dispute_within_withdrawn",
            )
        ]

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.status}"

    @property
    def is_over(self) -> bool:
        """Say whether it is decided."""
        return self.status in self.OVER

    @property
    def lost_cents(self) -> int:
        """What was given up."""
        return self.lost_net_cents + self.lost_tax_cents

    @property
    def away_nanousd(self) -> int:
        """What the bank has of us now."""
        return (self.withdrawn_cents - self.reinstated_cents) * NANOUSD_PER_CENT
