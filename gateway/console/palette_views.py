"""What the command palette of the dashboard finds besides pages: requests by id, keys and models by name."""

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from billing.console import page_query
from billing.read_models import refusal_log, request_log
from gateway.catalog import catalog_pages

MOST_OF_A_KIND = 6


@require_safe
@organization_page(Action.VIEW)
def palette(request: OrganizationRequest) -> HttpResponse:
    """Answer a search with what leads on, best first."""
    text = page_query.text(request.GET, "q")[:120]
    found = [*_requests(request, text), *_keys(request, text), *_models(text)] if text else []
    answer = JsonResponse({"found": found})
    answer.headers["cache-control"] = "no-store"
    return answer


def _requests(request: OrganizationRequest, text: str) -> list[dict[str, str]]:
    request_id = request_log.parse_id(text)
    if request_id is None:
        return []
    organization = request.organization
    if not (
        request_log.find(organization, request_id) or refusal_log.find(organization, request_id)
    ):
        return []
    shown = request_log.public_id(request_id)
    href = reverse("dashboard:request", args=[organization.slug, shown])
    return [{"label": shown, "note": "Request", "icon": "scroll-text", "href": href}]


def _keys(request: OrganizationRequest, text: str) -> list[dict[str, str]]:
    slug = request.organization.slug
    found = request.organization.api_keys.filter(name__icontains=text, revoked_at=None)
    rows = found.order_by("name").values_list("name", "public_id")[:MOST_OF_A_KIND]
    return [
        {
            "label": name,
            "note": "API key",
            "icon": "key-round",
            "href": reverse("dashboard:key", args=[slug, public_id]),
        }
        for name, public_id in rows
    ]


def _models(text: str) -> list[dict[str, str]]:
    wanted = text.lower().split()
    rows = catalog_pages.rows(now=timezone.now())
    found = [
        row for row in rows if all(word in f"{row.name} {row.title}".lower() for word in wanted)
    ]
    found.sort(key=lambda row: (not row.name.startswith(text), len(row.name)))
    return [
        {
            "label": row.name,
            "note": f"Model, {row.owner}",
            "icon": "layers",
            "href": reverse("model_page", args=[row.name]),
        }
        for row in found[:MOST_OF_A_KIND]
    ]
