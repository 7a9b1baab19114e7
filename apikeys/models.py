"""API keys: their stored form, scopes, limits and budget caps."""

from functools import partial

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Organization, Project
from exerati.lib import ids

BUDGET_PERIODS = ("day", "week", "month", "total")


class ApiKey(models.Model):
    """
    One API key. The secret itself is never stored, only its HMAC under the server's pepper.

    Null limits mean the default of the settings; null budgets mean no cap; empty scopes mean everything.
    """

    class Mode(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    public_id = models.CharField(
        max_length=40, unique=True, default=partial(ids.public_id, "key"), editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys"
    )
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="api_keys")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="api_keys",
    )
    name = models.CharField(max_length=120)
    mode = models.CharField(max_length=4, choices=Mode.choices, default=Mode.LIVE)
    key_prefix = models.CharField(
        max_length=24, help_text="What the key starts with, for recognition."
    )
    key_last4 = models.CharField(max_length=4)
    key_hash = models.BinaryField(unique=True, max_length=32, editable=False)

    model_patterns = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    modalities = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    endpoints = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    ip_allow_list = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    concurrency = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    budget_day_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_week_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_month_nanousd = models.BigIntegerField(null=True, blank=True)
    budget_total_nanousd = models.BigIntegerField(null=True, blank=True)
    max_request_nanousd = models.BigIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    strict_parameters = models.BooleanField(default=False)
    drain_on_disconnect = models.BooleanField(
        default=False,
        help_text="Let the provider finish when the client leaves, instead of cancelling.",
    )

    metadata = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        # The keys page: one organization's keys, newest first.
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="keys_by_organization")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(**{f"budget_{period}_nanousd__isnull": True})
                | models.Q(**{f"budget_{period}_nanousd__gte": 0}),
                name=f"key_budget_{period}_not_negative",
            )
            for period in BUDGET_PERIODS
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.key_prefix}…{self.key_last4})"


class KeyModelBudget(models.Model):
    """A budget cap of one key on one model (the scope key x model)."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="model_budgets")
    model = models.CharField(max_length=120, help_text="Public model name.")
    period = models.CharField(max_length=5, choices=[(period, period) for period in BUDGET_PERIODS])
    cap_nanousd = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key", "model", "period"], name="one_cap_each_model_period"
            ),
            models.CheckConstraint(
                condition=models.Q(cap_nanousd__gte=0), name="key_model_cap_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} a {self.period}"
