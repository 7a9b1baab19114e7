"""Sums of one UTC day, for ranges of weeks: each is the sum of its hours, kept so by triggers. For pages only."""

from django.db import models

from billing.models.rollups import CallSums, LatencyCounts


class UsageDayRollup(CallSums):
    """The sum of a day's `UsageRollup`."""

    day = models.DateTimeField()  # midnight in UTC

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


class TagDayRollup(CallSums):
    """The sum of a day's `TagRollup`."""

    day = models.DateTimeField()  # midnight in UTC
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


class LatencyDayRollup(LatencyCounts):
    """The sum of a day's `LatencyRollup`, bucket by bucket."""

    day = models.DateTimeField()  # midnight in UTC

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "model", "mode"],
                name="one_latency_rollup_each_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.model}"
