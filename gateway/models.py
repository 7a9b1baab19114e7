"""Providers, the models we sell, and the routes that serve them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone


class Provider(models.Model):
    """An upstream company or server, its address and our account with it."""

    class Api(models.TextChoices):
        OPENAI = "openai"
        ANTHROPIC = "anthropic"
        GEMINI = "gemini"
        SANDBOX = "sandbox"

    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    api = models.CharField(max_length=12, choices=Api.choices, default=Api.OPENAI)
    base_url = models.CharField(max_length=300, blank=True)
    sealed_credential = models.BinaryField(null=True, blank=True, editable=False)
    credential_last4 = models.CharField(max_length=4, blank=True, editable=False)
    api_key_env = models.CharField(
        max_length=60, blank=True, help_text="Environment variable with our key."
    )
    quirks = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    max_connections = models.PositiveIntegerField(default=1000)
    disabled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.title


class Model(models.Model):
    """A model as customers know it."""

    class Kind(models.TextChoices):
        CHAT = "chat"
        EMBEDDING = "embedding"
        IMAGE = "image"
        SPEECH = "speech"
        TRANSCRIPTION = "transcription"
        RERANK = "rerank"
        MODERATION = "moderation"

    name = models.CharField(max_length=120, unique=True)
    title = models.CharField(max_length=200)
    owned_by = models.CharField(max_length=60)
    kind = models.CharField(max_length=14, choices=Kind.choices)
    description = models.TextField(blank=True)
    input_modalities = ArrayField(models.CharField(max_length=20), default=list)
    output_modalities = ArrayField(models.CharField(max_length=20), default=list)
    context_tokens = models.PositiveIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    features = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    supported_parameters = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    knowledge_cutoff = models.CharField(max_length=20, blank=True)
    released_on = models.DateField(null=True, blank=True)
    deprecated_on = models.DateField(null=True, blank=True)
    shutdown_on = models.DateField(null=True, blank=True)
    sources = models.JSONField(default=dict, blank=True)
    hidden_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """One way to serve a model: a provider and its name for the model; lower priority is tried first."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="routes")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="routes")
    upstream_model = models.CharField(max_length=200)
    priority = models.PositiveSmallIntegerField(default=0)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_model"], name="one_route_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} at {self.provider}"
