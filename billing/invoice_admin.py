"""Support's view of billing periods, invoices and how they come to their money; changed by actions with a reason."""

from django.contrib import admin

from accounts.admin import ReadOnly
from billing.models import (
    BillingPeriod,
    CreditNote,
    DunningStep,
    Invoice,
    InvoiceLine,
    InvoicePart,
    InvoiceShare,
    StripePush,
)

ORGANIZATION = ["organization__public_id", "organization__name"]
OF_INVOICE = ["=invoice__public_id", "=invoice__number", "=invoice__organization__public_id"]


@admin.register(BillingPeriod)
class BillingPeriodAdmin(ReadOnly, admin.ModelAdmin):
    """The times that invoices are for."""

    search_fields = ORGANIZATION
    list_display = ["organization", "period_start", "period_end", "state", "ended_by"]
    list_filter = ["state", "ended_by"]
    list_select_related = ["organization"]
    ordering = ["-period_start"]


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly, admin.ModelAdmin):
    """What postpaid organizations are asked to pay."""

    search_fields = [*ORGANIZATION, "=public_id", "=number", "=stripe_id"]
    list_display = [
        "created_at",
        "organization",
        "number",
        "state",
        "net_cents",
        "tax_cents",
        "credited_cents",
        "due_at",
        "paid_at",
        "problem",
    ]
    list_filter = ["state", "collection", ("problem", admin.EmptyFieldListFilter)]
    list_select_related = ["organization"]
    ordering = ["-created_at"]


@admin.register(InvoiceLine)
class InvoiceLineAdmin(ReadOnly, admin.ModelAdmin):
    """Calls of one model at one price, claimed by an invoice."""

    search_fields = [*OF_INVOICE, "model", "=public_id"]
    list_display = ["invoice", "model", "price_version", "is_late", "requests", "charge_nanousd"]
    list_filter = ["is_late"]
    list_select_related = ["invoice", "price_version"]
    ordering = ["-pk"]


@admin.register(InvoicePart)
class InvoicePartAdmin(ReadOnly, admin.ModelAdmin):
    """Token classes of lines."""

    search_fields = ["=line__invoice__public_id", "=line__invoice__number", "description"]
    list_display = ["line", "token_class", "quantity", "rate", "amount_nanousd", "amount_cents"]
    list_filter = ["token_class", "is_other"]
    list_select_related = ["line"]
    ordering = ["-pk"]


@admin.register(InvoiceShare)
class InvoiceShareAdmin(ReadOnly, admin.ModelAdmin):
    """What of invoices keys have spent."""

    search_fields = [*OF_INVOICE, "=key__public_id", "model"]
    list_display = ["invoice", "project", "key", "model", "requests", "charge_nanousd"]
    list_select_related = ["invoice", "project", "key"]
    ordering = ["-pk"]


@admin.register(StripePush)
class StripePushAdmin(ReadOnly, admin.ModelAdmin):
    """Steps of invoices on their way to Stripe."""

    search_fields = [*OF_INVOICE, "=stripe_id", "=key"]
    list_display = ["started_at", "invoice", "step", "generation", "state", "stripe_id", "note"]
    list_filter = ["state", "step"]
    list_select_related = ["invoice"]
    ordering = ["-started_at"]


@admin.register(DunningStep)
class DunningStepAdmin(ReadOnly, admin.ModelAdmin):
    """What was done, and is to be done, about invoices that were not paid."""

    search_fields = [*OF_INVOICE, "invoice__organization__name"]
    list_display = ["invoice", "step", "due_at", "done_at", "outcome"]
    list_filter = ["step", ("done_at", admin.EmptyFieldListFilter)]
    list_select_related = ["invoice"]
    ordering = ["-due_at"]


@admin.register(CreditNote)
class CreditNoteAdmin(ReadOnly, admin.ModelAdmin):
    """Corrections of final invoices."""

    search_fields = [*OF_INVOICE, "=number", "=stripe_id", "reason"]
    list_display = ["created_at", "invoice", "net_cents", "tax_cents", "number", "reason", "actor"]
    list_select_related = ["invoice", "actor"]
    ordering = ["-created_at"]
