"""What each role may do, and the decorator that lets members, and only them, into a dashboard page."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, cast
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from accounts.middleware import OrganizationRequest
from accounts.models import Membership, Organization
from accounts.second_factor import has_second_factor

Role = Membership.Role
LAST_ORGANIZATION = "organization"  # session key: slug of the organization visited last

View = Callable[Concatenate[OrganizationRequest, ...], HttpResponseBase]
AsyncView = Callable[Concatenate[OrganizationRequest, ...], Awaitable[HttpResponseBase]]
PlainView = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


class Action(StrEnum):
    """What a member may want to do; the value reads on as "Only … can …"."""

    VIEW = "see this page"
    CALL_MODELS = "call models from the dashboard"
    READ_BODIES = "read kept prompts and answers"
    MANAGE_KEYS = "create and change API keys"
    MANAGE_BILLING = "change billing"
    MANAGE_MEMBERS = "change the team"
    READ_AUDIT = "read the audit log"
    MANAGE_OWNERS = "name and remove owners"
    MANAGE_ORGANIZATION = "change the organization's settings"


ALLOWED: dict[str, frozenset[Action]] = {
    Role.OWNER: frozenset(Action),
    Role.ADMIN: frozenset(Action) - {Action.MANAGE_OWNERS},
    Role.DEVELOPER: frozenset(
        {Action.VIEW, Action.CALL_MODELS, Action.READ_BODIES, Action.MANAGE_KEYS}
    ),
    Role.BILLING: frozenset({Action.VIEW, Action.MANAGE_BILLING}),
    Role.VIEWER: frozenset({Action.VIEW}),
}


def last_organization(request: HttpRequest) -> Organization | None:
    """Return the organization that a member saw last, or the first by name; None for who has none."""
    organizations = [one.organization for one in cast(OrganizationRequest, request).memberships]
    last = request.session.get(LAST_ORGANIZATION)
    return next((one for one in organizations if one.slug == last), next(iter(organizations), None))


def allows(role: str, action: Action) -> bool:
    """Say whether the role may do it; an unknown role may nothing."""
    return action in ALLOWED.get(role, frozenset())


def roles_that(action: Action) -> list[str]:
    """Return the names of the roles that may do it, the mightiest first."""
    return [role.label for role in Role if allows(role, action)]


def deeds_of(role: str) -> list[str]:
    """Return what a role may do beyond looking, in words."""
    return [
        action.value for action in Action if action != Action.VIEW and allows(role, action)
    ] or ["look, and change nothing"]


def organization_page(action: Action) -> Callable[[View | AsyncView], PlainView]:
    """
    Make a function view the page of one organization, open to its members whose role allows the action.

    The address names the organization as `<slug:slug>`; the view gets `request.organization` and
    `request.membership` in its place. Anonymous visitors go to the login page, strangers get a 404
    (they learn nothing of who is a customer), members without the right a 403 page that says who can. Where the
    organization requires a second factor, members who have none are led to set one up.
    An async view stays one. The page carries `action` as an attribute: `tests/test_authorization.py` reads from it
    who may come in.
    """

    def decorate(view: View | AsyncView) -> PlainView:
        if iscoroutinefunction(view):
            page = _async_page(cast(AsyncView, view), action=action)
        else:
            page = _plain_page(cast(View, view), action=action)
        page.action = action  # type: ignore[attr-defined]  # an attribute of this function alone
        return page

    return decorate


def _plain_page(view: View, *, action: Action) -> PlainView:
    @wraps(view)
    def page(request: HttpRequest, /, *, slug: str, **arguments: Any) -> HttpResponseBase:
        refused = _refusal(request, slug=slug, action=action)
        return refused or view(cast(OrganizationRequest, request), **arguments)

    return page


def _async_page(view: AsyncView, *, action: Action) -> PlainView:
    @wraps(view)
    async def page(request: HttpRequest, /, *, slug: str, **arguments: Any) -> HttpResponseBase:
        refused = await sync_to_async(_refusal)(request, slug=slug, action=action)
        return refused or await view(cast(OrganizationRequest, request), **arguments)

    return cast(PlainView, page)  # Django awaits what a view returns, if it has to


def _refusal(request: HttpRequest, *, slug: str, action: Action) -> HttpResponse | None:
    """Enter the organization; return what to answer to whoever may not see the page, None to the others."""
    if not request.user.is_authenticated:
        return _sign_in(request, slug=slug)
    inside = enter(request, slug=slug)
    if inside.organization.mfa_required_at and not has_second_factor(inside.user):
        return render(inside, "accounts/second_factor_needed.html", status=403)
    return None if allows(inside.membership.role, action) else refuse(inside, action=action)


def _sign_in(request: HttpRequest, *, slug: str) -> HttpResponse:
    """Lead to the sign-in, and from there back; a form's address is no page, so then to the page of the form."""
    if request.method in ("GET", "HEAD"):
        return redirect_to_login(request.get_full_path())
    messages.warning(
        request,
        "You were not signed in any more, so nothing was changed. Sign in and send the form again.",
    )
    page = urlsplit(request.headers.get("referer", ""))
    if page.netloc != request.get_host():
        return redirect_to_login(reverse("dashboard:overview", args=[slug]))
    return redirect_to_login(f"{page.path}?{page.query}" if page.query else page.path)


def enter(request: HttpRequest, *, slug: str) -> OrganizationRequest:
    """Put the visitor's membership of that organization on the request; raises Http404 when there is none."""
    inside = cast(OrganizationRequest, request)
    membership = (
        inside.user.memberships.select_related("organization")
        .filter(organization__slug=slug)
        .first()
    )
    if membership is None:
        raise Http404
    inside.membership = membership
    inside.organization = membership.organization
    if request.session.get(LAST_ORGANIZATION) != slug:
        request.session[LAST_ORGANIZATION] = slug
    return inside


def refuse(request: OrganizationRequest, *, action: Action) -> HttpResponse:
    """Answer 403 with a page that names the deed and the roles that may do it."""
    context = {
        "action": action.value,
        "roles": roles_that(action),
        "role": request.membership.get_role_display(),
    }
    return render(request, "accounts/forbidden.html", context, status=403)
