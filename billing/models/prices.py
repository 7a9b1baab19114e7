"""What customers pay and what providers charge us: immutable versions."""

from django.db import models
from django.utils import timezone

from accounts.models import Organization, User

PLANS = [("prepaid", "prepaid"), ("postpaid", "postpaid")]  # those of BillingAccount


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


class ListPrices(models.Manager["PriceVersion"]):
    """Sees the price list alone, so that no public page can show the price of one customer."""

    def get_queryset(self) -> models.QuerySet["PriceVersion"]:
        """Return the versions that hold for everybody without a price of their own."""
        return super().get_queryset().filter(organization=None, plan="")


class PriceVersion(RateCard):
    """
    What customers pay for a model from a moment on; never changed once made.

    One of an `organization` holds for it alone, in place of the list's, and one of a `plan` for whoever has that plan
    and no price of its own: markup rules have made them.
    """

    model = models.CharField(max_length=120, help_text="Public model name.")
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="own_prices",
    )
    plan = models.CharField(max_length=8, blank=True, default="", db_default="")

    objects = ListPrices()
    every = models.Manager["PriceVersion"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "organization", "plan", "effective_from"],
                name="one_price_each_moment",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(organization=None) | models.Q(plan=""),
                name="price_of_an_organization_or_a_plan",
            ),
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


class MarkupRule(models.Model):
    """
    What an organization, or everybody on a plan, pays on top of provider cost, for one model or all.

    The newest of a subject holds, and is never changed: another rule takes its place. Without a percentage the price
    list holds again.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="markup_rules"
    )
    plan = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        choices=PLANS,
        help_text="Instead of an organization: everybody who pays so and has no rule of their own.",
    )
    model = models.CharField(
        max_length=120, blank=True, default="", help_text="Public name; empty: every model."
    )
    percent = models.DecimalField(
        max_digits=7, decimal_places=3, null=True, blank=True, help_text="Empty: the price list."
    )
    reason = models.CharField(max_length=200)
    actor = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percent=None) | models.Q(percent__gte=0, percent__lte=1000),
                name="markup_is_no_discount_on_cost",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="markup_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(organization=None, plan__gt="")
                | models.Q(organization__isnull=False, plan=""),
                name="markup_of_an_organization_or_a_plan",
            ),
        ]

    def __str__(self) -> str:
        what = (
            "the price list"
            if self.percent is None
            else f"cost plus {self.percent.normalize():f} %"
        )
        whose = self.organization or f"plan {self.plan}"
        return f"{whose}, {self.model or 'all models'}: {what}"
