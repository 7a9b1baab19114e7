"""Sums of one hour beside those of models and keys: by tag, and how long calls took. For pages only."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization, Project
from apikeys.models import ApiKey
from billing.models.usage import TokenCounts


class CallSums(TokenCounts):
    """What calls of one key add up to, by model and mode, over some time."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    model = models.CharField(max_length=120)
    mode = models.CharField(max_length=4)
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    audio_tokens = models.BigIntegerField(default=0)
    image_tokens = models.BigIntegerField(default=0)
    price_nanousd = models.BigIntegerField(default=0)
    charge_nanousd = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class LatencyCounts(models.Model):
    """
    How many successful calls took how long, by the buckets of `billing.read_models.latency.BOUNDS_MS`.

    Percentiles cannot be added up, counts can.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)
    mode = models.CharField(max_length=4)
    first_token_counts = ArrayField(models.BigIntegerField())
    duration_counts = ArrayField(models.BigIntegerField())

    class Meta:
        abstract = True


class TagRollup(CallSums):
    """Sums of one hour by tag; a call counts once for each of its tags, so tags do not add up to all calls."""

    hour = models.DateTimeField()
    tag = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "hour", "project", "key", "tag", "model", "mode"],
                name="one_tag_rollup_each_hour",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.tag}"


class LatencyRollup(LatencyCounts):
    """How long the calls of one hour took."""

    hour = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "hour", "model", "mode"],
                name="one_latency_rollup_each_hour",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.model}"
