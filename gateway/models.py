"""Providers, the models we sell, and the routes that serve them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from gateway.service_status.status_models import Incident as Incident
from gateway.service_status.status_models import IncidentUpdate as IncidentUpdate
from gateway.service_status.status_models import ProbeMinute as ProbeMinute


class Provider(models.Model):
    """An upstream company or server, its address and our account with it."""

    class Api(models.TextChoices):
        OPENAI = "openai"
        ANTHROPIC = "anthropic"
        GEMINI = "gemini"
        BEDROCK = "bedrock"
        COHERE = "cohere"
        VERTEX = "vertex"
        VERTEX_CLAUDE = "vertex-claude"
        AZURE = "azure"
        SANDBOX = "sandbox"

    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    api = models.CharField(max_length=20, choices=Api.choices, default=Api.OPENAI)
    base_url = models.CharField(max_length=300, blank=True)
    sealed_credential = models.BinaryField(null=True, blank=True, editable=False)
    credential_last4 = models.CharField(max_length=4, blank=True, editable=False)
    api_key_env = models.CharField(
        max_length=60, blank=True, help_text="Environment variable with our key."
    )
    quirks = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    max_connections = models.PositiveIntegerField(
        default=1000, help_text="Open calls at once, for each gateway process."
    )
    no_training = models.BooleanField(
        default=False, help_text="By contract, it does not train on what it is sent."
    )
    zero_retention = models.BooleanField(
        default=False, help_text="By contract, it keeps nothing of what it is sent."
    )
    disabled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.title


class ProviderAccount(models.Model):
    """
    One more account of ours with a provider, used beside the one on the provider itself.

    Calls are spread by weight over those that are not over their quota; quotas are shared out evenly over the
    gateway processes.
    """

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="accounts")
    name = models.SlugField(max_length=60)
    base_url = models.CharField(
        max_length=300, blank=True, help_text="Where it differs from the provider's."
    )
    sealed_credential = models.BinaryField(null=True, blank=True, editable=False)
    credential_last4 = models.CharField(max_length=4, blank=True, editable=False)
    weight = models.PositiveSmallIntegerField(default=1)
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="The account's quota; empty: none known."
    )
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="one_account_each")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.name}"


class AccountNotice(models.Model):
    """An account of ours that a provider refuses, for staff to act on; one open notice for each reason."""

    class Reason(models.TextChoices):
        AUTH = "auth", "credential refused"
        QUOTA = "quota", "out of credit or quota"

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="notices")
    account = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=5, choices=Reason.choices)
    message = models.CharField(max_length=300, blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, help_text="When it was mailed to staff.")
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "account", "reason"],
                condition=models.Q(resolved_at=None),
                name="one_open_notice",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.account}: {self.get_reason_display()}"


class Strategy(models.TextChoices):
    """How a model's routes are put in order; `gateway.routes.strategies` says what each means."""

    PRIORITY = "priority"
    WEIGHTED = "weighted"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    STICKY = "sticky"


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
    strategy = models.CharField(max_length=8, choices=Strategy.choices, default=Strategy.PRIORITY)
    hidden_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """
    One way to serve a model: a provider and its name for the model.

    Lower priority is tried first; routes of the same priority share the calls by weight.
    """

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="routes")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="routes")
    upstream_model = models.CharField(max_length=200)
    priority = models.PositiveSmallIntegerField(default=0)
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="Share among routes; 0: only when no other can serve."
    )
    region = models.SlugField(
        max_length=30, blank=True, help_text="Where it computes, such as eu or us-east-1."
    )
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_model"], name="one_route_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} at {self.provider}"


class IdempotentCall(models.Model):
    """
    A call made under an `Idempotency-Key`: who runs it, and its answer once it is there.

    A row is made before the call is admitted, so that a second call under the same key cannot be. It is
    deleted when the call cost nothing, and after it has expired.
    """

    key = models.ForeignKey("apikeys.ApiKey", on_delete=models.CASCADE, related_name="+")
    name_hash = models.BinaryField(max_length=32)
    body_hash = models.BinaryField(max_length=32)
    request_id = models.UUIDField(unique=True)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=list)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)  # the pruning task's

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "name_hash"], name="one_call_each_name")
        ]

    def __str__(self) -> str:
        return str(self.request_id)


class CatalogRun(models.Model):
    """One comparison of catalog files with what is sold. The first of all loads at once and proposes nothing."""

    origin = models.CharField(max_length=200, help_text="Whose files they were.")
    as_of = models.DateField(null=True, help_text="The day that the files speak of.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of models.json.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.origin}, {self.created_at:%Y-%m-%d %H:%M}"


class CatalogChange(models.Model):
    """
    What a catalog file says otherwise than what is sold: applied once staff approve it, kept whatever they decide.

    `old` and `new` are plain values; a price is its rates as `RateSheet.plain` writes them. `effective_from` is
    the day that the file names for a price to come, then the moment from which the approved one holds; null:
    from the approval on.
    """

    class Kind(models.TextChoices):
        MODEL = "model", "new model"
        FACT = "fact"
        ROUTE = "route"
        PRICE = "price"
        COST = "cost", "provider cost"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REJECTED = "rejected"
        SUPERSEDED = "superseded", "overtaken by a later file"

    run = models.ForeignKey(CatalogRun, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    model = models.CharField(max_length=120, help_text="Public model name.")
    field = models.CharField(max_length=300)
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    effective_from = models.DateTimeField(null=True)
    source = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "field", "effective_from"],
                condition=models.Q(state="proposed"),
                nulls_distinct=False,
                name="one_open_change",
            ),
            models.CheckConstraint(
                condition=models.Q(state="proposed", decided_at=None)
                | (~models.Q(state="proposed") & models.Q(decided_at__isnull=False)),
                name="decided_changes_say_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["approved", "rejected"]) | ~models.Q(reason=""),
                name="decided_changes_say_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.field}"
