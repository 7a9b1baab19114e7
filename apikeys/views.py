"""HTML pages of API keys: list, create, show once, change, disable, revoke."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from apikeys import leaks, services, spend
from apikeys.forms import KeyForm, NewKeyForm, presets
from apikeys.models import SORTS, ApiKey, ApiKeyQuerySet, KeyStatus
from exerati.lib.example_models import EXAMPLE_MODELS

LAST_NONCE = "key_form_nonce"  # session key: the form that made the last secret
DEFAULT_SORT = "-created"
COLUMNS = (("name", "Name"), ("owner", "Owner"), ("created", "Created"), ("used", "Last used"))
LAST_COLUMNS = (("expires", "Expires"),)
SPENT = "spent"  # this month; no column of the key, so it is sorted here
# Billing knows what was spent; where it has no partial, the caps are shown alone.
BUDGET_TEMPLATES = ("billing/_key_spend.html", "apikeys/_key_caps.html")
# What the gateway knows of a key's limits at this moment, and what it was used for lately: partials of those apps.
LIMIT_TEMPLATES = ("gateway/_key_limits.html", "apikeys/_nothing.html")
SPENT_TEMPLATES = ("billing/_key_spent.html", "apikeys/_nothing.html")
ARRIVAL_TEMPLATES = ("billing/_first_call_wait.html", "apikeys/_nothing.html")
RECENT_TEMPLATES = ("billing/_key_recent.html", "apikeys/_nothing.html")
TONES = {
    KeyStatus.ACTIVE: "ok",
    KeyStatus.DISABLED: "warn",
    KeyStatus.EXPIRED: "neutral",
    KeyStatus.REVOKED: "danger",
}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as the list shows it."""

    key: ApiKey
    owner: str
    status: KeyStatus
    tone: str
    spent_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column head that sorts: `order` is what aria-sort says, `sort` what a click asks for."""

    label: str
    sort: str
    order: str


@require_safe
@organization_page(Action.VIEW)
def key_list(request: OrganizationRequest) -> HttpResponse:
    """List the organization's keys in one order, those that match a text."""
    sort = request.GET.get("sort", DEFAULT_SORT)
    if sort.removeprefix("-") not in (*SORTS, SPENT):
        sort = DEFAULT_SORT
    text = request.GET.get("q", "").replace("\x00", "")
    keys = request.organization.api_keys.select_related("created_by", "project")
    spent = spend.this_month(request.organization)
    found = _in_order(keys.matching(text), sort=sort, spent=spent)
    context = {
        "query": text,
        "sort": sort,
        "has_projects": len({key.project_id for key in found}) > 1,
        "rows": [_row(key, spent_nanousd=spent.get(key.pk, 0)) for key in found],
        "columns": [_column(name, label, sort=sort) for name, label in COLUMNS],
        "spent_column": _column(SPENT, "Spend", sort=sort, is_largest_first=True),
        "last_columns": [_column(name, label, sort=sort) for name, label in LAST_COLUMNS],
        "may_manage": allows(request.membership.role, Action.MANAGE_KEYS),
        "budget_templates": BUDGET_TEMPLATES,
        "nav_active": "keys",
    }
    return render(request, "apikeys/keys.html", context)


def _in_order(found: ApiKeyQuerySet, *, sort: str, spent: Mapping[int, int]) -> Sequence[ApiKey]:
    """Return the keys in the order asked for; among equal spends the newest come first."""
    if sort.removeprefix("-") != SPENT:
        return list(found.sorted_by(sort))
    sign = -1 if sort.startswith("-") else 1
    return sorted(found.sorted_by(DEFAULT_SORT), key=lambda key: sign * spent.get(key.pk, 0))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_KEYS)
def key_create(request: OrganizationRequest) -> HttpResponse:
    """Offer a form with presets; the answer to the POST is the only page that ever holds the secret."""
    if request.method == "POST":
        return _create(request)
    chosen = request.GET.get("preset", "")
    preset = presets().get(chosen) or next(iter(presets().values()))
    initial = {**preset.initial(timezone.now()), **_asked(request)}
    form = NewKeyForm(organization=request.organization, initial=initial)
    return _form_page(request, form=form, chosen=preset.title)


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return what the address chooses beforehand, as the first-call page and a project's page do."""
    return {name: request.GET[name] for name in ("mode", "project") if name in request.GET}


def _create(request: OrganizationRequest) -> HttpResponse:
    form = NewKeyForm(request.POST, organization=request.organization)
    if not form.is_valid():
        return _form_page(request, form=form, status=422)
    nonce = form.cleaned_data["nonce"]
    if request.session.get(LAST_NONCE) == nonce:
        messages.info(
            request, "This key is made already. Its secret was shown once and is not kept."
        )
        return redirect("dashboard:keys", slug=request.organization.slug)
    created = services.create_key(
        request.organization,
        name=form.cleaned_data["name"],
        mode=form.cleaned_data["mode"],
        project=form.cleaned_data.get("project"),
        created_by=request.user,
        rules=form.rules(),
    )
    request.session[LAST_NONCE] = nonce
    return render(request, "apikeys/key_created.html", secret_context(created))


def secret_context(created: services.CreatedKey, *, is_rotated: bool = False) -> dict[str, object]:
    """Return what the page of a new secret shows."""
    return {
        "key": created.key,
        "secret": created.secret,
        "is_rotated": is_rotated,
        "api_base_url": settings.API_BASE_URL,
        "example_model": EXAMPLE_MODELS[created.key.mode],
        "arrival_templates": ARRIVAL_TEMPLATES,
        "nav_active": "keys",
    }


def _form_page(
    request: HttpRequest, *, form: NewKeyForm, chosen: str = "", status: int = 200
) -> HttpResponse:
    links = [
        (preset.title, f"?preset={name}", preset.title == chosen)
        for name, preset in presets().items()
    ]
    context = {"form": form, "presets": links, "nav_active": "keys"}
    return render(request, "apikeys/key_create.html", context, status=status)


@require_safe
@organization_page(Action.VIEW)
def key_detail(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show a key and, to those who may, the form of its rules."""
    key = find_key(request, public_id=public_id)
    return _key_page(request, key=key, form=KeyForm(instance=key))


@require_POST
@organization_page(Action.MANAGE_KEYS)
def key_update(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Change a key's name and rules."""
    key = find_key(request, public_id=public_id)
    form = KeyForm(request.POST, instance=find_key(request, public_id=public_id))
    if not form.is_valid():
        return _key_page(request, key=key, form=form, status=422)
    try:
        services.update_key(
            key, name=form.cleaned_data["name"], rules=form.rules(), actor=request.user
        )
    except services.KeyRevoked:
        messages.error(request, "This key is revoked, so it cannot be changed.")
    else:
        messages.success(request, "Saved. Calls follow the new rules within a second.")
    return _to_key(request, key)


@require_POST
@organization_page(Action.MANAGE_KEYS)
def key_disable(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Refuse the key's calls until it is enabled again."""
    key = find_key(request, public_id=public_id)
    services.disable_key(key, actor=request.user)
    messages.success(request, f"{key.name} is disabled: its calls are refused until you enable it.")
    return _to_key(request, key)


@require_POST
@organization_page(Action.MANAGE_KEYS)
def key_enable(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Let a disabled key call again."""
    key = find_key(request, public_id=public_id)
    services.enable_key(key, actor=request.user)
    messages.success(request, f"{key.name} is enabled.")
    return _to_key(request, key)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_KEYS)
def key_revoke(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Ask once, naming what breaks; then end the key for good."""
    key = find_key(request, public_id=public_id)
    if request.method != "POST":
        context = {
            "key": key,
            "heading": f"Revoke {key.name}?",
            "recent_templates": RECENT_TEMPLATES,
            "nav_active": "keys",
        }
        return render(request, "apikeys/key_revoke.html", context)
    services.revoke_key(key, actor=request.user)
    messages.success(request, f"{key.name} is revoked.")
    return redirect("dashboard:keys", slug=request.organization.slug)


def _key_page(
    request: OrganizationRequest, *, key: ApiKey, form: KeyForm, status: int = 200
) -> HttpResponse:
    row = _row(key)
    may_manage = allows(request.membership.role, Action.MANAGE_KEYS)
    context = {
        "key": key,
        "row": row,
        "form": form,
        "may_manage": may_manage and row.status != KeyStatus.REVOKED,
        "leak": leaks.of_present_secrets(key) if row.status != KeyStatus.REVOKED else None,
        "old_secret_works": key.old_secret_works_at(timezone.now()),
        "budget_templates": BUDGET_TEMPLATES,
        "limit_templates": LIMIT_TEMPLATES,
        "recent_templates": RECENT_TEMPLATES,
        "spent_templates": SPENT_TEMPLATES,
        "keys_url": reverse("dashboard:keys", args=[request.organization.slug]),
        "nav_active": "keys",
    }
    return render(request, "apikeys/key.html", context, status=status)


def find_key(request: OrganizationRequest, *, public_id: str) -> ApiKey:
    """Return one of the organization's keys; raises Http404."""
    own = request.organization.api_keys.select_related("created_by", "project", "organization")
    return get_object_or_404(own, public_id=public_id)


def _to_key(request: OrganizationRequest, key: ApiKey) -> HttpResponse:
    return redirect("dashboard:key", slug=request.organization.slug, public_id=key.public_id)


def _row(key: ApiKey, *, spent_nanousd: int = 0) -> KeyRow:
    status = key.status_at(timezone.now())
    owner = key.created_by.email if key.created_by else "operator"
    return KeyRow(key, owner, status, TONES[status], spent_nanousd)


def _column(name: str, label: str, *, sort: str, is_largest_first: bool = False) -> Column:
    """Return a column head; a click on the present order turns it round."""
    order = {name: "ascending", f"-{name}": "descending"}.get(sort, "none")
    down = order == "ascending" or (is_largest_first and order == "none")
    return Column(label=label, sort=f"-{name}" if down else name, order=order)
