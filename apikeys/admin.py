"""Support's view of API keys; their secrets are nowhere."""

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import ReadOnly
from accounts.models import User
from apikeys import leaks, services
from apikeys.models import ApiKey, KeyLeak, KeyModelBudget


class KeyModelBudgetInline(admin.TabularInline):
    """A key's caps by model."""

    model = KeyModelBudget
    extra = 0


class LeakForm(ActionForm):
    """Where a key was found, for the action that says so."""

    place = forms.CharField(
        required=False,
        max_length=leaks.MOST_PLACE,
        label="Found at",
        widget=forms.TextInput(attrs={"size": 40}),
    )


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys are made and changed by their organization; support may read and revoke."""

    search_fields = [
        "name",
        "public_id",
        "key_prefix",
        "key_last4",
        "created_by__email",
        "organization__name",
        "organization__public_id",
    ]
    list_display = ["name", "shown", "organization", "mode", "created_at", "last_used_at", "state"]
    list_filter = ["mode", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["organization"]
    ordering = ["-created_at"]
    inlines = [KeyModelBudgetInline]
    actions = ["revoke", "found_in_public"]
    action_form = LeakForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A key is made where its secret can be shown to its owner."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A change must reach the gateways and the audit trail, so it goes through the services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Usage rows name the key: revoke it instead."""
        return False

    @admin.display(description="status")
    def state(self, key: ApiKey) -> str:
        """Return what the key is now."""
        return key.status_at(timezone.now())

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        """End the keys for good, each with an audit event."""
        for key in chosen.select_related("organization"):
            services.revoke_key(key, actor=cast(User, request.user))
        self.message_user(request, f"Revoked: {len(chosen)}.", messages.SUCCESS)

    @admin.action(description="The selected keys were found in public at …", permissions=["revoke"])
    def found_in_public(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        """Do with the keys as their organizations chose, and tell them."""
        place = request.POST.get("place", "").strip()
        if not place:
            self.message_user(request, "Say where the key was found.", messages.ERROR)
            return
        for key in chosen.select_related("organization"):
            leaks.mark(key, place=place, source=leaks.STAFF, actor=cast(User, request.user))
        self.message_user(request, f"Told to be leaked: {len(chosen)}.", messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Say whether this member of staff may revoke keys: whoever holds Django's change permission."""
        return request.user.has_perm("apikeys.change_apikey")


@admin.register(KeyModelBudget)
class KeyModelBudgetAdmin(ReadOnly, admin.ModelAdmin):
    """Caps of one key on one model."""

    search_fields = ["model", "key__public_id", "key__key_prefix"]
    list_display = ["key", "model", "period", "cap_nanousd"]
    list_select_related = ["key"]


@admin.register(KeyLeak)
class KeyLeakAdmin(ReadOnly, admin.ModelAdmin):
    """Secrets that were found in public, and what was done."""

    search_fields = ["key__public_id", "key__key_prefix", "key__organization__name", "place"]
    list_display = ["key", "last4", "place", "source", "done", "found_at"]
    list_filter = ["done"]
    list_select_related = ["key"]
    ordering = ["-found_at"]
