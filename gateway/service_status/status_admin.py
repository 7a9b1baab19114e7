"""Staff tell of incidents here; the public status page shows them within half a minute."""

# mypy: disable-error-code="type-arg"
# At run time Django's admin classes take no type arguments.

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin import ReadOnly
from gateway.models import Incident, IncidentUpdate, ProbeMinute


class UpdateInline(admin.TabularInline):
    """What was said of an incident; a new line for each update."""

    model = IncidentUpdate
    extra = 1
    ordering = ["at"]


@admin.register(ProbeMinute)
class ProbeMinuteAdmin(ReadOnly, admin.ModelAdmin):
    """What the probes of the status page found, minute by minute."""

    list_display = ["at", "component", "works", "took_ms"]
    list_filter = ["component", "works"]
    search_fields = ["component"]
    ordering = ["-at", "component"]


@admin.register(IncidentUpdate)
class IncidentUpdateAdmin(ReadOnly, admin.ModelAdmin):
    """All that was said of incidents; it is written on the incident's page."""

    list_display = ["at", "incident", "state"]
    list_filter = ["state"]
    list_select_related = ["incident"]
    search_fields = ["incident__title", "body"]
    ordering = ["-at"]


@admin.register(Incident)
class IncidentAdmin(admin.ModelAdmin):
    """Incidents, newest first. An update `resolved` ends the incident at its time."""

    list_display = ["title", "impact", "started_at", "resolved_at"]
    list_filter = ["impact", "resolved_at"]
    search_fields = ["title", "updates__body"]
    ordering = ["-started_at"]
    inlines = [UpdateInline]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store the updates; the first `resolved` ends an incident that has no end yet."""
        super().save_related(request, form, formsets, change)
        resolved = form.instance.updates.filter(state=IncidentUpdate.State.RESOLVED).order_by("at")
        if form.instance.resolved_at is None and (last := resolved.first()):
            Incident.objects.filter(pk=form.instance.pk).update(resolved_at=last.at)
