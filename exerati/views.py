"""Pages of no app: landing, legal, style guide, theme switch, error pages."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_cookie

from exerati import styleguide as samples
from exerati.context_processors import COMPACT, THEMES
from exerati.drawing.small_charts import Phase, waterfall
from exerati.lib.example_models import EXAMPLE_MODELS

LEGAL_PAGES = {"terms": "Terms of service", "privacy": "Privacy"}
LOOKS_COOKIE_SECONDS = 365 * 24 * 3600

# One request with a fallback, at $1.00 per million input and $4.00 per million output tokens:
# 412 x $1.00 + 318 x $4.00 per million = $0.001684 (the page spells this out).
EXAMPLE_PHASES = (
    Phase("Key, scopes, rate limits", 0, 1),
    Phase("Reserve $0.0059", 1, 2, note="the most this call can cost"),
    Phase("Route 1", 3, 212, "failed", note="503 before the first token: not charged"),
    Phase("Route 2", 215, 386, "wait", note="first token"),
    Phase("Stream 318 tokens", 601, 1380, "stream"),
    Phase("Settle $0.001684", 1981, 3, note="$0.004216 given back"),
)


@require_safe
@vary_on_cookie
def landing(request: HttpRequest, *, offer: Callable[[], Any] = lambda: None) -> HttpResponse:
    """Show what the product is, with what `offer` tells of the catalog; it is given by the URL table."""
    context = {
        "waterfall": waterfall("Example request", phases=EXAMPLE_PHASES),
        "example_model": EXAMPLE_MODELS["test"],
        "offer": offer(),
        "nav_active": "landing",
    }
    return render(request, "landing.html", context)


@require_safe
@vary_on_cookie
def legal(request: HttpRequest, page: str) -> HttpResponse:
    """Show one of the legal pages."""
    if page not in LEGAL_PAGES:
        raise Http404
    return render(request, "legal.html", {"page": page, "page_title": LEGAL_PAGES[page]})


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every component with sample data; for developers only."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "styleguide.html", samples.context())


@csrf_exempt  # a forged theme harms nobody, and public pages stay free of a token's cookie
@require_http_methods(["GET", "POST"])
@never_cache
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme in a cookie (anything but light and dark forgets it) and go back."""
    return _keep(request, "theme", THEMES)


@csrf_exempt  # as above
@require_http_methods(["GET", "POST"])
@never_cache
def rows(request: HttpRequest) -> HttpResponse:
    """Store in a cookie that rows of tables are compact (anything else forgets it) and go back."""
    return _keep(request, "rows", (COMPACT,))


def _keep(request: HttpRequest, name: str, choices: Sequence[str]) -> HttpResponse:
    """Go back with a choice of looks in the cookie of its name; what is not among the choices forgets it."""
    given = request.POST or request.GET
    chosen = given.get(name, "")
    response = HttpResponseRedirect(_back_url(request, given.get("next", "")))
    if chosen in choices:
        response.set_cookie(
            name,
            chosen,
            max_age=LOOKS_COOKIE_SECONDS,
            samesite="Lax",
            secure=request.is_secure(),
        )
    else:
        response.delete_cookie(name, samesite="Lax")
    return response


def _back_url(request: HttpRequest, wanted: str) -> str:
    """Return the wanted address if it is on this site, else the landing page."""
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts=hosts, require_https=request.is_secure()
    )
    return wanted if safe else "/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _error(request, HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _error(request, HTTPStatus.FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form whose token is missing or old."""
    return _error(request, HTTPStatus.FORBIDDEN, reason="csrf")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _error(request, HTTPStatus.NOT_FOUND)


def method_not_allowed(request: HttpRequest) -> HttpResponse:
    """Answer 405 to somebody who looks at the address of a form."""
    return _error(request, HTTPStatus.METHOD_NOT_ALLOWED)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer 429 to a form of the account library that was sent too often."""
    return _error(request, HTTPStatus.TOO_MANY_REQUESTS)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 without context processors, which may be what failed."""
    context = {"request_id": _request_id(request), "request": request}
    html = render_to_string("errors/500.html", context)
    return HttpResponse(html, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _error(request: HttpRequest, status: HTTPStatus, reason: str = "") -> HttpResponse:
    context = {"request_id": _request_id(request), "reason": reason}
    return render(request, f"errors/{status.value}.html", context, status=status)


def _request_id(request: HttpRequest) -> str:
    """Return the id a middleware gave the request, "" where none did."""
    return str(getattr(request, "request_id", ""))
