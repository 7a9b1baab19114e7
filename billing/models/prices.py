"""What customers pay and what providers charge us: immutable versions."""

from django.db import models
from django.utils import timezone


class RateCard(models.Model):
    """
    Immutable rates from a moment on: micro-USD per million tokens, and nano-USD per unit.

    Null means: this class is not priced here. Reasoning, cached, audio and image tokens without a rate of
    their own cost the plain input or output rate. `tiers` holds `{"above_input_tokens": n, "<rate>": x}`
    (strictly greater; the whole request is priced at the tier); `service_tiers` holds
    `{"<tier>": {"<rate>": x}}`.
    """

    effective_from = models.DateTimeField()
    input_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    output_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    cache_read_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    cache_write_5m_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    cache_write_1h_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    reasoning_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    audio_input_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    audio_output_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    image_input_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    image_output_microusd_per_mtok = models.BigIntegerField(null=True, blank=True)
    image_nanousd = models.BigIntegerField(null=True, blank=True)
    second_nanousd = models.BigIntegerField(null=True, blank=True)
    character_nanousd = models.BigIntegerField(null=True, blank=True)
    search_nanousd = models.BigIntegerField(null=True, blank=True)
    call_nanousd = models.BigIntegerField(null=True, blank=True)
    tiers = models.JSONField(default=list, blank=True)
    service_tiers = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


class PriceVersion(RateCard):
    """What customers pay for a model from a moment on; never changed once made."""

    model = models.CharField(max_length=120, help_text="Public model name.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "effective_from"], name="one_price_each_moment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.effective_from:%Y-%m-%d}"


class ProviderCostVersion(RateCard):
    """What a provider charges us for one of its models from a moment on; never changed once made."""

    provider = models.CharField(max_length=60)
    upstream_model = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "upstream_model", "effective_from"], name="one_cost_each_moment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.upstream_model} from {self.effective_from:%Y-%m-%d}"
