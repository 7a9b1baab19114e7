"""Support's view of the sums of days that the usage pages read."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import LatencyDayRollup, TagDayRollup, UsageDayRollup

ORGANIZATION = ["organization__public_id", "organization__name"]


@admin.register(UsageDayRollup)
class UsageDayRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Sums by the day."""

    search_fields = [*ORGANIZATION, "key__public_id", "model"]
    list_display = ["day", "organization", "key", "model", "mode", "requests", "charge_nanousd"]
    list_select_related = ["organization", "key"]
    show_full_result_count = False
    ordering = ["-day"]


@admin.register(TagDayRollup)
class TagDayRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Sums by the day and tag."""

    search_fields = [*ORGANIZATION, "tag", "model"]
    list_display = ["day", "organization", "tag", "model", "mode", "requests", "charge_nanousd"]
    list_select_related = ["organization"]
    ordering = ["-day"]


@admin.register(LatencyDayRollup)
class LatencyDayRollupAdmin(ReadOnly, admin.ModelAdmin):
    """Counts by the day of how long calls took."""

    search_fields = [*ORGANIZATION, "model"]
    list_display = ["day", "organization", "model", "mode"]
    list_select_related = ["organization"]
    ordering = ["-day"]
