"""HTML pages of an organization's money: what it has, how it adds to it, and one payment with its refund."""

from collections.abc import Callable
from functools import wraps
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.models import Organization
from accounts.permissions import Action, allows, organization_page, roles_that
from billing import stripe_client, wallet
from billing.console import billing_tabs
from billing.console.topup_forms import RefundForm, TopUpForm, dollars
from billing.models import AutoTopUp, TopUp
from billing.payments import refunds, stripe_customers, stripe_payments, topups
from billing.read_models import budget_report, wallet_report
from exerati.lib.money import NANOUSD_PER_CENT

STRIPE_PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com")
AWAY = "Stripe does not answer at the moment, and nothing was charged. Try again in a minute."
View = Callable[..., HttpResponseBase]


def sends_to_stripe(view: View) -> View:
    """Let the forms of a page lead to Stripe's: browsers hold redirects to `form-action`, too."""

    @wraps(view)
    def page(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        answer = view(request, **arguments)
        own = [settings.STRIPE_API_BASE] if settings.STRIPE_API_BASE else []
        update = {"form-action": [*STRIPE_PAGES, *own]}
        answer._csp_update = update  # type: ignore[attr-defined]  # read by django-csp's middleware
        return answer

    return page


@require_safe
@sends_to_stripe
@organization_page(Action.VIEW)
def billing(request: OrganizationRequest) -> HttpResponse:
    """Show the balance, of what it consists, how to add to it, and the newest payments."""
    return _billing(request, form=TopUpForm())


def _billing(request: OrganizationRequest, *, form: TopUpForm, status: int = 200) -> HttpResponse:
    organization, role, now = request.organization, request.membership.role, timezone.now()
    wallet = budget_report.wallet(organization)
    parts = wallet_report.parts(organization, balance_nanousd=wallet.balance_nanousd)
    ending, ends_at = wallet_report.expiring_note(parts, now=now)
    account = getattr(organization, "billing_account", None)
    context = {
        **page_frame(request, present="billing"),
        "wallet": wallet,
        # The limit in effect is what admission adds to the wallet: 0 for those who pay in advance.
        "available_nanousd": wallet.available_nanousd
        + (account.credit_limit_nanousd if account else 0),
        "is_postpaid": bool(account and account.plan == account.Plan.POSTPAID),
        "parts": parts,
        "ending_nanousd": ending,
        "ends_at": ends_at,
        "payments": wallet_report.payments(organization),
        "auto_topup": getattr(organization, "auto_topup", None),
        "form": form,
        "refundable": {row.topup.pk for row in refunds.refundable(organization, now=now)}
        if allows(role, Action.MANAGE_BILLING)
        else set(),
        "refund_days": settings.REFUND_WINDOW_DAYS,
        "least": dollars(settings.TOPUP_LEAST_CENTS),
        "tax_is_on": settings.STRIPE_TAX,
        "has_left": "left" in request.GET,
    }
    return render(request, "billing/billing.html", context, status=status)


def page_frame(request: OrganizationRequest, *, present: str) -> dict[str, object]:
    """Return what every billing page shows: its tabs, the banner of test payments, who may pay."""
    role = request.membership.role
    return {
        "tabs": billing_tabs.tabs(request.organization, role=role, present=present),
        "payments_are_on": stripe_client.is_on(),
        "payments_are_tests": stripe_client.is_test(),
        "is_stand_in": bool(settings.STRIPE_API_BASE),
        "may_pay": allows(role, Action.MANAGE_BILLING),
        "payers": _listed([name.lower() for name in roles_that(Action.MANAGE_BILLING)]),
        "nav_active": "billing",
    }


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]} member"


@require_POST
@sends_to_stripe
@organization_page(Action.MANAGE_BILLING)
def topup_begin(request: OrganizationRequest) -> HttpResponse:
    """Begin a top-up and send the visitor to Stripe's page."""
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return _billing(request, form=form, status=422)
    slug = request.organization.slug
    try:
        _, url = topups.begin(
            request.organization,
            cents=form.cleaned_data["cents"],
            actor=request.user,
            # The address that the visitor came by: there the session is.
            page_url=lambda uuid: request.build_absolute_uri(
                reverse("dashboard:topup", args=[slug, uuid])
            ),
            back_url=request.build_absolute_uri(
                reverse("dashboard:billing", args=[slug]) + "?left=1"
            ),
            keep_card=form.cleaned_data["keep_card"],
        )
    except (stripe_client.StripeAway, stripe_client.Refused):
        form.add_error(None, AWAY)
        return _billing(request, form=form, status=422)
    except stripe_client.PaymentsOff:
        return redirect("dashboard:billing", slug=slug)
    return redirect(url)


@require_POST
@sends_to_stripe
@organization_page(Action.MANAGE_BILLING)
def portal(request: OrganizationRequest) -> HttpResponse:
    """Send the visitor to Stripe's own page of cards, address and tax id."""
    back = reverse("dashboard:billing", args=[request.organization.slug])
    try:
        customer = stripe_customers.ensure(request.organization)
        return redirect(
            stripe_payments.portal_url(
                customer_id=customer, return_url=request.build_absolute_uri(back)
            )
        )
    except (stripe_client.StripeAway, stripe_client.NotAtStripe, stripe_client.Refused):
        messages.error(request, AWAY)
    except stripe_client.PaymentsOff:
        pass
    return redirect(back)


@require_safe
@sends_to_stripe
@organization_page(Action.VIEW)
def topup(request: OrganizationRequest, uuid: UUID) -> HttpResponse:
    """Show one payment as Stripe says it is now; the page asks again by itself while it is open."""
    found = _topup(request, uuid)
    trouble = ""
    try:
        found = topups.follow(uuid)
    except stripe_client.StripeAway:
        trouble = (
            "Stripe does not answer at the moment. What was paid is credited as soon as it does."
        )
    except stripe_client.PaymentsOff:
        trouble = "Payments are switched off at the moment, so the state may be an old one."
    except topups.Mismatch:
        trouble = (
            "This payment does not match its order, so we look at it by hand. Please write to us."
        )
    may_pay = allows(request.membership.role, Action.MANAGE_BILLING)
    context = {
        **page_frame(request, present="billing"),
        "row": wallet_report.payment_row(found),
        "is_open": found.state in topups.UNDECIDED and not trouble,
        "trouble": trouble,
        "refunds": wallet_report.refunds_of(found),
        "can_refund": may_pay and _refundable_cents(request, found) > 0,
        "wallet": budget_report.wallet(request.organization),
    }
    return render(request, "billing/topup.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_BILLING)
def topup_refund(request: OrganizationRequest, uuid: UUID) -> HttpResponse:
    """Ask how much unused credit of a payment is to go back, and give it."""
    found = _topup(request, uuid)
    most = _refundable_cents(request, found)
    form = RefundForm(request.POST or None, most_cents=most)
    if request.method == "POST" and most and form.is_valid():
        try:
            refunds.ask(
                found,
                net_cents=form.cents,
                reason=form.cleaned_data["reason"] or "asked for by the customer",
                actor=request.user,
                by_staff=False,
            )
        except refunds.NotRefundable as error:
            form.add_error("amount", f"Only {dollars(error.cents)} of it is still unused.")
        else:
            messages.success(request, f"{dollars(form.cents)} is on its way back to the card.")
            return redirect("dashboard:topup", slug=request.organization.slug, uuid=uuid)
    available = wallet.available_nanousd(request.organization)
    context = {
        **page_frame(request, present="billing"),
        "row": wallet_report.payment_row(found),
        "form": form,
        "most_cents": most,
        "available_nanousd": available,
        "auto_topup": _set_off(
            request.organization, left_nanousd=available - most * NANOUSD_PER_CENT
        ),
        "refund_days": settings.REFUND_WINDOW_DAYS,
    }
    status = 422 if form.errors else 200
    return render(request, "billing/topup_refund.html", context, status=status)


def _set_off(organization: Organization, *, left_nanousd: int) -> AutoTopUp | None:
    """Return the automatic top-up that would charge the card if no more credit than that were left."""
    plan: AutoTopUp | None = getattr(organization, "auto_topup", None)
    if plan is None or not plan.is_on:
        return None
    return plan if left_nanousd < plan.threshold_cents * NANOUSD_PER_CENT else None


def _topup(request: OrganizationRequest, uuid: UUID) -> TopUp:
    found = request.organization.topups.filter(pk=uuid).first()
    if found is None:
        raise Http404
    return found


def _refundable_cents(request: OrganizationRequest, found: TopUp) -> int:
    if not stripe_client.is_on():
        return 0
    now = timezone.now()
    return next(
        (
            row.net_cents
            for row in refunds.refundable(request.organization, now=now)
            if row.topup.pk == found.pk
        ),
        0,
    )
