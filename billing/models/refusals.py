"""Requests that were refused: they cost nothing and hold nothing, but must be explained."""

import uuid

from django.db import models

from accounts.models import Organization, Project
from apikeys.models import ApiKey


class RefusedRequest(models.Model):
    """
    One request of a known key that was answered with an error before anything was reserved.

    Written behind by `billing.refusals`, forgotten after 35 days. `limit_kind` says what refused: money (then the
    `*_nanousd` counters as they were at that moment are set), requests or tokens a minute, open calls (then the
    `limit_*` counts), or "" for anything that is no limit. A key that hammers is stored a number of times a minute;
    the row after those stands for `count` requests alike, and its id is the first one's.
    """

    class LimitKind(models.TextChoices):
        MONEY = "money"
        REQUESTS = "requests"
        TOKENS = "tokens"
        CONCURRENCY = "concurrency"

    request_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    occurred_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    mode = models.CharField(max_length=4)
    endpoint = models.CharField(max_length=80)
    model = models.CharField(max_length=120, default="")
    client_request_id = models.CharField(max_length=200, default="")
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=60)
    message = models.CharField(max_length=600)
    advice = models.CharField(max_length=400, default="")
    param = models.CharField(max_length=120, default="")
    limit_kind = models.CharField(max_length=12, choices=LimitKind.choices, default="")
    scope = models.CharField(max_length=12, default="")
    period = models.CharField(max_length=8, default="")
    cap_nanousd = models.BigIntegerField(null=True)
    posted_nanousd = models.BigIntegerField(null=True)
    held_nanousd = models.BigIntegerField(null=True)
    needed_nanousd = models.BigIntegerField(null=True)
    affordable_tokens = models.BigIntegerField(null=True)
    limit_count = models.BigIntegerField(null=True)
    limit_remaining = models.BigIntegerField(null=True)
    limit_needed = models.BigIntegerField(null=True)
    frees_at = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [
            # The request log: one organization's refusals, newest first; a status is looked for in the index alone.
            models.Index(
                fields=["organization", "-occurred_at", "-request_id", "status"],
                name="refusals_by_organization",
            )
        ]

    def __str__(self) -> str:
        return f"{self.request_id} {self.code}"
