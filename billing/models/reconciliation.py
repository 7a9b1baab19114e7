"""What others say of money against what we have written down: runs of the comparison, differences, imported costs."""

from django.db import models
from django.utils import timezone

from accounts.models import Organization, User


class ReconRun(models.Model):
    """One comparison of everything of one subject in a range of time; the totals of both sides stay on record."""

    class Subject(models.TextChoices):
        STRIPE = "stripe", "Stripe"
        COSTS = "costs", "Provider costs"

    subject = models.CharField(max_length=10, choices=Subject.choices)
    since = models.DateTimeField()
    until = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    checked = models.JSONField(
        default=dict, help_text="How many objects of each kind were compared."
    )
    totals = models.JSONField(default=dict, help_text="The sums of both sides.")
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        # When the last comparison of a subject ended, and the list in the admin.
        indexes = [models.Index(fields=["subject", "-started_at"], name="recon_runs_by_subject")]

    def __str__(self) -> str:
        return f"{self.get_subject_display()}, {self.started_at:%Y-%m-%d %H:%M}"


class ReconItem(models.Model):
    """
    One difference, until it is gone or somebody has said why it may stay; nothing is ever put right by itself.

    The same difference found again is the same row (`fingerprint` is made of what both sides say); where it changes,
    it is a new one.
    """

    class Kind(models.TextChoices):
        PAYMENT_UNKNOWN = "payment_unknown", "Payment that we know nothing of"
        PAYMENT_MISSING = "payment_missing", "Credit without a payment"
        AMOUNT = "amount", "Other amount"
        CUSTOMER = "customer", "Other customer"
        CUSTOMER_GONE = "customer_gone", "Customer deleted at Stripe"
        REFUND = "refund", "Refund that is not booked so"
        DISPUTE = "dispute", "Dispute that is not booked so"
        LEDGER = "ledger", "Ledger differs from its top-up"
        INVOICE = "invoice", "Invoice that differs"
        TOTAL = "total", "Sums differ"
        COST_DRIFT = "cost_drift", "Provider charges other than we booked"
        NEGATIVE_MARGIN = "negative_margin", "Model sold below its cost"

    run = models.ForeignKey(ReconRun, on_delete=models.PROTECT, related_name="items")
    last_run = models.ForeignKey(ReconRun, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    object_id = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=64)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    theirs = models.JSONField(default=dict)
    ours = models.JSONField(default=dict)
    difference_nanousd = models.BigIntegerField(default=0, help_text="Theirs less ours.")
    found_at = models.DateTimeField(default=timezone.now, editable=False)
    gone_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id", "fingerprint"], name="one_item_each_difference"
            ),
            models.CheckConstraint(
                condition=models.Q(acknowledged_at=None) | ~models.Q(reason=""),
                name="recon_item_acknowledged_with_reason",
            ),
        ]
        indexes = [
            # What somebody has to look at.
            models.Index(
                fields=["-found_at"],
                condition=models.Q(gone_at=None, acknowledged_at=None),
                name="recon_items_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.object_id}"


class ProviderCostImport(models.Model):
    """One file of what a provider charges us, taken in once: a file with the same hash does nothing."""

    sha256 = models.CharField(max_length=64, unique=True)
    file_name = models.CharField(max_length=200)
    form = models.CharField(max_length=20)
    actor = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    lines_read = models.PositiveIntegerField(default=0)
    imported_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.file_name} ({self.imported_at:%Y-%m-%d})"


class ProviderCostLine(models.Model):
    """What a provider charges for one of its models on one day (UTC), by one file; a later file replaces the day."""

    source = models.ForeignKey(ProviderCostImport, on_delete=models.CASCADE, related_name="lines")
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    day = models.DateField()
    cost_nanousd = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "provider", "model", "day"], name="one_cost_each_day"
            )
        ]
        # The comparison: the days of a provider, in the newest file that has them.
        indexes = [models.Index(fields=["provider", "day"], name="provider_costs_by_day")]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} {self.day}"
