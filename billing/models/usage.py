"""What was called: events, attempts, hourly sums, and what waits to be summed."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from accounts.models import Organization, Project
from apikeys.models import ApiKey
from billing.models.prices import PriceVersion


class TokenCounts(models.Model):
    """The token classes and units of one call or of a sum; cached tokens are inside `input_tokens`."""

    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class UsageEvent(TokenCounts):
    """
    One call: what it used, what it cost, how it ended. Append-only, partitioned by the month of admission.

    `price_nanousd` is the price by the rates; `charge_nanousd` what was posted (0 for test keys and waived
    calls). `occurred_at` is the moment of admission, so an id always falls into the same partition and the
    primary key (request_id, occurred_at) of the table keeps it unique for ever.
    """

    class Basis(models.TextChoices):
        REPORTED = "reported"
        COUNTED = "counted"
        ESTIMATED = "estimated"
        WAIVED = "waived"

    class Outcome(models.TextChoices):
        FINISHED = "finished"
        CLIENT_LEFT = "client_left"
        FAILED = "failed"
        EMPTY = "empty"
        LOST = "lost"

    class Flag(models.TextChoices):
        """What was odd about the usage that the provider reported, so that it was corrected."""

        NEGATIVE = "negative"
        INCONSISTENT = "inconsistent"
        OVER_BOUND = "over_bound"
        CLAMPED = "clamped"

    request_id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    settled_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, db_constraint=False, null=True, related_name="+"
    )
    mode = models.CharField(max_length=4)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(max_length=120)
    provider = models.CharField(max_length=60, default="")
    upstream_model = models.CharField(max_length=200, default="")
    upstream_id = models.CharField(max_length=200, default="")
    streamed = models.BooleanField(default=False)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    basis = models.CharField(max_length=10, choices=Basis.choices)
    status = models.PositiveSmallIntegerField(default=200)
    error_code = models.CharField(max_length=60, default="")
    finish_reason = models.CharField(max_length=40, default="")
    usage_details = models.JSONField(
        default=dict, help_text="Every other token class and unit, when not zero."
    )
    price_version = models.ForeignKey(
        PriceVersion, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    upper_nanousd = models.BigIntegerField()
    price_nanousd = models.BigIntegerField()
    charge_nanousd = models.BigIntegerField()
    provider_cost_nanousd = models.BigIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    first_token_ms = models.IntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    client_request_id = models.CharField(max_length=200, default="")
    invoice_line_id = models.BigIntegerField(null=True)
    usage_flag = models.CharField(max_length=16, choices=Flag.choices, default="")
    tags = ArrayField(
        models.TextField(), null=True, help_text="Labels of the client's, for reports alone."
    )
    service_tier = models.CharField(
        max_length=40,
        default="",
        help_text="The tier whose rates hold; empty for the ordinary one.",
    )
    postpaid = models.BooleanField(default=False, help_text="Whether its charge is invoiced.")

    class Meta:
        managed = False  # made by a migration in SQL, since Django knows no partitions

    def __str__(self) -> str:
        return f"{self.request_id} {self.model}"


class Attempt(models.Model):
    """One try at one provider on behalf of a request; a request has as many as it needed."""

    request_id = models.UUIDField()
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=60)
    upstream_model = models.CharField(max_length=200)
    upstream_id = models.CharField(max_length=200, default="")
    status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=60, default="")
    provider_cost_nanousd = models.BigIntegerField(null=True)
    first_byte_ms = models.IntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    started_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request_id", "number"], name="one_attempt_each_number")
        ]
        # What was tried in a range of days; rows come in the order of time, so that a few pages of index do.
        indexes = [BrinIndex(fields=["started_at"], name="attempts_by_time")]

    def __str__(self) -> str:
        return f"{self.request_id} #{self.number} {self.provider}"


class UsageRollup(TokenCounts):
    """Sums of one hour, for pages only; invoices are made from events."""

    hour = models.DateTimeField()
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    model = models.CharField(max_length=120)
    mode = models.CharField(max_length=4)
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    price_nanousd = models.BigIntegerField(default=0)
    charge_nanousd = models.BigIntegerField(default=0)
    provider_cost_nanousd = models.BigIntegerField(default=0)
    duration_ms = models.BigIntegerField(default=0)
    audio_tokens = models.BigIntegerField(default=0, db_default=0)
    image_tokens = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "hour", "project", "key", "model", "mode"],
                name="one_rollup_each_hour",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.model}"


class OutboxMessage(models.Model):
    """A settled event that the aggregator has not yet taken; written in the settlement's transaction."""

    request_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )

    class Meta:
        # Pages add what is not yet rolled up to what is.
        indexes = [models.Index(fields=["organization"], name="outbox_by_organization")]

    def __str__(self) -> str:
        return str(self.request_id)
