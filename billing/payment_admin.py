"""Support's view of payments through Stripe and of late settlements; all of it is read-only."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import Dispute, StripeCustomer, StripeEvent, TopUp, TrueUp

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
        "refunded_cents",
        "failure",
    ]
    list_filter = ["state"]
    list_select_related = ["organization"]
    ordering = ["-created_at"]


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
    list_filter = [("applied_at", admin.EmptyFieldListFilter)]
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
