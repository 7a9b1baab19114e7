"""The limits page: what is used at this moment, and whether a request would pass."""

import json
import time
from typing import Any

from asgiref.sync import sync_to_async
from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from apikeys.models import ApiKey
from billing.read_models import budget_report
from gateway.asgi import Gateway
from gateway.console import error_advice, limits_page, playground, rehearsal
from gateway.console.rehearsal import Verdict
from gateway.console.session_call import SCOPE_KEY
from gateway.rate_limits import live_limits

MOST_CHARACTERS = 1_000_000
MOST_TOKENS = 100_000_000


class TryForm(forms.Form):
    """A request to rehearse: a whole body, or a model with counts of tokens."""

    key = forms.CharField(max_length=40)
    body = forms.CharField(required=False, max_length=MOST_CHARACTERS, widget=forms.Textarea)
    model = forms.CharField(required=False, max_length=120)
    input_tokens = forms.IntegerField(required=False, min_value=0, max_value=MOST_TOKENS)
    output_tokens = forms.IntegerField(required=False, min_value=1, max_value=MOST_TOKENS)

    def clean(self) -> dict[str, Any]:
        """Want one of the two."""
        values = super().clean() or {}
        if not self.errors and not values.get("body") and not values.get("model"):
            self.add_error("model", "Choose a model, or paste a request body.")
        return values

    def request_body(self) -> bytes:
        """Return the body to rehearse."""
        values = self.cleaned_data
        if values["body"]:
            return str(values["body"]).encode()
        made = {"model": values["model"], "messages": [{"role": "user", "content": "Hello"}]}
        if values["output_tokens"]:
            made["max_completion_tokens"] = values["output_tokens"]
        return json.dumps(made).encode()

    def counted_tokens(self) -> int | None:
        """Return how long the prompt is to be taken, where no body says it."""
        count: int | None = self.cleaned_data["input_tokens"]
        return None if self.cleaned_data["body"] else count


@require_safe
@organization_page(Action.VIEW)
def limits(request: OrganizationRequest) -> HttpResponse:
    """Show the live use of every key; asked by htmx, only that."""
    if request.headers.get("HX-Request") == "true":
        return render(request, "gateway/_limits_live.html", _live(request))
    return _page(request, TryForm(initial={"key": request.GET.get("key", "")}))


@require_POST
@organization_page(Action.VIEW)
async def limits_try(request: OrganizationRequest) -> HttpResponse:
    """Say whether a request would pass, and which rule decides."""
    form = TryForm(request.POST)
    gateway: Gateway | None = getattr(request, "scope", {}).get(SCOPE_KEY)
    if not form.is_valid():
        return await sync_to_async(_page)(request, form, status=422)
    key = await sync_to_async(limits_page.caller)(request.organization, form.cleaned_data["key"])
    if key is None or gateway is None:
        form.add_error("key", "Choose a key that is not revoked.")
        return await sync_to_async(_page)(request, form, status=422)
    engine = await gateway.ready()
    await engine.keys.refresh([bytes(key.key_hash)])
    snapshot = await engine.keys.find(bytes(key.key_hash))
    if snapshot is None:
        form.add_error("key", "This key may not be used any more.")
        return await sync_to_async(_page)(request, form, status=422)
    verdict = await rehearsal.rehearse(
        engine, snapshot, body=form.request_body(), input_tokens=form.counted_tokens()
    )
    return await sync_to_async(_page)(request, form, key=key, verdict=verdict)


def _live(request: OrganizationRequest) -> dict[str, Any]:
    found = limits_page.live(request.organization)
    return {
        "uses": found,
        "total": limits_page.total(found),
        "is_known": all(use.is_known for use in found),
        "limits_url": reverse("dashboard:limits", args=[request.organization.slug]),
        "at": time.time(),
    }


def _page(
    request: OrganizationRequest,
    form: TryForm,
    *,
    key: ApiKey | None = None,
    verdict: Verdict | None = None,
    status: int = 200,
) -> HttpResponse:
    organization, now = request.organization, timezone.now()
    live = _live(request)
    context = {
        **live,
        "form": form,
        # The keys of programs first: what is asked is whether a program's request would pass.
        "keys": sorted((use.key for use in live["uses"]), key=lambda one: one.is_seat),
        "models": playground.choices(),
        "budgets": budget_report.budgets(organization, now=now),
        "wallet": budget_report.wallet(organization),
        "may_change": allows(request.membership.role, Action.MANAGE_KEYS),
        "verdict": verdict,
        "nav_active": "limits",
        **(_told(verdict, key) if verdict and key else {}),
    }
    return render(request, "gateway/limits.html", context, status=status)


def _told(verdict: Verdict, key: ApiKey) -> dict[str, Any]:
    """Return the figures of a verdict: what would be held, or what stands in the way."""
    if verdict.held is None:
        refused = limits_page.refusal(verdict.refused, key=key) if verdict.refused else None
        words = limits_page.limit_of(refused) if refused else {}
        told = verdict.told
        return {
            "key": key,
            "told": told,
            "refused": refused,
            "advice": error_advice.advice(told.code) if told else "",
            **words,
        }
    held, first = verdict.held, verdict.held.candidates[0]
    [use] = live_limits.uses([key])
    lines = [
        line for line in budget_report.binding(key, now=timezone.now()) if line.scope != "key_model"
    ]
    return {
        "key": key,
        "held": held,
        "bound": first.bound,
        "upper_nanousd": held.upper_nanousd if key.mode == "live" else 0,
        "checks": limits_page.checks(held, use, cap_nanousd=key.max_request_nanousd),
        "lines": lines,
    }
