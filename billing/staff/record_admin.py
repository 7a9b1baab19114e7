"""Support's view of what runs behind the calls: sums for pages, draws of credit, saved views, kept bodies."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import (
    LatencyRollup,
    SavedView,
    StoredBody,
    TagRollup,
    WalletDraws,
    WalletHour,
)

ORGANIZATION = ["organization__public_id", "organization__name"]


@admin.register(TagRollup)
class TagRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Hourly sums by tag."""

    search_fields = [*ORGANIZATION, "tag", "model"]
    list_display = ["hour", "organization", "tag", "model", "mode", "requests", "charge_nanousd"]
    list_select_related = ["organization"]
    ordering = ["-hour"]


@admin.register(LatencyRollup)
class LatencyRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Hourly counts of how long calls took."""

    search_fields = [*ORGANIZATION, "model"]
    list_display = ["hour", "organization", "model", "mode"]
    list_select_related = ["organization"]
    ordering = ["-hour"]


@admin.register(WalletDraws)
class WalletDrawsAdmin(ReadOnly, admin.ModelAdmin):
    """How far each wallet's use was drawn of its credit."""

    search_fields = ORGANIZATION
    list_display = ["organization", "transfer_id", "posted_nanousd", "uncovered_nanousd"]
    list_select_related = ["organization"]
    ordering = ["organization"]


@admin.register(WalletHour)
class WalletHourAdmin(ReadOnly, admin.ModelAdmin):
    """What calls took from each wallet, by hour."""

    search_fields = ORGANIZATION
    list_display = ["hour", "organization", "postings", "taken_nanousd"]
    list_select_related = ["organization"]
    ordering = ["-hour"]


@admin.register(SavedView)
class SavedViewAdmin(ReadOnly, admin.ModelAdmin):
    """Filters of the request log that members keep."""

    search_fields = [*ORGANIZATION, "user__email", "name"]
    list_display = ["name", "organization", "user", "created_at"]
    list_select_related = ["organization", "user"]
    ordering = ["-created_at"]


@admin.register(StoredBody)
class StoredBodyAdmin(ReadOnly, admin.ModelAdmin):
    """That a body is kept and until when; what it says is read on the request's page alone, which leaves a trace."""

    search_fields = [*ORGANIZATION, "=request_id"]
    list_display = ["request_id", "organization", "stored_at", "expires_at"]
    list_select_related = ["organization"]
    exclude = ["sealed"]
    ordering = ["-stored_at"]
