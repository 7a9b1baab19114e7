"""What postpaid organizations owe: billing periods, invoices with their lines, and what corrects them."""

import uuid
from functools import partial

from django.db import models
from django.utils import timezone

from accounts.models import Organization, Project, User
from apikeys.models import ApiKey
from billing.models.prices import PriceVersion
from billing.models.usage import TokenCounts
from exerati.lib import ids


class BillingPeriod(models.Model):
    """
    A time `[period_start, period_end)` in which an organization pays afterwards; its periods tile that time.

    `posted_at_*_nanousd` is what its wallet's counter had posted when the period was opened and when it ended: the
    difference (to now while it is open) is what the period has used, without reading an event.
    """

    class State(models.TextChoices):
        OPEN = "open"
        CLOSING = "closing"
        SEALED = "sealed"

    class End(models.TextChoices):
        """Why the period ends when it does."""

        MONTH = "month"
        EARLY = "early"
        LEFT = "left"

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="billing_periods"
    )
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    state = models.CharField(max_length=7, choices=State.choices, default=State.OPEN)
    ended_by = models.CharField(max_length=5, choices=End.choices, default=End.MONTH)
    posted_at_start_nanousd = models.BigIntegerField(default=0)
    posted_at_end_nanousd = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "period_start"], name="one_period_each_start"
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(state="open"),
                name="one_open_period",
            ),
            models.CheckConstraint(
                condition=models.Q(period_end__gte=models.F("period_start")),
                name="period_ends_after_start",
            ),
        ]
        # Closing: what is not sealed and whose end has passed.
        indexes = [
            models.Index(
                fields=["period_end"], condition=~models.Q(state="sealed"), name="periods_to_close"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.period_start:%Y-%m-%d} to {self.period_end:%Y-%m-%d}"


class Invoice(models.Model):
    """
    The bill of one period. Made and sealed here; Stripe gets a copy, and says when it is paid.

    `carry_*` is the part of a cent that is kept from one invoice to the next, 0 to 9,999,999 nano-USD. A `carried`
    invoice was too small to send: its usage is on the next one. `problem` says why nothing goes on without staff.
    """

    class State(models.TextChoices):
        CLOSING = "closing"  # events are being claimed
        ZERO = "zero"
        CARRIED = "carried"
        SEALED = "sealed"  # final here, not yet at Stripe
        OPEN = "open"
        PAID = "paid"
        UNCOLLECTIBLE = "uncollectible"
        VOID = "void"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "inv"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="invoices"
    )
    period = models.ForeignKey(BillingPeriod, on_delete=models.PROTECT, related_name="invoices")
    version = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=13, choices=State.choices, default=State.CLOSING)
    claimed_to_at = models.DateTimeField(null=True, blank=True)
    claimed_to_id = models.UUIDField(null=True, blank=True)
    usage_nanousd = models.BigIntegerField(default=0)
    adjusted_nanousd = models.BigIntegerField(default=0)
    carry_before_nanousd = models.BigIntegerField(default=0)
    carry_after_nanousd = models.BigIntegerField(default=0)
    net_cents = models.BigIntegerField(default=0)
    tax_cents = models.BigIntegerField(default=0)
    credited_cents = models.BigIntegerField(default=0, help_text="Net, by credit notes.")
    credited_tax_cents = models.BigIntegerField(default=0)
    shown = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text="Names and values on its PDF.",
    )
    collection = models.CharField(max_length=6, default="charge")
    days_until_due = models.PositiveSmallIntegerField(default=0)
    number = models.CharField(max_length=60, blank=True, default="")
    customer_id = models.CharField(max_length=60, blank=True, default="")
    stripe_id = models.CharField(max_length=60, blank=True, default="")
    hosted_url = models.URLField(max_length=500, blank=True, default="")
    pdf_url = models.URLField(max_length=500, blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sealed_at = models.DateTimeField(null=True, blank=True)
    finalized_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    followed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "period", "version"], name="one_invoice_each_version"
            ),
            models.UniqueConstraint(
                fields=["period"], condition=~models.Q(state="void"), name="one_invoice_each_period"
            ),
            models.UniqueConstraint(
                fields=["stripe_id"],
                condition=~models.Q(stripe_id=""),
                name="one_invoice_each_stripe_invoice",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    carry_before_nanousd__range=(0, 9_999_999),
                    carry_after_nanousd__range=(0, 9_999_999),
                ),
                name="invoice_carry_below_a_cent",
            ),
            models.CheckConstraint(
                condition=models.Q(credited_cents__gte=0, credited_cents__lte=models.F("net_cents"))
                & models.Q(
                    credited_tax_cents__gte=0, credited_tax_cents__lte=models.F("tax_cents")
                ),
                name="invoice_credited_within_total",
            ),
        ]
        indexes = [
            # The invoices page: one organization's, newest first.
            models.Index(fields=["organization", "-created_at"], name="invoices_by_organization"),
            # What is to be pushed to Stripe, followed there, or collected.
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["closing", "sealed", "open", "uncollectible"]),
                name="invoices_not_settled",
            ),
        ]

    def __str__(self) -> str:
        return self.number or self.public_id

    @property
    def total_cents(self) -> int:
        """What was asked for: net and tax."""
        return self.net_cents + self.tax_cents

    @property
    def due_cents(self) -> int:
        """What is asked for after credit notes."""
        return self.total_cents - self.credited_cents - self.credited_tax_cents

    @property
    def is_owed(self) -> bool:
        """Say whether its money is still to come."""
        return self.state in {self.State.SEALED, self.State.OPEN, self.State.UNCOLLECTIBLE}


class InvoiceLine(TokenCounts):
    """
    The calls of one model at one price version, service tier and prompt tier, or an adjustment; events point here by
    their claim.

    `first_at` and `last_at` are the true dates of its calls; `is_late` marks those of before the period.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    model = models.CharField(max_length=120, blank=True, default="")
    price_version = models.ForeignKey(
        PriceVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    service_tier = models.CharField(max_length=40, blank=True, default="", db_default="")
    above_input_tokens = models.BigIntegerField(default=0)
    is_late = models.BooleanField(default=False)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    requests = models.BigIntegerField(default=0)
    charge_nanousd = models.BigIntegerField(default=0)
    details = models.JSONField(default=dict, help_text="Sums of every other token class and unit.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "invoice",
                    "model",
                    "price_version",
                    "service_tier",
                    "above_input_tokens",
                    "is_late",
                ],
                condition=models.Q(price_version__isnull=False),
                name="one_line_each_price",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.charge_nanousd}"


class InvoicePart(models.Model):
    """
    One token class of a line, as customers see it: quantity, rate and what of the invoice's cents falls to it.

    Beyond Stripe's room for lines the smallest are sent there as one (`is_other`); here each stays itself.
    """

    line = models.ForeignKey(InvoiceLine, on_delete=models.PROTECT, related_name="parts")
    token_class = models.CharField(max_length=20)
    quantity = models.BigIntegerField(default=0)
    rate = models.BigIntegerField(
        null=True, help_text="micro-USD per million tokens, or nano-USD per unit."
    )
    amount_nanousd = models.BigIntegerField()
    amount_cents = models.BigIntegerField()
    description = models.CharField(max_length=250)
    is_other = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["line", "token_class"], name="one_part_each_class")
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceShare(models.Model):
    """What of an invoice's usage one key spent on one model, by project: the breakdown beside the lines."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="shares")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    key = models.ForeignKey(
        ApiKey,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    model = models.CharField(max_length=120)
    requests = models.BigIntegerField(default=0)
    charge_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "project", "key", "model"],
                name="one_share_each",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.key_id} {self.model} {self.charge_nanousd}"


class Adjustment(models.Model):
    """An amount that staff add to (or take off, below zero) the next invoice of an organization."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="adjustments"
    )
    amount_nanousd = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="adjustments"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(amount_nanousd=0), name="adjustment_changes_something"
            )
        ]

    def __str__(self) -> str:
        return self.reason
