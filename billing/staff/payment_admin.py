"""Support's view of payments through Stripe and of late settlements; only a refund can be made, with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.admin import ReadOnly
from accounts.models import User
from billing import stripe_client
from billing.models import (
    AutoTopUp,
    Dispute,
    LotDraw,
    Refund,
    StripeCustomer,
    StripeEvent,
    TopUp,
    TrueUp,
)
from billing.payments import refunds

ORGANIZATION = ["organization__public_id", "organization__name"]


@admin.register(TopUp)
class TopUpAdmin(ReadOnly, admin.ModelAdmin):
    """Credit that was bought, or is about to be."""

    search_fields = [*ORGANIZATION, "=uuid", "=checkout_id", "=payment_intent_id"]
    list_display = [
        "created_at",
        "organization",
        "net_cents",
        "tax_cents",
        "state",
        "way",
        "refunded_cents",
        "failure",
    ]
    list_filter = ["state", "way"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]


class RefundForm(forms.ModelForm):
    """Unused credit of one payment that goes back; the window that customers have does not bind staff."""

    net_cents = forms.IntegerField(min_value=1, label="Cents, without tax")
    reason = forms.CharField(max_length=180, help_text="Kept in the audit log of the organization.")

    class Meta:
        model = Refund
        fields = ["topup", "net_cents", "reason"]

    def clean(self) -> dict[str, Any]:
        """Refuse more than is unused."""
        cleaned = super().clean() or self.cleaned_data
        topup, cents = cleaned.get("topup"), cleaned.get("net_cents")
        if not stripe_client.is_on():
            raise ValidationError("Payments are switched off: no Stripe key is set.")
        if topup and cents:
            most = refunds.most_cents(topup, by_staff=True)
            if cents > most:
                raise ValidationError({"net_cents": f"{most} cents of it are unused and not held."})
        return cleaned


@admin.register(Refund)
class RefundAdmin(admin.ModelAdmin):
    """What went back of payments. Adding one gives the money back at once."""

    form = RefundForm
    search_fields = [
        "=uuid",
        "=stripe_id",
        "=topup__uuid",
        "topup__organization__name",
        "topup__organization__public_id",
    ]
    list_display = [
        "created_at",
        "topup",
        "net_cents",
        "tax_cents",
        "state",
        "reason",
        "actor",
    ]
    list_filter = ["state"]
    list_select_related = ["topup", "actor"]
    autocomplete_fields = ["topup"]
    ordering = ["-created_at"]

    def save_model(self, request: HttpRequest, obj: Refund, form: Any, change: bool) -> None:
        """Give the money back through the service, which writes the audit event."""
        made = refunds.ask(
            form.cleaned_data["topup"],
            net_cents=form.cleaned_data["net_cents"],
            reason=form.cleaned_data["reason"],
            actor=request.user if isinstance(request.user, User) else None,
            by_staff=True,
        )
        obj.pk, obj.state = made.pk, made.state

    def has_change_permission(self, request: HttpRequest, obj: Refund | None = None) -> bool:
        """A refund is made, never changed."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Refund | None = None) -> bool:
        """A refund stays on record."""
        return False


@admin.register(AutoTopUp)
class AutoTopUpAdmin(ReadOnly, admin.ModelAdmin):
    """Which wallets fill themselves, within what was agreed."""

    search_fields = ORGANIZATION
    list_display = [
        "organization",
        "is_on",
        "threshold_cents",
        "target_cents",
        "ceiling_cents",
        "declines",
        "off_reason",
    ]
    list_filter = ["is_on"]
    list_select_related = ["organization"]
    ordering = ["organization__name"]


@admin.register(LotDraw)
class LotDrawAdmin(ReadOnly, admin.ModelAdmin):
    """Which credit has paid for what was used."""

    search_fields = ["lot__organization__name", "lot__organization__public_id"]
    list_display = ["created_at", "lot", "amount_nanousd"]
    list_select_related = ["lot"]
    ordering = ["-id"]


@admin.register(StripeCustomer)
class StripeCustomerAdmin(ReadOnly, admin.ModelAdmin):
    """Who an organization is at Stripe."""

    search_fields = [*ORGANIZATION, "=stripe_id"]
    list_display = ["organization", "stripe_id", "generation", "created_at", "replaced_at"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]


@admin.register(Dispute)
class DisputeAdmin(ReadOnly, admin.ModelAdmin):
    """Payments that a bank took back."""

    search_fields = ["=stripe_id", "=topup__uuid", "topup__organization__name"]
    list_display = [
        "created_at",
        "stripe_id",
        "topup",
        "status",
        "withdrawn_cents",
        "reinstated_cents",
        "fee_cents",
    ]
    list_filter = ["status"]
    list_select_related = ["topup"]
    ordering = ["-created_at"]


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly, admin.ModelAdmin):
    """What Stripe told, and what was done about it."""

    search_fields = ["=event_id", "=object_id", "kind"]
    list_display = ["happened_at", "kind", "object_id", "applied_at", "note"]
    list_filter = [("applied_at", admin.EmptyFieldListFilter), "api_version"]
    ordering = ["-happened_at"]


@admin.register(TrueUp)
class TrueUpAdmin(ReadOnly, admin.ModelAdmin):
    """Calls that were settled late, after the sweep had ended them at an estimate."""

    search_fields = [*ORGANIZATION, "=request_id"]
    list_display = [
        "created_at",
        "organization",
        "request_id",
        "estimated_nanousd",
        "wanted_nanousd",
        "applied_nanousd",
        "was_invoiced",
    ]
    list_select_related = ["organization"]
    ordering = ["-created_at"]
