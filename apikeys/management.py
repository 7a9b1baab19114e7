"""
Who may read the management API (`/api`): a key made for it, or a member's session.

A key must name the endpoint `management`; one without endpoint scopes, which may call every model, may not: the key
that an application carries must not tell what its organization spends. A session names its organization where its
member has several. Both may read, and nothing else.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotFound, PermissionDenied
from rest_framework.request import Request

from accounts.models import Organization, User
from accounts.permissions import Action, allows
from apikeys import authentication, snapshots
from apikeys.models import Endpoint

NOT_A_KEY_OF_OURS = {
    authentication.TwoKeys: "Two different keys were sent; send one.",
    authentication.KeyRevoked: "This key was revoked.",
    authentication.KeyDisabled: "This key is switched off.",
    authentication.KeyLeaked: "This key was found in public, so it was disabled: rotate it on the API keys page.",
    authentication.KeyFrozen: "This key spent far more than usual, so it was frozen.",
    authentication.KeyExpired: "This key has expired.",
    authentication.OrganizationSuspended: "The organization of this key is suspended.",
    authentication.IpNotAllowed: "This key may not be used from this address.",
}


class ManagementKey(BaseAuthentication):
    """A key with the endpoint `management`, as `Authorization: Bearer` or in one of the other headers of /v1."""

    def authenticate(self, request: Request) -> tuple[Organization, Any] | None:
        """Return the key's organization; None without a key, so that a session may speak."""
        headers = [
            (name.lower().encode(), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ]
        try:
            key = authentication.authenticate_from(
                headers,
                client_address=request.META.get("REMOTE_ADDR", ""),
                find=snapshots.read,
                pepper=settings.KEY_PEPPER,
            )
        except authentication.KeyMissing:
            return None
        except authentication.AuthenticationFailed as error:
            words = NOT_A_KEY_OF_OURS.get(type(error), "This is no key of Exerati's.")
            raise AuthenticationFailed(words, code="invalid_api_key") from None
        if Endpoint.MANAGEMENT not in key.endpoints:
            raise PermissionDenied(
                "This key may not read the management API: make one with the endpoint 'management'.",
                code="endpoint_not_allowed",
            )
        return Organization.objects.get(pk=key.organization_id), key

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return "Bearer"


class MemberSession(BaseAuthentication):
    """A member's session cookie, for reading in the browser; there is no CORS, so no other site can."""

    def authenticate(self, request: Request) -> tuple[Organization, Any] | None:
        """Return the organization that the address names by `organization`, or the member's only one."""
        inner: HttpRequest = request._request
        user = inner.user
        if not isinstance(user, User) or not user.is_active:
            return None
        found = [
            row
            for row in user.memberships.select_related("organization")
            if request.query_params.get("organization", row.organization.slug)
            in (row.organization.slug, row.organization.public_id)
        ]
        if len(found) > 1:
            raise NotFound("You belong to several organizations: name one by `organization`.")
        if not found:
            raise NotFound("There is no such organization, or you are none of its members.")
        if not allows(found[0].role, Action.VIEW):
            raise PermissionDenied
        return found[0].organization, None
