"""How an organization pays, the counters of its budgets, and what open calls hold of them."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Organization, Project, User
from apikeys.models import ApiKey
from billing.models.prices import PriceVersion

DEFAULT_LIMIT_NANOUSD = 100_000_000_000  # until staff raise it


class BillingAccount(models.Model):
    """
    How an organization pays. Changed by `billing.plans` only.

    `credit_limit_nanousd` is the limit in effect, which admission adds to the wallet: the agreed one while the
    organization pays afterwards, and what is still owed of that time once it pays in advance again, so that debts
    do not eat new credit. `blocked_at`: an invoice is long overdue, and nothing is admitted until it is paid.
    """

    class Plan(models.TextChoices):
        PREPAID = "prepaid"
        POSTPAID = "postpaid"

    class Collection(models.TextChoices):
        CHARGE = "charge", "the card is charged"
        SEND = "send", "the invoice is sent"

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="billing_account"
    )
    plan = models.CharField(max_length=8, choices=Plan.choices, default=Plan.PREPAID)
    credit_limit_nanousd = models.BigIntegerField(default=0, editable=False)
    agreed_limit_nanousd = models.BigIntegerField(
        default=DEFAULT_LIMIT_NANOUSD, db_default=DEFAULT_LIMIT_NANOUSD
    )
    collection = models.CharField(
        max_length=6,
        choices=Collection.choices,
        default=Collection.CHARGE,
        db_default="charge",
    )
    days_until_due = models.PositiveSmallIntegerField(default=14, db_default=14)
    blocked_at = models.DateTimeField(null=True, blank=True)
    purchase_order = models.CharField(max_length=60, blank=True, default="", db_default="")
    cost_centre = models.CharField(max_length=60, blank=True, default="", db_default="")
    closing_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when the organization is ending."
    )
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(credit_limit_nanousd__gte=0, agreed_limit_nanousd__gte=0),
                name="limits_not_negative",
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization} ({self.plan})"


class Budget(models.Model):
    """
    The counters of one scope in one period; the caps themselves live on organization, member, project and key.

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
        MEMBER = "member"

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    scope = models.CharField(max_length=12, choices=Scope.choices)
    scope_id = models.BigIntegerField(
        help_text="Row id of the organization, project, key or membership."
    )
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


class BudgetRaise(models.Model):
    """
    What a cap is raised by for a time, `[starts_at, ends_at)`; where nothing is capped it changes nothing.

    `billing_caps` adds it at each admission. Rows are made by `billing.raises` and never changed but to end early.
    """

    class Scope(models.TextChoices):
        ORGANIZATION = "organization"
        PROJECT = "project"
        KEY = "key"
        KEY_MODEL = "key_model"

    class Period(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        TOTAL = "total"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="budget_raises"
    )
    scope = models.CharField(max_length=12, choices=Scope.choices)
    scope_id = models.BigIntegerField(help_text="Row id of the organization, project or key.")
    model = models.CharField(max_length=120, default="", blank=True)
    period = models.CharField(max_length=5, choices=Period.choices)
    extra_nanousd = models.BigIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(extra_nanousd__gt=0), name="raise_adds_something"
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__gte=models.F("starts_at")),
                name="raise_ends_after_start",
            ),
        ]
        # Admission: the raises of an organization that have not ended.
        indexes = [models.Index(fields=["organization", "ends_at"], name="raises_of_the_present")]

    def __str__(self) -> str:
        return f"{self.scope} {self.scope_id} {self.period} +{self.extra_nanousd}"


class Reservation(models.Model):
    """
    The upper bound of one call, held on every budget that applies until the call is settled.

    Written only by the SQL functions. `progress_*` is what had been relayed at the last lease renewal, what that
    cost us and at whom; the sweep settles an abandoned call at it.
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
    fallback_models = ArrayField(
        models.CharField(max_length=120), default=list, db_default=[], blank=True
    )
    price_version = models.ForeignKey(
        PriceVersion,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    service_tier = models.CharField(max_length=40, default="", db_default="", blank=True)
    upper_nanousd = models.BigIntegerField()
    input_cost_nanousd = models.BigIntegerField(
        null=True, help_text="What a provider may charge us as soon as it has the request."
    )
    extensions = models.PositiveSmallIntegerField(default=0, db_default=0)
    budget_ids = ArrayField(models.BigIntegerField(), default=list)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    owner = models.UUIDField(help_text="The gateway process that holds the lease.")
    lease_until = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    progress_input_tokens = models.BigIntegerField(default=0)
    progress_output_tokens = models.BigIntegerField(default=0)
    progress_nanousd = models.BigIntegerField(default=0)
    progress_cost_nanousd = models.BigIntegerField(null=True)
    progress_attempts = models.JSONField(null=True)
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
