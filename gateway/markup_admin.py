"""Support's view of markup rules: made with a reason, never changed; another rule takes the place of one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from billing.models import MarkupRule
from gateway import markups
from gateway.models import Model


class RuleForm(forms.ModelForm):
    """A rule of one organization or one plan, for a model of the catalog or all."""

    class Meta:
        model = MarkupRule
        fields = ["organization", "plan", "model", "percent", "reason"]

    def clean_model(self) -> str:
        """Refuse a model that is not in the catalog."""
        name = str(self.cleaned_data["model"]).strip()
        if name and not Model.objects.filter(name=name).exists():
            raise forms.ValidationError("The catalog has no such model.")
        return name

    def clean(self) -> dict[str, Any]:
        """Refuse a rule of nobody, and one of two."""
        values = super().clean() or {}
        if bool(values.get("organization")) == bool(values.get("plan")):
            raise forms.ValidationError("Choose an organization or a plan.")
        return values


@admin.register(MarkupRule)
class MarkupRuleAdmin(admin.ModelAdmin):
    """What single organizations, and everybody on a plan, pay on top of provider cost."""

    form = RuleForm
    search_fields = ["organization__public_id", "organization__name", "model"]
    list_display = ["created_at", "organization", "plan", "model", "percent", "reason", "actor"]
    list_select_related = ["organization", "actor"]
    autocomplete_fields = ["organization"]
    ordering = ["-created_at"]

    def save_model(self, request: HttpRequest, obj: MarkupRule, form: Any, change: bool) -> None:
        """Make the rule through its service, which makes the prices and the audit event."""
        rule, applied = markups.set_rule(
            obj.organization or obj.plan,
            model=obj.model,
            percent=obj.percent,
            reason=obj.reason,
            actor=request.user if isinstance(request.user, User) else None,
            now=timezone.now(),
        )
        obj.pk = rule.pk
        messages.info(request, f"{applied.made} prices made; they hold within a second.")
        if applied.without_cost:
            names = ", ".join(applied.without_cost[:20])
            messages.warning(
                request, f"At list price still, since their cost is not known: {names}"
            )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rule that was made stays as it is."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rule stays on record."""
        return False
