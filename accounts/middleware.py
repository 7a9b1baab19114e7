"""Puts the organization, the membership and the visitor's memberships on each request of the site."""

from collections.abc import Awaitable, Callable, Sequence

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from accounts.models import Membership, Organization, User

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class OrganizationRequest(HttpRequest):
    """
    The request of a dashboard page, as `permissions.organization_page` hands it on.

    On pages outside the dashboard `organization` and `membership` are None; `memberships` is there
    on every page, and costs its query only when it is read.
    """

    user: User
    organization: Organization
    membership: Membership
    memberships: Sequence[Membership]


class OrganizationMiddleware:
    """Sets the attributes of OrganizationRequest; runs in both sync and async chains without a thread hop."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request.organization = None  # type: ignore[attr-defined]
        request.membership = None  # type: ignore[attr-defined]
        request.memberships = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: memberships_of(request.user)
        )
        return self.get_response(request)


def memberships_of(user: object) -> list[Membership]:
    """Return a user's memberships with their organizations, by name; none for an anonymous visitor."""
    if not isinstance(user, User):
        return []
    return list(user.memberships.select_related("organization").order_by("organization__name"))
