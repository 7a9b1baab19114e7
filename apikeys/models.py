"""API keys: their stored form, scopes, limits and budget caps."""

import ipaddress
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import cast

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from accounts.models import Organization, Project
from apikeys import leak_sources
from exerati.lib import ids

BUDGET_PERIODS = ("day", "week", "month", "total")


class Modality(models.TextChoices):
    """What a key may be for: the kinds of model in the catalog."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    IMAGE = "image"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    RERANK = "rerank"
    MODERATION = "moderation"


class Endpoint(models.TextChoices):
    """What a key may call: paths below `/v1/`, with dots. The list of models is open to every key."""

    CHAT_COMPLETIONS = "chat.completions", "Chat completions"
    COMPLETIONS = "completions", "Completions (legacy)"
    RESPONSES = "responses", "Responses"
    MESSAGES = "messages", "Messages (Anthropic)"
    EMBEDDINGS = "embeddings", "Embeddings"
    IMAGE_GENERATIONS = "images.generations", "Images: generate"
    IMAGE_EDITS = "images.edits", "Images: edit"
    SPEECH = "audio.speech", "Audio: speech"
    TRANSCRIPTIONS = "audio.transcriptions", "Audio: transcriptions"
    TRANSLATIONS = "audio.translations", "Audio: translations"
    MODERATIONS = "moderations", "Moderations"
    RERANK = "rerank", "Rerank"
    MANAGEMENT = "management", "Management API (/api)"


class KeyStatus(StrEnum):
    """What a key is at one moment; only an active one may call."""

    ACTIVE = "active"
    DISABLED = "disabled"
    EXPIRED = "expired"
    REVOKED = "revoked"


class DisabledReason(models.TextChoices):
    """Why a key is disabled, where that is more than that somebody wanted it."""

    SPIKE = "spike", "It spent far more than usual"
    LEAKED = "leaked", "It was found in public"


def validate_network(text: str) -> None:
    """Accept an IP address or a network such as `10.0.0.0/8`."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError(
            f"{text} is no IP address and no network such as 10.0.0.0/8."
        ) from None


validate_pattern = RegexValidator(
    r"^[A-Za-z0-9._:/*-]+$",
    "A model pattern is a model's name, in which * stands for any characters.",
)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """The orders and selections of the keys page."""

    def matching(self, text: str) -> "ApiKeyQuerySet":
        """Return those whose name, visible part, id, project or owner holds the text; all of them for none."""
        wanted = text.strip()
        if not wanted:
            return self
        shown = wanted.partition("…")
        match = (
            models.Q(key_prefix__startswith=shown[0], key_last4__startswith=shown[2])
            if shown[1]
            else models.Q()
        )
        for field in SEARCHED:
            match |= models.Q(**{f"{field}__icontains": wanted})
        return self.filter(match)

    def sorted_by(self, column: str) -> "ApiKeyQuerySet":
        """Return them in one order of SORTS (`-` in front turns it round); what has no value comes last."""
        field = models.F(SORTS[column.removeprefix("-")])
        if column.startswith("-"):
            return self.order_by(field.desc(nulls_last=True), "-pk")
        return self.order_by(field.asc(nulls_last=True), "pk")


_KeyManager = models.Manager.from_queryset(ApiKeyQuerySet)


class ApiKeyManager(_KeyManager["ApiKey"]):
    """The keys with a secret: a member's seat is on no list of keys and in no choice of them."""

    def get_queryset(self) -> ApiKeyQuerySet:
        """Leave the seats out."""
        return cast(ApiKeyQuerySet, super().get_queryset().filter(kind=ApiKey.Kind.KEY))


SEARCHED = ("name", "public_id", "key_prefix", "key_last4", "created_by__email", "project__name")
SORTS = {
    "name": "name",
    "owner": "created_by__email",
    "created": "created_at",
    "used": "last_used_at",
    "expires": "expires_at",
}


class ApiKey(models.Model):
    """
    One API key. The secret itself is never stored, only its HMAC under the server's pepper.

    A seat (`kind`) is the row that a member's sessions call by: limits, budgets and usage events know every caller
    as a key. It has no secret, its hash is that of none, and no request to /v1 can name it (`apikeys.seats`).

    Null limits mean the default of the settings; null budgets mean no cap; empty scopes mean everything.
    """

    class Mode(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    class Kind(models.TextChoices):
        KEY = "key"
        SEAT = "seat", "a member's sessions (playground)"

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
    kind = models.CharField(
        max_length=6, choices=Kind.choices, default=Kind.KEY, db_default=Kind.KEY
    )
    key_prefix = models.CharField(
        max_length=24, help_text="What the key starts with, for recognition."
    )
    key_last4 = models.CharField(max_length=4)
    key_hash = models.BinaryField(unique=True, max_length=32, editable=False)
    # The secret before the last rotation, while it still works.
    old_hash = models.BinaryField(unique=True, max_length=32, editable=False, null=True)
    old_last4 = models.CharField(max_length=4, default="", blank=True, db_default="")
    old_expires_at = models.DateTimeField(null=True, blank=True)

    model_patterns = ArrayField(
        models.CharField(max_length=120, validators=[validate_pattern]), default=list, blank=True
    )
    modalities = ArrayField(
        models.CharField(max_length=20, choices=Modality.choices), default=list, blank=True
    )
    endpoints = ArrayField(
        models.CharField(max_length=60, choices=Endpoint.choices), default=list, blank=True
    )
    ip_allow_list = ArrayField(
        models.CharField(max_length=60, validators=[validate_network]), default=list, blank=True
    )

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
    disabled_reason = models.CharField(
        max_length=10, choices=DisabledReason.choices, default="", blank=True, db_default=""
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ApiKeyManager()
    every = ApiKeyQuerySet.as_manager()  # with the seats, for what counts calls and money

    class Meta:
        # The keys page: one organization's keys, newest first.
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="keys_by_organization")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "created_by", "mode"],
                condition=models.Q(kind="seat"),
                name="one_seat_each_project_and_mode",
            ),
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"budget_{period}_nanousd__isnull": True})
                    | models.Q(**{f"budget_{period}_nanousd__gte": 0}),
                    name=f"key_budget_{period}_not_negative",
                )
                for period in BUDGET_PERIODS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown})"

    @property
    def shown(self) -> str:
        """What people recognise the key by."""
        if self.is_seat:
            return "no key"
        return f"{self.key_prefix}…{self.key_last4}"

    @property
    def is_seat(self) -> bool:
        """Say whether this is no key at all but what a member's sessions call and are counted by."""
        return self.kind == self.Kind.SEAT

    def old_secret_works_at(self, now: datetime) -> bool:
        """Say whether the secret before the last rotation is still accepted at that moment, were the key active."""
        return self.old_expires_at is not None and self.old_expires_at > now

    def status_at(self, now: datetime) -> KeyStatus:
        """Return what the key is at that moment; revoked wins over all, expired over disabled."""
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE if self.disabled_at is None else KeyStatus.DISABLED


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


class KeyLeak(models.Model):
    """
    That a secret of a key was found at a public place, and what was done about it then. Stored once for each place.

    `secret_hash` is that of the key (`ApiKey.key_hash`), so that a rotation is known to have ended the matter.
    """

    class Done(models.TextChoices):
        DISABLED = "disabled", "the key was disabled"
        LIMITED = "limited", "its budget a day was lowered"
        OLD_ENDED = "old_ended", "the replaced secret was ended"
        REFUSED = "refused", "nothing: it was refused already"
        TOLD = "told", "nothing: the organization was told"

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, db_index=False, related_name="leaks")
    secret_hash = models.BinaryField(max_length=32, editable=False)
    last4 = models.CharField(max_length=4)
    place = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=60)
    done = models.CharField(max_length=9, choices=Done.choices)
    found_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        # Found by it, too: the leaks of one key.
        constraints = [
            models.UniqueConstraint(
                fields=["key", "secret_hash", "place"], name="one_leak_each_place"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key} at {self.place or 'a place that was not named'}"

    @property
    def source_at_the_start(self) -> str:
        """Return who found it as the first words of a sentence."""
        return leak_sources.at_the_start(self.source)
