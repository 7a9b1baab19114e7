"""HTML pages of a key's rotation: a new secret, shown once, while the old one still works for a while."""

from datetime import timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from apikeys import leaks, services
from apikeys.forms import RotateForm
from apikeys.models import ApiKey
from apikeys.views import LAST_NONCE, find_key, secret_context


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_KEYS)
def key_rotate(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Ask how long the old secret is to work; the answer to the POST is the only page that holds the new one."""
    key = find_key(request, public_id=public_id)
    is_leaked = leaks.of_present_secrets(key) is not None
    form = RotateForm(request.POST or None, initial={"overlap": 0} if is_leaked else None)
    if request.method == "POST" and form.is_valid():
        return _rotate(request, key=key, form=form)
    context = {
        "key": key,
        "form": form,
        "heading": f"Rotate {key.name}",
        "nav_active": "keys",
    }
    return render(request, "apikeys/key_rotate.html", context, status=422 if form.errors else 200)


def _rotate(request: OrganizationRequest, *, key: ApiKey, form: RotateForm) -> HttpResponse:
    nonce = form.cleaned_data["nonce"]
    if request.session.get(LAST_NONCE) == nonce:
        messages.info(
            request, "It is rotated already. The new secret was shown once and is not kept."
        )
        return _to_key(request, key)
    overlap = timedelta(hours=form.cleaned_data["overlap"])
    try:
        rotated = services.rotate_key(key, overlap=overlap, actor=request.user)
    except services.KeyRevoked:
        messages.error(request, "This key is revoked, so it has no secret to rotate.")
        return _to_key(request, key)
    request.session[LAST_NONCE] = nonce
    return render(request, "apikeys/key_created.html", secret_context(rotated, is_rotated=True))


@require_POST
@organization_page(Action.MANAGE_KEYS)
def key_old_secret_end(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Refuse the old secret before its time."""
    key = find_key(request, public_id=public_id)
    if services.end_old_secret(key, actor=request.user):
        messages.success(request, f"The old secret of {key.name} is refused from now on.")
    else:
        messages.info(request, f"{key.name} has no old secret.")
    return _to_key(request, key)


def _to_key(request: OrganizationRequest, key: ApiKey) -> HttpResponse:
    return redirect("dashboard:key", slug=request.organization.slug, public_id=key.public_id)
