"""Support's view of how organizations pay: plans and terms are changed here, with a reason, by their services."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from billing import plans
from billing.models import Adjustment, BillingAccount
from exerati.lib import money


class TermsForm(forms.ModelForm):
    """Plan, credit limit in USD and way of payment, and why they are changed."""

    limit_usd = forms.CharField(
        label="Credit limit in USD", help_text="How much may be owed while postpaid: 100 or 2500.50"
    )
    reason = forms.CharField(max_length=200, help_text="Kept in the audit trail.")

    class Meta:
        model = BillingAccount
        fields = ["organization", "plan", "collection", "days_until_due"]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["limit_usd"].initial = money.usd_text(self.instance.agreed_limit_nanousd)

    def clean_limit_usd(self) -> int:
        """Return nano-USD."""
        try:
            limit = money.parse_usd(self.cleaned_data["limit_usd"])
        except ValueError as error:
            raise forms.ValidationError("This is not an amount in USD.") from error
        if limit < 0:
            raise forms.ValidationError("A limit is not below zero.")
        return limit


@admin.register(BillingAccount)
class BillingAccountAdmin(admin.ModelAdmin):
    """How an organization pays, and how far it may go below zero."""

    form = TermsForm
    search_fields = ["organization__public_id", "organization__name"]
    list_display = [
        "organization",
        "plan",
        "agreed_limit_nanousd",
        "credit_limit_nanousd",
        "collection",
        "blocked_at",
    ]
    list_filter = ["plan", "collection", ("blocked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["organization"]
    autocomplete_fields = ["organization"]
    fields = [
        "organization",
        "plan",
        "limit_usd",
        "collection",
        "days_until_due",
        "reason",
        "credit_limit_nanousd",
        "blocked_at",
        "created_at",
    ]
    readonly_fields = ["credit_limit_nanousd", "blocked_at", "created_at"]

    def save_model(
        self, request: HttpRequest, obj: BillingAccount, form: Any, change: bool
    ) -> None:
        """Change plan and terms through their services, which write the audit events."""
        now, said = timezone.now(), form.cleaned_data
        reason, actor = said["reason"], _staff(request)
        before = plans.account(obj.organization)
        row = plans.change_terms(
            obj.organization,
            limit_nanousd=said["limit_usd"],
            collection=said["collection"],
            days_until_due=said["days_until_due"],
            reason=reason,
            actor=actor,
            now=now,
        )
        if before.plan != said["plan"]:
            row = plans.switch(
                obj.organization, plan=said["plan"], reason=reason, actor=actor, now=now
            )
        obj.pk = row.pk

    def get_readonly_fields(
        self, request: HttpRequest, obj: BillingAccount | None = None
    ) -> list[str]:
        """An account stays with its organization."""
        return [*self.readonly_fields, "organization"] if obj else list(self.readonly_fields)

    def has_delete_permission(
        self, request: HttpRequest, obj: BillingAccount | None = None
    ) -> bool:
        """The plan is changed, never deleted."""
        return False


class AdjustmentForm(forms.ModelForm):
    """An amount in USD to add to the next invoice, or to take off, below zero."""

    amount_usd = forms.CharField(label="Amount in USD", help_text="-12.50 takes $12.50 off.")

    class Meta:
        model = Adjustment
        fields = ["organization", "reason"]

    def clean_amount_usd(self) -> int:
        """Return nano-USD."""
        try:
            amount = money.parse_usd(self.cleaned_data["amount_usd"])
        except ValueError as error:
            raise forms.ValidationError("This is not an amount in USD.") from error
        if not amount:
            raise forms.ValidationError("An adjustment changes something.")
        return amount


@admin.register(Adjustment)
class AdjustmentAdmin(admin.ModelAdmin):
    """Corrections of the next invoice; one that is made stays."""

    form = AdjustmentForm
    search_fields = ["organization__public_id", "organization__name", "reason"]
    list_display = [
        "created_at",
        "organization",
        "amount_nanousd",
        "reason",
        "actor",
        "invoice",
    ]
    list_select_related = ["organization", "actor", "invoice"]
    autocomplete_fields = ["organization"]
    ordering = ["-created_at"]

    def save_model(self, request: HttpRequest, obj: Adjustment, form: Any, change: bool) -> None:
        """Make the adjustment through its service, which posts it and writes the audit event."""
        made = plans.adjust(
            obj.organization,
            amount_nanousd=form.cleaned_data["amount_usd"],
            reason=obj.reason,
            actor=_staff(request),
        )
        obj.pk = made.pk

    def has_change_permission(self, request: HttpRequest, obj: Adjustment | None = None) -> bool:
        """An adjustment is corrected by another one."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Adjustment | None = None) -> bool:
        """An adjustment stays on record."""
        return False


def _staff(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
