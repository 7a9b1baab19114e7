"""Sums of one UTC day, for ranges of weeks: each is the sum of its hours, kept so by triggers. For pages only."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization, Project
from apikeys.models import ApiKey
from billing.models.usage import TokenCounts


class _DaySums(TokenCounts):
    day = models.DateTimeField()  # midnight in UTC
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


class UsageDayRollup(_DaySums):
    """The sum of a day's `UsageRollup`."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "project", "key", "model", "mode"],
                name="one_rollup_each_day",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.model}"


class TagDayRollup(_DaySums):
    """The sum of a day's `TagRollup`."""

    tag = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "project", "key", "tag", "model", "mode"],
                name="one_tag_rollup_each_day",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.tag}"


class LatencyDayRollup(models.Model):
    """The sum of a day's `LatencyRollup`, bucket by bucket."""

    day = models.DateTimeField()  # midnight in UTC
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)
    mode = models.CharField(max_length=4)
    first_token_counts = ArrayField(models.BigIntegerField())
    duration_counts = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "model", "mode"],
                name="one_latency_rollup_each_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.model}"
