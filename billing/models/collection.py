"""How invoices come to their money: steps at Stripe, reminders and retries, and credit notes."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import User
from billing.models.invoices import Invoice


class StripePush(models.Model):
    """
    One step of an invoice on its way to Stripe. The row commits before Stripe is asked, and again with its answer.

    `key` is Stripe's idempotency key, made of the invoice's uuid, the step and the generation; a generation ends
    with an answer that Stripe would only repeat.
    """

    class State(models.TextChoices):
        STARTED = "started"
        DONE = "done"
        FAILED = "failed"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="pushes")
    step = models.CharField(max_length=20)
    generation = models.PositiveSmallIntegerField(default=1)
    key = models.CharField(max_length=120, unique=True)
    state = models.CharField(max_length=7, choices=State.choices, default=State.STARTED)
    stripe_id = models.CharField(max_length=60, blank=True, default="")
    note = models.CharField(max_length=200, blank=True, default="")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "step", "generation"], name="one_push_each_generation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.invoice_id} {self.step} {self.state}"


class DunningStep(models.Model):
    """One thing that was done, or is to be done, about an invoice that was not paid."""

    class Step(models.TextChoices):
        NOTICE = "notice"  # day 0
        RETRY_3 = "retry_3"
        RETRY_5 = "retry_5"
        RETRY_7 = "retry_7"
        BLOCK = "block"
        WRITE_OFF = "write_off"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="dunning")
    step = models.CharField(max_length=9, choices=Step.choices)
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["invoice", "step"], name="one_dunning_step_each")
        ]
        # What is to be done.
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(done_at=None), name="dunning_to_be_done"
            )
        ]

    def __str__(self) -> str:
        return f"{self.invoice_id} {self.step}"


class CreditNote(models.Model):
    """
    A correction of a final invoice: less to pay, or, where it was paid, an amount off the next invoice.

    It counts from the moment it is made; Stripe gets its copy behind, found again by its uuid.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    net_cents = models.BigIntegerField()
    tax_cents = models.BigIntegerField(default=0)
    after_payment = models.BooleanField(default=False)
    reason = models.CharField(max_length=200)
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    stripe_id = models.CharField(max_length=60, blank=True, default="")
    number = models.CharField(max_length=60, blank=True, default="")
    pdf_url = models.URLField(max_length=500, blank=True, default="")
    generation = models.PositiveSmallIntegerField(default=1)
    problem = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(net_cents__gt=0), name="credit_note_is_positive"
            )
        ]
        # Copies that Stripe has yet to get.
        indexes = [
            models.Index(
                fields=["created_at"], condition=models.Q(stripe_id=""), name="notes_to_be_pushed"
            )
        ]

    def __str__(self) -> str:
        return self.number or str(self.uuid)

    @property
    def net_nanousd(self) -> int:
        """What is taken off, without tax."""
        return self.net_cents * 10_000_000
