"""Prices, budget counters, reservations, usage events, rollups, ledger and credit lots."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Organization, Project
from apikeys.models import ApiKey


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


class BillingAccount(models.Model):
    """How an organization pays."""

    class Plan(models.TextChoices):
        PREPAID = "prepaid"
        POSTPAID = "postpaid"

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="billing_account"
    )
    plan = models.CharField(max_length=8, choices=Plan.choices, default=Plan.PREPAID)
    credit_limit_nanousd = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.organization} ({self.plan})"


class Budget(models.Model):
    """
    The counters of one scope in one period; the caps themselves live on organization, project and key.

    `posted` is what was charged, `held` the sum of the upper bounds of open reservations. The period is
    `[period_start, period_end)` in UTC; `total` never ends. The wallet of an organization is a scope of its
    own whose cap is `credited_nanousd`: all money paid in or granted, less all money taken back.
    Rows are made and changed by the functions in `billing/sql/` and by `billing.wallet` only.
    """

    class Scope(models.TextChoices):
        WALLET = "wallet"
        ORGANIZATION = "organization"
        PROJECT = "project"
        KEY = "key"
        KEY_MODEL = "key_model"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    scope = models.CharField(max_length=12, choices=Scope.choices)
    scope_id = models.BigIntegerField(help_text="Row id of the organization, project or key.")
    model = models.CharField(max_length=120, default="", blank=True)
    period = models.CharField(max_length=5, default="total")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    posted_nanousd = models.BigIntegerField(default=0)
    held_nanousd = models.BigIntegerField(default=0)
    credited_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "scope_id", "model", "period", "period_start"],
                name="one_counter_each_period",
            ),
            models.CheckConstraint(
                condition=models.Q(posted_nanousd__gte=0), name="budget_posted_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(held_nanousd__gte=0), name="budget_held_not_negative"
            ),
        ]
        indexes = [
            # The budgets of one organization, for its pages and for the ledger check.
            models.Index(fields=["organization", "scope"], name="budgets_by_organization"),
            # Admission: the counters of a scope whose period has not ended.
            models.Index(fields=["scope", "scope_id", "period_end"], name="budgets_of_the_present"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.scope_id} {self.period}"


class Reservation(models.Model):
    """
    The upper bound of one call, held on every budget that applies until the call is settled.

    Written only by the SQL functions. `progress_*` is what had been relayed at the last lease renewal; the
    sweep settles an abandoned call at it.
    """

    class State(models.TextChoices):
        OPEN = "open"
        SETTLED = "settled"
        RELEASED = "released"

    request_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
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
        ApiKey,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    mode = models.CharField(max_length=4)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(max_length=120)
    price_version = models.ForeignKey(
        PriceVersion,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    upper_nanousd = models.BigIntegerField()
    budget_ids = ArrayField(models.BigIntegerField(), default=list)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    owner = models.UUIDField(help_text="The gateway process that holds the lease.")
    lease_until = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    progress_input_tokens = models.BigIntegerField(default=0)
    progress_output_tokens = models.BigIntegerField(default=0)
    progress_nanousd = models.BigIntegerField(default=0)
    streamed = models.BooleanField(default=False)
    charge_nanousd = models.BigIntegerField(null=True)
    swept_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(upper_nanousd__gte=0), name="reservation_upper_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(charge_nanousd__isnull=True)
                | models.Q(charge_nanousd__gte=0, charge_nanousd__lte=models.F("upper_nanousd")),
                name="charge_within_reservation",
            ),
        ]
        indexes = [
            # The sweep: open reservations whose lease has ended.
            models.Index(
                fields=["lease_until"],
                condition=models.Q(state="open"),
                name="reservation_open_leases",
            ),
            # Making a counter in mid-period adopts open reservations. No other index: each costs every call twice.
            models.Index(
                fields=["organization"],
                condition=models.Q(state="open"),
                name="reservation_open_by_org",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} {self.state}"


class TokenCounts(models.Model):
    """The token classes and units of one call or of a sum; cached tokens are inside `input_tokens`."""

    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class UsageEvent(TokenCounts):
    """
    One call: what it used, what it cost, how it ended. Append-only, partitioned by the month of admission.

    `price_nanousd` is the price by the rates; `charge_nanousd` what was posted (0 for test keys and waived
    calls). `occurred_at` is the moment of admission, so an id always falls into the same partition and the
    primary key (request_id, occurred_at) of the table keeps it unique for ever.
    """

    class Basis(models.TextChoices):
        REPORTED = "reported"
        COUNTED = "counted"
        ESTIMATED = "estimated"
        WAIVED = "waived"

    class Outcome(models.TextChoices):
        FINISHED = "finished"
        CLIENT_LEFT = "client_left"
        FAILED = "failed"
        EMPTY = "empty"
        LOST = "lost"

    request_id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    settled_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, db_constraint=False, null=True, related_name="+"
    )
    mode = models.CharField(max_length=4)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(max_length=120)
    provider = models.CharField(max_length=60, default="")
    upstream_model = models.CharField(max_length=200, default="")
    upstream_id = models.CharField(max_length=200, default="")
    streamed = models.BooleanField(default=False)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    basis = models.CharField(max_length=10, choices=Basis.choices)
    status = models.PositiveSmallIntegerField(default=200)
    error_code = models.CharField(max_length=60, default="")
    finish_reason = models.CharField(max_length=40, default="")
    usage_details = models.JSONField(
        default=dict, help_text="Every other token class and unit, when not zero."
    )
    price_version = models.ForeignKey(
        PriceVersion, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    upper_nanousd = models.BigIntegerField()
    price_nanousd = models.BigIntegerField()
    charge_nanousd = models.BigIntegerField()
    provider_cost_nanousd = models.BigIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    first_token_ms = models.IntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    client_request_id = models.CharField(max_length=200, default="")
    invoice_line_id = models.BigIntegerField(null=True)

    class Meta:
        managed = False  # made by a migration in SQL, since Django knows no partitions

    def __str__(self) -> str:
        return f"{self.request_id} {self.model}"


class Attempt(models.Model):
    """One try at one provider on behalf of a request; a request has as many as it needed."""

    request_id = models.UUIDField()
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=60)
    upstream_model = models.CharField(max_length=200)
    upstream_id = models.CharField(max_length=200, default="")
    status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=60, default="")
    provider_cost_nanousd = models.BigIntegerField(null=True)
    first_byte_ms = models.IntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    started_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request_id", "number"], name="one_attempt_each_number")
        ]

    def __str__(self) -> str:
        return f"{self.request_id} #{self.number} {self.provider}"


class UsageRollup(TokenCounts):
    """Sums of one hour, for pages only; invoices are made from events."""

    hour = models.DateTimeField()
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    model = models.CharField(max_length=120)
    mode = models.CharField(max_length=4)
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    price_nanousd = models.BigIntegerField(default=0)
    charge_nanousd = models.BigIntegerField(default=0)
    provider_cost_nanousd = models.BigIntegerField(default=0)
    duration_ms = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "hour", "project", "key", "model", "mode"],
                name="one_rollup_each_hour",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.model}"


class OutboxMessage(models.Model):
    """A settled event that the aggregator has not yet taken; written in the settlement's transaction."""

    request_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )

    class Meta:
        # Pages add what is not yet rolled up to what is.
        indexes = [models.Index(fields=["organization"], name="outbox_by_organization")]

    def __str__(self) -> str:
        return str(self.request_id)


class LedgerAccount(models.Model):
    """An account of the double-entry ledger; house accounts have no organization."""

    class Kind(models.TextChoices):
        WALLET = "wallet"
        RECEIVABLE = "receivable"
        UNBILLED = "unbilled"
        ROUNDING_CARRY = "rounding_carry"
        DISPUTED = "disputed"
        STRIPE_CLEARING = "stripe_clearing"
        REVENUE = "revenue"
        PROMO_EXPENSE = "promo_expense"
        BREAKAGE = "breakage"
        TAX_PAYABLE = "tax_payable"
        BAD_DEBT = "bad_debt"
        DISPUTE_FEES = "dispute_fees"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger_accounts",
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind"], name="one_account_each_kind", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization or 'house'}: {self.kind}"


class LedgerTransfer(models.Model):
    """
    One balanced posting: an amount is debited to one account and credited to another; append-only by trigger.

    A business event of several legs shares its idempotency key and numbers them. An amount is never negative;
    a reversal is a new transfer the other way round.
    """

    idempotency_key = models.CharField(max_length=120)
    leg = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=30)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    debit_account = models.ForeignKey(
        LedgerAccount,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="debits",
    )
    credit_account = models.ForeignKey(
        LedgerAccount,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="credits",
    )
    amount_nanousd = models.BigIntegerField()
    reason = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["idempotency_key", "leg"], name="one_transfer_each_leg"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_nanousd__gt=0), name="transfer_amount_positive"
            ),
            models.CheckConstraint(
                condition=~models.Q(debit_account=models.F("credit_account")),
                name="transfer_between_two_accounts",
            ),
        ]
        # The wallet page: one organization's postings, newest first.
        indexes = [models.Index(fields=["organization", "-id"], name="transfers_by_organization")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_nanousd}"


class CreditLot(models.Model):
    """Credit that entered a wallet at one time, from one source, perhaps with an end."""

    class Source(models.TextChoices):
        TRIAL = "trial"
        GRANT = "grant"
        PURCHASE = "purchase"

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="credit_lots"
    )
    source = models.CharField(max_length=8, choices=Source.choices)
    idempotency_key = models.CharField(max_length=120, unique=True)
    amount_nanousd = models.BigIntegerField()
    remaining_nanousd = models.BigIntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    remaining_nanousd__gte=0, remaining_nanousd__lte=models.F("amount_nanousd")
                ),
                name="lot_remaining_within_amount",
            )
        ]
        # Draw order: what expires first, then what came first.
        indexes = [
            models.Index(
                fields=["organization", "expires_at", "created_at"], name="lots_in_draw_order"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.amount_nanousd}"
