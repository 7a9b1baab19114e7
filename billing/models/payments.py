"""Money that comes in through Stripe: who an organization is there, its top-ups, and what Stripe tells us."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import Organization, User
from exerati.drawing import formats
from exerati.lib.money import NANOUSD_PER_CENT


class StripeCustomer(models.Model):
    """
    An organization at Stripe. Where Stripe has lost or deleted it, a new row takes over and the old one stays.

    `generation` counts the tries at making it and is part of Stripe's idempotency key.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="stripe_customers"
    )
    stripe_id = models.CharField(max_length=60, blank=True, default="")
    generation = models.PositiveSmallIntegerField(default=1)
    replaced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(replaced_at=None),
                name="one_present_customer",
            ),
            models.UniqueConstraint(
                fields=["stripe_id"],
                condition=~models.Q(stripe_id=""),
                name="one_organization_each_customer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization} at Stripe: {self.stripe_id or 'not made yet'}"


class TopUp(models.Model):
    """
    Credit that somebody buys. It enters the wallet once, when Stripe says that it is paid.

    `net_cents` is the credit; tax comes on top and never enters the wallet. `generation` counts the keys under which
    Stripe was asked for it.
    """

    class Way(models.TextChoices):
        CHECKOUT = "checkout"  # somebody pays on Stripe's page
        AUTOMATIC = "automatic"  # a saved card is charged

    class State(models.TextChoices):
        CREATED = "created"  # nothing at Stripe yet
        PENDING = "pending"  # the customer is on the page, or the bank takes its time
        CREDITED = "credited"
        FAILED = "failed"
        EXPIRED = "expired"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="topups")
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    way = models.CharField(max_length=9, choices=Way.choices, default=Way.CHECKOUT)
    generation = models.PositiveSmallIntegerField(default=1)
    net_cents = models.PositiveIntegerField()
    tax_cents = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State.choices, default=State.CREATED)
    customer_id = models.CharField(max_length=60, blank=True, default="")
    checkout_id = models.CharField(max_length=120, blank=True, default="")
    payment_intent_id = models.CharField(max_length=60, blank=True, default="")
    pay_url = models.TextField(blank=True, default="")  # Stripe's page while it is open
    receipt_url = models.TextField(blank=True, default="")
    tax_calculation = models.CharField(max_length=60, blank=True, default="", db_default="")
    shown = models.CharField(
        max_length=160, blank=True, default="", db_default="", help_text="On its receipt."
    )
    refunded_cents = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=200, blank=True, default="")
    is_counted = models.BooleanField(default=False)  # among the declines of its AutoTopUp
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    credited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(net_cents__gt=0), name="topup_is_positive"),
            models.CheckConstraint(
                condition=models.Q(
                    refunded_cents__lte=models.F("net_cents") + models.F("tax_cents")
                ),
                name="topup_refund_within_payment",
            ),
            models.UniqueConstraint(
                fields=["checkout_id"],
                condition=~models.Q(checkout_id=""),
                name="one_topup_each_checkout",
            ),
            models.UniqueConstraint(
                fields=["payment_intent_id"],
                condition=~models.Q(payment_intent_id=""),
                name="one_topup_each_payment",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=models.Q(way="automatic", state__in=["created", "pending"]),
                name="one_automatic_topup_at_a_time",
            ),
        ]
        indexes = [
            # The billing page: an organization's top-ups, newest first.
            models.Index(fields=["organization", "-created_at"], name="topups_by_organization"),
            # The poller: what Stripe has yet to decide.
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["created", "pending"]),
                name="topups_undecided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uuid} {self.state}"


class AutoTopUp(models.Model):
    """
    How an organization wants its wallet filled by itself; all amounts in cents, the ceiling per calendar month (UTC).

    `declines` in a row put the next try off and end in `off_reason`. The consent that was given is kept in its words.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="auto_topup"
    )
    is_on = models.BooleanField(default=False)
    threshold_cents = models.PositiveIntegerField()
    target_cents = models.PositiveIntegerField()
    ceiling_cents = models.PositiveIntegerField()
    consent_text = models.TextField(blank=True, default="")
    consented_at = models.DateTimeField(null=True, blank=True)
    consented_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    declines = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    off_reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(target_cents__gt=models.F("threshold_cents")),
                name="auto_topup_target_above_threshold",
            ),
            models.CheckConstraint(
                condition=models.Q(is_on=False)
                | (models.Q(consented_at__isnull=False) & ~models.Q(consent_text="")),
                name="auto_topup_needs_consent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization} {'on' if self.is_on else 'off'}"

    @property
    def threshold_text(self) -> str:
        """Return the threshold as people read it."""
        return formats.sum_text(self.threshold_cents * NANOUSD_PER_CENT)

    @property
    def target_text(self) -> str:
        """Return the target as people read it."""
        return formats.sum_text(self.target_cents * NANOUSD_PER_CENT)

    @property
    def ceiling_text(self) -> str:
        """Return the ceiling as people read it."""
        return formats.sum_text(self.ceiling_cents * NANOUSD_PER_CENT)


class Refund(models.Model):
    """
    Money of a top-up that goes back to who paid it, ours or one made at Stripe itself.

    The credit leaves the wallet when it is `requested`, before Stripe is asked, so that nobody spends it meanwhile.
    One that fails comes back.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        DONE = "done"
        FAILED = "failed"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topup = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="refunds")
    net_cents = models.PositiveIntegerField()
    tax_cents = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=9, choices=State.choices, default=State.REQUESTED)
    generation = models.PositiveSmallIntegerField(default=1)
    stripe_id = models.CharField(max_length=60, blank=True, default="")
    reason = models.CharField(max_length=200)
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["stripe_id"],
                condition=~models.Q(stripe_id=""),
                name="one_refund_each_at_stripe",
            ),
        ]
        indexes = [
            # What Stripe is still to be asked for.
            models.Index(
                fields=["created_at"],
                condition=models.Q(state="requested"),
                name="refunds_requested",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uuid} {self.state}"

    @property
    def cents(self) -> int:
        """Return what the payer gets back."""
        return self.net_cents + self.tax_cents

    @property
    def net_nanousd(self) -> int:
        """Return the credit."""
        return self.net_cents * NANOUSD_PER_CENT

    @property
    def tax_nanousd(self) -> int:
        """Return the tax."""
        return self.tax_cents * NANOUSD_PER_CENT


class Dispute(models.Model):
    """
    A payment that its payer's bank took back, and how that ended.

    Credit is frozen while a dispute is open and has not moved any money yet.
    """

    stripe_id = models.CharField(max_length=60, primary_key=True)
    topup = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="disputes")
    status = models.CharField(max_length=30)
    withdrawn_cents = models.PositiveIntegerField(default=0)
    reinstated_cents = models.PositiveIntegerField(default=0)
    kept_net_cents = models.PositiveIntegerField(default=0)  # credit taken, less what came back
    fee_cents = models.PositiveIntegerField(default=0)
    is_frozen = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.status}"


AFTER_PAYMENT = "put off until its invoice is paid here"  # the note of such an event


class StripeEvent(models.Model):
    """One event that Stripe told us of, by webhook or found by the poller; applied once."""

    event_id = models.CharField(max_length=60, primary_key=True)
    kind = models.CharField(max_length=80)
    object_id = models.CharField(max_length=120)
    api_version = models.CharField(max_length=40, blank=True, default="")
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [
            # What is still to be applied.
            models.Index(
                fields=["received_at"],
                condition=models.Q(applied_at=None),
                name="stripe_events_waiting",
            ),
            # Those put off until an invoice is paid.
            models.Index(
                fields=["applied_at"],
                condition=models.Q(note=AFTER_PAYMENT),
                name="stripe_events_put_off",
            ),
            # The poller's watermark.
            models.Index(fields=["-happened_at"], name="stripe_events_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
