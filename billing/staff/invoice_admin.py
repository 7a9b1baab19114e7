"""Support's view of billing periods, invoices and how they come to their money; changed by actions with a reason."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import ReadOnly
from accounts.models import User
from billing import stripe_client
from billing.invoices import credit_notes, invoice_actions, invoice_returns
from billing.models import (
    BillingPeriod,
    CreditNote,
    DunningStep,
    Invoice,
    InvoiceDispute,
    InvoiceLine,
    InvoicePart,
    InvoiceRefund,
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


class InvoiceActionForm(ActionForm):
    """What an action on invoices wants beside them: why, and how much for a credit note or a refund."""

    reason = forms.CharField(max_length=200, required=False, label="Reason")
    cents = forms.IntegerField(
        min_value=1, required=False, label="Cents (credit note: without tax; refund: with it)"
    )


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly, admin.ModelAdmin):
    """What postpaid organizations are asked to pay."""

    action_form = InvoiceActionForm
    actions = ["credit", "refund", "go_on", "take_back", "lift_block"]

    search_fields = [*ORGANIZATION, "=public_id", "=number", "=stripe_id"]
    list_display = [
        "created_at",
        "organization",
        "number",
        "state",
        "net_cents",
        "tax_cents",
        "credited_cents",
        "returned_cents",
        "due_at",
        "paid_at",
        "problem",
    ]
    list_filter = ["state", "collection", ("problem", admin.EmptyFieldListFilter)]
    list_select_related = ["organization"]
    ordering = ["-created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        """Return the invoices, each with what of its payment went back."""
        return invoice_returns.with_returned(super().get_queryset(request))

    @admin.display(description="Went back (cents)")
    def returned_cents(self, invoice: Any) -> int:
        """Return what refunds and disputes took of the payment."""
        return int(invoice.refunded_cents + invoice.disputed_cents)

    @admin.action(description="Credit note over these cents")
    def credit(self, request: HttpRequest, chosen: QuerySet[Invoice]) -> None:
        """Take an amount off final invoices."""
        self._do_with_cents(
            request,
            chosen,
            lambda invoice, cents, said: credit_notes.issue(invoice, net_cents=cents, **said),
        )

    @admin.action(description="Refund these cents of the payment")
    def refund(self, request: HttpRequest, chosen: QuerySet[Invoice]) -> None:
        """Send money of paid invoices back to whoever paid."""
        self._do_with_cents(
            request,
            chosen,
            lambda invoice, cents, said: invoice_actions.refund(invoice, cents=cents, **said),
        )

    @admin.action(description="Go on after a problem")
    def go_on(self, request: HttpRequest, chosen: QuerySet[Invoice]) -> None:
        """Let stopped invoices go on."""
        self._do(request, chosen, lambda invoice, said: invoice_actions.go_on(invoice, **said))

    @admin.action(description="Take back (void)")
    def take_back(self, request: HttpRequest, chosen: QuerySet[Invoice]) -> None:
        """Void open invoices."""
        now = timezone.now()
        self._do(
            request,
            chosen,
            lambda invoice, said: invoice_actions.take_back(invoice, now=now, **said),
        )

    @admin.action(description="Lift the block for a week")
    def lift_block(self, request: HttpRequest, chosen: QuerySet[Invoice]) -> None:
        """Admit calls again although an invoice is not paid."""
        now = timezone.now()
        self._do(
            request,
            chosen,
            lambda invoice, said: invoice_actions.lift_block(invoice, now=now, **said),
        )

    def _do_with_cents(self, request: HttpRequest, chosen: QuerySet[Invoice], deed: Any) -> None:
        """Do a deed over the cents that staff have given to each invoice."""
        cents = request.POST.get("cents", "")
        if not cents.isdecimal():
            self.message_user(request, "Say how many cents.", messages.ERROR)
            return
        self._do(request, chosen, lambda invoice, said: deed(invoice, int(cents), said))

    def _do(self, request: HttpRequest, chosen: QuerySet[Invoice], deed: Any) -> None:
        """Do a deed to each invoice, with the reason that staff have given; say what was not possible."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Give a reason: it is kept.", messages.ERROR)
            return
        said = {"reason": reason, "actor": request.user if isinstance(request.user, User) else None}
        for invoice in chosen.select_related("organization"):
            try:
                deed(invoice, said)
            except invoice_actions.NotPossible as error:
                self.message_user(request, f"{invoice}: {error}", messages.ERROR)
            except credit_notes.NotCorrectable as error:
                text = (
                    f"{invoice}: not final and open or paid, or only {error.left_cents} cents left."
                )
                self.message_user(request, text, messages.ERROR)
            except stripe_client.StripeAway:
                self.message_user(request, f"{invoice}: Stripe is away.", messages.ERROR)
            else:
                self.message_user(request, f"{invoice}: done.")


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


@admin.register(InvoiceRefund)
class InvoiceRefundAdmin(ReadOnly, admin.ModelAdmin):
    """Refunds of invoices' payments, as they were made at Stripe."""

    search_fields = [*OF_INVOICE, "=stripe_id"]
    list_display = ["created_at", "invoice", "net_cents", "tax_cents", "state", "stripe_id"]
    list_filter = ["state"]
    list_select_related = ["invoice"]
    ordering = ["-created_at"]


@admin.register(InvoiceDispute)
class InvoiceDisputeAdmin(ReadOnly, admin.ModelAdmin):
    """Payments of invoices that their payers' banks took back."""

    search_fields = [*OF_INVOICE, "=stripe_id"]
    list_display = [
        "created_at",
        "invoice",
        "status",
        "withdrawn_cents",
        "reinstated_cents",
        "lost_net_cents",
        "lost_tax_cents",
        "fee_cents",
    ]
    list_filter = ["status"]
    list_select_related = ["invoice"]
    ordering = ["-created_at"]
