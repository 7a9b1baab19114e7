"""Money that comes in through Stripe: who an organization is there, its top-ups, and what Stripe tells us."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import Organization, User


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

    `net_cents` is the credit; tax comes on top and never enters the wallet.
    """

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
    net_cents = models.PositiveIntegerField()
    tax_cents = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State.choices, default=State.CREATED)
    customer_id = models.CharField(max_length=60, blank=True, default="")
    checkout_id = models.CharField(max_length=120, blank=True, default="")
    payment_intent_id = models.CharField(max_length=60, blank=True, default="")
    receipt_url = models.URLField(max_length=500, blank=True, default="")
    refunded_cents = models.PositiveIntegerField(default=0)
    failure = models.CharField(max_length=200, blank=True, default="")
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


class Dispute(models.Model):
    """A payment that its payer's bank took back, and how that ended."""

    stripe_id = models.CharField(max_length=60, primary_key=True)
    topup = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="disputes")
    status = models.CharField(max_length=30)
    withdrawn_cents = models.PositiveIntegerField(default=0)
    reinstated_cents = models.PositiveIntegerField(default=0)
    fee_cents = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.status}"


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
            # The poller's watermark.
            models.Index(fields=["-happened_at"], name="stripe_events_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"
