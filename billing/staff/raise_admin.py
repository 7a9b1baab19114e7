"""Support's view of temporary raises: made with a reason, ended early, never changed or deleted."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Project, User
from apikeys.models import ApiKey
from billing import raises
from billing.models import BudgetRaise


class RaiseForm(forms.ModelForm):
    """The raise of one cap; `target` is the public id of a project or key, empty for the organization itself."""

    target = forms.CharField(required=False, help_text="Public id of a project or key, or empty.")

    class Meta:
        model = BudgetRaise
        fields = [
            "organization",
            "model",
            "period",
            "extra_nanousd",
            "starts_at",
            "ends_at",
            "reason",
        ]

    def clean(self) -> dict[str, Any]:
        """Find whose cap is raised, within the organization."""
        cleaned = super().clean() or self.cleaned_data
        organization, public_id = cleaned.get("organization"), cleaned.get("target")
        found: raises.Target | None = organization
        if organization and public_id:
            found = (
                Project.objects.filter(organization=organization, public_id=public_id).first()
                or ApiKey.objects.filter(organization=organization, public_id=public_id).first()
            )
        if organization and found is None:
            raise ValidationError({"target": "The organization has no such project or key."})
        if cleaned.get("model") and not isinstance(found, ApiKey):
            raise ValidationError({"model": "Only a key has caps on single models."})
        cleaned["found"] = found
        return cleaned


@admin.register(BudgetRaise)
class BudgetRaiseAdmin(admin.ModelAdmin):
    """What caps are raised by for a time."""

    form = RaiseForm
    search_fields = ["organization__public_id", "organization__name", "reason"]
    list_display = [
        "organization",
        "scope",
        "period",
        "extra_nanousd",
        "starts_at",
        "ends_at",
        "created_by",
        "reason",
    ]
    list_select_related = ["organization", "created_by"]
    list_filter = ["scope", "period"]
    autocomplete_fields = ["organization"]
    ordering = ["-created_at"]
    actions = ["end_now"]

    def save_model(self, request: HttpRequest, obj: BudgetRaise, form: Any, change: bool) -> None:
        """Make the raise through its service, which writes the audit event."""
        made = raises.raise_cap(
            form.cleaned_data["found"],
            period=BudgetRaise.Period(obj.period),
            extra_nanousd=obj.extra_nanousd,
            starts_at=obj.starts_at,
            ends_at=obj.ends_at,
            reason=obj.reason,
            model=obj.model,
            actor=_staff(request),
        )
        obj.pk = made.pk

    @admin.action(description="End the raises now")
    def end_now(self, request: HttpRequest, chosen: QuerySet[BudgetRaise]) -> None:
        """End the raises that are chosen and hold."""
        now = timezone.now()
        ended = sum(raises.end_raise(row, now=now, actor=_staff(request)) for row in chosen)
        self.message_user(request, f"{ended} ended.")

    def has_change_permission(self, request: HttpRequest, obj: BudgetRaise | None = None) -> bool:
        """A raise may be ended by the action, not changed in its form."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: BudgetRaise | None = None) -> bool:
        """A raise stays on record."""
        return False


def _staff(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
