"""Support's view of the sums of days that the usage pages read."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import LatencyDayRollup, TagDayRollup, UsageDayRollup
from billing.staff.record_admin import ORGANIZATION


class _DayAdmin(ReadOnly, admin.ModelAdmin):
    list_select_related = ["organization"]
    show_full_result_count = False
    ordering = ["-day"]


@admin.register(UsageDayRollup)
class UsageDayRollupAdmin(_DayAdmin):
    """Sums by the day."""

    search_fields = [*ORGANIZATION, "key__public_id", "model"]
    list_display = ["day", "organization", "key", "model", "mode", "requests", "charge_nanousd"]
    list_select_related = ["organization", "key"]


@admin.register(TagDayRollup)
class TagDayRollupAdmin(_DayAdmin):
    """Sums by the day and tag."""

    search_fields = [*ORGANIZATION, "tag", "model"]
    list_display = ["day", "organization", "tag", "model", "mode", "requests", "charge_nanousd"]


@admin.register(LatencyDayRollup)
class LatencyDayRollupAdmin(_DayAdmin):
    """Counts by the day of how long calls took."""

    search_fields = [*ORGANIZATION, "model"]
    list_display = ["day", "organization", "model", "mode"]
