"""Support's view of prices, budgets, usage, ledger and credit: to read, never to write."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import (
    Attempt,
    Budget,
    CreditLot,
    LedgerAccount,
    LedgerTransfer,
    OutboxMessage,
    PriceVersion,
    ProviderCostVersion,
    Reservation,
    UsageEvent,
    UsageRollup,
)
from billing.staff import alert_admin as alert_admin  # registers its tables
from billing.staff import day_admin as day_admin  # registers its tables
from billing.staff import invoice_admin as invoice_admin  # registers its tables
from billing.staff import payment_admin as payment_admin  # registers its tables
from billing.staff import plan_admin as plan_admin  # registers its tables
from billing.staff import raise_admin as raise_admin  # registers its table
from billing.staff import reconciliation_admin as reconciliation_admin  # registers its tables
from billing.staff import record_admin as record_admin  # registers its tables

ORGANIZATION = ["organization__public_id", "organization__name"]


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnly, admin.ModelAdmin):
    """What customers paid for a model, and from when."""

    search_fields = ["model"]
    list_display = [
        "model",
        "effective_from",
        "input_microusd_per_mtok",
        "output_microusd_per_mtok",
        "source",
    ]
    ordering = ["model", "-effective_from"]


@admin.register(ProviderCostVersion)
class ProviderCostVersionAdmin(ReadOnly, admin.ModelAdmin):
    """What a provider charged us, and from when."""

    search_fields = ["provider", "upstream_model"]
    list_display = [
        "provider",
        "upstream_model",
        "effective_from",
        "input_microusd_per_mtok",
        "output_microusd_per_mtok",
        "source",
    ]
    list_filter = ["provider"]
    ordering = ["provider", "upstream_model", "-effective_from"]


@admin.register(Budget)
class BudgetAdmin(ReadOnly, admin.ModelAdmin):
    """Counters of every scope and period, the wallet among them."""

    search_fields = [*ORGANIZATION, "model"]
    list_display = [
        "organization",
        "scope",
        "scope_id",
        "model",
        "period",
        "period_start",
        "posted_nanousd",
        "held_nanousd",
        "credited_nanousd",
    ]
    list_filter = ["scope", "period"]
    list_select_related = ["organization"]
    ordering = ["-period_start", "organization", "scope"]


@admin.register(Reservation)
class ReservationAdmin(ReadOnly, admin.ModelAdmin):
    """Upper bounds of calls, open and done."""

    search_fields = ["=request_id", "key__public_id", "key__key_prefix", *ORGANIZATION]
    list_display = [
        "request_id",
        "organization",
        "key",
        "model",
        "state",
        "upper_nanousd",
        "charge_nanousd",
        "created_at",
        "swept_at",
    ]
    list_filter = ["state", "mode"]
    list_select_related = ["organization", "key"]
    show_full_result_count = False
    ordering = ["-created_at"]


@admin.register(UsageEvent)
class UsageEventAdmin(ReadOnly, admin.ModelAdmin):
    """Every call with what it used and cost."""

    search_fields = [
        "=request_id",
        "=upstream_id",
        "key__public_id",
        "key__key_prefix",
        *ORGANIZATION,
    ]
    list_display = [
        "occurred_at",
        "request_id",
        "organization",
        "key",
        "model",
        "status",
        "outcome",
        "basis",
        "charge_nanousd",
    ]
    list_filter = ["outcome", "basis", "mode"]
    list_select_related = ["organization", "key"]
    show_full_result_count = False  # counting a partitioned table of every call is dear
    ordering = ["-occurred_at"]


@admin.register(Attempt)
class AttemptAdmin(ReadOnly, admin.ModelAdmin):
    """Every try at a provider."""

    search_fields = ["=request_id", "=upstream_id"]
    list_display = ["started_at", "request_id", "number", "provider", "upstream_model", "status"]
    list_filter = ["provider"]
    show_full_result_count = False
    ordering = ["-started_at"]


@admin.register(UsageRollup)
class UsageRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Sums by the hour, for pages."""

    search_fields = [*ORGANIZATION, "key__public_id", "model"]
    list_display = ["hour", "organization", "key", "model", "mode", "requests", "charge_nanousd"]
    list_select_related = ["organization", "key"]
    show_full_result_count = False
    ordering = ["-hour"]


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, admin.ModelAdmin):
    """Settled calls which are not yet rolled up."""

    search_fields = ["=request_id", *ORGANIZATION]
    list_display = ["id", "request_id", "organization", "occurred_at"]
    list_select_related = ["organization"]
    ordering = ["-id"]


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnly, admin.ModelAdmin):
    """Accounts of the double-entry ledger."""

    search_fields = [*ORGANIZATION, "kind"]
    list_display = ["kind", "organization"]
    list_filter = ["kind"]
    list_select_related = ["organization"]


@admin.register(LedgerTransfer)
class LedgerTransferAdmin(ReadOnly, admin.ModelAdmin):
    """Every posting."""

    search_fields = ["=idempotency_key", *ORGANIZATION]
    list_display = [
        "created_at",
        "organization",
        "kind",
        "debit_account",
        "credit_account",
        "amount_nanousd",
        "reason",
    ]
    list_filter = ["kind"]
    list_select_related = [
        "organization",
        "debit_account__organization",
        "credit_account__organization",
    ]
    show_full_result_count = False
    ordering = ["-id"]


@admin.register(CreditLot)
class CreditLotAdmin(ReadOnly, admin.ModelAdmin):
    """Credit by the time it came in; `manage.py wallet grant` gives more."""

    search_fields = [*ORGANIZATION, "=idempotency_key"]
    list_display = [
        "created_at",
        "organization",
        "source",
        "amount_nanousd",
        "remaining_nanousd",
        "expires_at",
    ]
    list_filter = ["source"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]
