"""Support's view of refusals and of what organizations were told: to read, never to write."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import (
    AlertSettings,
    ChangedSpend,
    Notification,
    NotificationRead,
    RefusedRequest,
    WalletWatch,
)

ORGANIZATION = ["organization__public_id", "organization__name"]


@admin.register(RefusedRequest)
class RefusedRequestAdmin(ReadOnly, admin.ModelAdmin):
    """Why a request was refused: the counters are those of that moment."""

    search_fields = ["=request_id", *ORGANIZATION, "=key__public_id"]
    list_display = [
        "occurred_at",
        "request_id",
        "organization",
        "key",
        "status",
        "code",
        "scope",
        "period",
        "count",
    ]
    list_filter = ["code"]
    list_select_related = ["organization", "key"]
    show_full_result_count = False
    ordering = ["-request_id"]  # ids follow the time, and have an index


@admin.register(Notification)
class NotificationAdmin(ReadOnly, admin.ModelAdmin):
    """What an organization was told, and whether the mail is out."""

    search_fields = ["=public_id", *ORGANIZATION]
    list_display = ["created_at", "organization", "kind", "occasion", "by_mail", "mailed_at"]
    list_filter = ["kind"]
    list_select_related = ["organization"]
    show_full_result_count = False
    ordering = ["-pk"]


@admin.register(NotificationRead)
class NotificationReadAdmin(ReadOnly, admin.ModelAdmin):
    """Who has read what."""

    search_fields = ["user__email", "=notification__public_id"]
    list_display = ["read_at", "user", "notification"]
    list_select_related = ["user", "notification"]
    show_full_result_count = False
    ordering = ["-pk"]


@admin.register(AlertSettings)
class AlertSettingsAdmin(ReadOnly, admin.ModelAdmin):
    """What an organization wants to hear of, where it has changed that."""

    search_fields = ORGANIZATION
    list_display = [
        "organization",
        "thresholds",
        "budgets",
        "wallet",
        "spikes",
        "by_mail",
        "freeze_on_spike",
    ]
    list_select_related = ["organization"]


@admin.register(WalletWatch)
class WalletWatchAdmin(ReadOnly, admin.ModelAdmin):
    """Of what credit the alerts tell the used share."""

    search_fields = ORGANIZATION
    list_display = ["organization", "since", "base_nanousd", "credited_nanousd", "posted_nanousd"]
    list_select_related = ["organization"]


@admin.register(ChangedSpend)
class ChangedSpendAdmin(ReadOnly, admin.ModelAdmin):
    """Organizations whose alerts are to be looked at; a row that stays means that the worker does not."""

    search_fields = ORGANIZATION
    list_display = ["organization"]
    list_select_related = ["organization"]
