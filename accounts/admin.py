"""Support's view of users, organizations, members, projects and the audit trail."""

from typing import Any

import allauth.socialaccount.admin  # noqa: F401  registers what is taken back below
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.http import HttpRequest
from hijack.contrib.admin import HijackUserAdminMixin

from accounts import staff_door
from accounts.models import AuditEvent, Invitation, Membership, Organization, Project, User

# Staff log in where everybody does: with rate limits, second factor and passkeys.
admin.site.login = staff_door.login  # type: ignore[method-assign]
admin.site.has_permission = staff_door.is_let_in  # type: ignore[method-assign]
admin.site.site_header = "Exerati support"
admin.site.site_title = "Exerati support"


class ReadOnly:
    """For rows that only the program writes: money, and all that is append-only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes a row by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a row by hand."""
        return False


class UserCreationForm(BaseUserCreationForm):
    """Django's form of a new user, with the email address in place of a user name."""

    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(HijackUserAdminMixin, DjangoUserAdmin):  # type: ignore[misc]  # hijack ships no types
    """Users, with a button to see the site as they do."""

    add_form = UserCreationForm
    ordering = ["email"]
    search_fields = ["email", "first_name", "last_name", "memberships__organization__public_id"]
    list_display = ["email", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_staff", "is_active"]
    readonly_fields = ["date_joined", "last_login"]
    fieldsets = [
        (None, {"fields": ["email", "password", "first_name", "last_name", "time_zone"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        ("Times", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "password1", "password2"]})]


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):
    """Organizations with their caps."""

    search_fields = ["name", "slug", "public_id", "memberships__user__email"]
    list_display = ["name", "slug", "public_id", "created_at", "suspended_at"]
    list_filter = [("suspended_at", admin.EmptyFieldListFilter)]
    readonly_fields = ["public_id", "created_at"]
    ordering = ["-created_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        """An organization has usage and ledger rows, which must stay: suspend it instead."""
        return False


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    """Who belongs to which organization."""

    search_fields = ["user__email", "organization__name", "organization__public_id", "public_id"]
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "organization"]
    autocomplete_fields = ["user", "organization"]
    readonly_fields = ["public_id", "created_at"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, admin.ModelAdmin):
    """Who was invited to where; sent and withdrawn by the organization itself."""

    search_fields = ["email", "public_id", "organization__name", "organization__public_id"]
    list_display = ["email", "organization", "role", "sent_at", "accepted_at", "withdrawn_at"]
    list_select_related = ["organization"]
    ordering = ["-sent_at"]


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    """Projects with their caps."""

    search_fields = ["name", "public_id", "organization__name", "organization__public_id"]
    list_display = ["name", "organization", "public_id", "is_default", "archived_at"]
    list_select_related = ["organization"]
    autocomplete_fields = ["organization"]
    readonly_fields = ["public_id", "created_at"]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, admin.ModelAdmin):
    """Who did what; never changed."""

    search_fields = ["action", "target", "actor__email", "organization__public_id"]
    list_display = ["occurred_at", "organization", "action", "target", "actor"]
    list_select_related = ["organization", "actor"]
    date_hierarchy = "occurred_at"
    ordering = ["-occurred_at"]


# Providers are set up in the environment, tokens are not kept, and who is who at a provider is not for hands to change.
admin.site.unregister([SocialApp, SocialToken, SocialAccount])


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnly, admin.ModelAdmin):
    """Which accounts of other sites people sign in with; connected and disconnected by them alone."""

    search_fields = ["user__email", "uid"]
    list_display = ["user", "provider", "uid", "date_joined", "last_login"]
    list_select_related = ["user"]
    list_filter = ["provider"]
    ordering = ["-date_joined"]
