"""HTML pages of invitations: sent from the team page, answered by whoever holds the link."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import invitations
from accounts.forms import InviteForm
from accounts.middleware import OrganizationRequest
from accounts.models import Invitation, Membership, User
from accounts.permissions import Action, allows, deeds_of, organization_page


@require_POST
@organization_page(Action.MANAGE_MEMBERS)
def invitation_create(request: OrganizationRequest) -> HttpResponse:
    """Invite an address."""
    form = InviteForm(request.POST)
    if not form.is_valid():
        wrong = "email address" if "email" in form.errors else "role"
        messages.error(request, f"That is no {wrong}, so nobody was invited.")
        return _to_team(request)
    email, role = form.cleaned_data["email"], form.cleaned_data["role"]
    _require_may_give(request, role)
    try:
        invitations.invite(request.organization, email=email, role=role, actor=request.user)
    except invitations.AlreadyMember:
        messages.info(request, f"{email} is a member already.")
    except invitations.SentJustNow:
        messages.info(request, f"A mail went to {email} just now; another one may go in a minute.")
    except invitations.TooManyInvitations:
        messages.error(request, "Too many invitations are open. Withdraw some first.")
    else:
        messages.success(request, f"A mail with a link is on its way to {email}.")
    return _to_team(request)


@require_POST
@organization_page(Action.MANAGE_MEMBERS)
def invitation_resend(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Send a new link; the one before ends."""
    invitation = _changeable(request, public_id=public_id)
    try:
        invitations.resend(invitation, actor=request.user)
    except invitations.SentJustNow:
        messages.info(request, "A mail went out just now; another one may go in a minute.")
    except invitations.InvitationEnded:
        messages.info(request, "This invitation is not open any more.")
    else:
        messages.success(request, f"A new link is on its way to {invitation.email}.")
    return _to_team(request)


@require_POST
@organization_page(Action.MANAGE_MEMBERS)
def invitation_withdraw(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """End an invitation."""
    invitation = _changeable(request, public_id=public_id)
    try:
        invitations.withdraw(invitation, actor=request.user)
    except invitations.InvitationEnded:
        messages.info(request, "This invitation is not open any more.")
    else:
        messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return _to_team(request)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, *, public_id: str, token: str) -> HttpResponse:
    """Show an invitation to whoever holds its link; accept it for a visitor who is signed in."""
    found = invitations.find(public_id, token)
    if found is None:
        raise Http404
    if request.method != "POST" and (member := _membership(found, request)) is not None:
        return render(request, "accounts/invitation_member.html", _member_context(found, member))
    if not found.is_open_at(timezone.now()):
        request.session.pop(invitations.SESSION_KEY, None)
        return render(request, "accounts/invitation_ended.html", {"invitation": found}, status=410)
    if isinstance(request.user, User):
        return _answer(request, found, user=request.user)
    request.session[invitations.SESSION_KEY] = [
        public_id,
        token,
    ]  # signing up by it makes no organization
    return render(request, "accounts/invitation.html", _context(found))


def _membership(found: Invitation, request: HttpRequest) -> Membership | None:
    """Return the membership of a visitor who is in the organization already."""
    if not isinstance(request.user, User):
        return None
    return found.organization.memberships.filter(user=request.user).first()


def _member_context(found: Invitation, member: Membership) -> dict[str, object]:
    return {
        "invitation": found,
        "role": member.get_role_display(),
        "heading": f"You are in {found.organization.name} already",
        "waits_for_other": found.is_open_at(timezone.now()),
    }


def _answer(request: HttpRequest, found: Invitation, *, user: User) -> HttpResponse:
    if request.method != "POST":
        is_other = found.email.lower() != user.email.lower()
        return render(
            request, "accounts/invitation.html", {**_context(found), "is_other": is_other}
        )
    request.session.pop(invitations.SESSION_KEY, None)
    try:
        invitations.accept(found, user=user)
    except invitations.AlreadyMember:
        messages.info(request, f"You are a member of {found.organization} already.")
    except invitations.InvitationEnded:
        return render(request, "accounts/invitation_ended.html", {"invitation": found}, status=410)
    else:
        messages.success(request, f"Welcome to {found.organization}.")
    return redirect("dashboard:overview", slug=found.organization.slug)


def _context(found: Invitation) -> dict[str, object]:
    return {
        "invitation": found,
        "heading": f"Join {found.organization.name}",
        "inviter": found.invited_by.email if found.invited_by else "A member",
        "deeds": deeds_of(found.role),
        "path": invitations.path_of(found),
    }


def _changeable(request: OrganizationRequest, *, public_id: str) -> Invitation:
    """Return an open invitation of this organization; one that makes an owner is left to owners."""
    found = get_object_or_404(
        invitations.open_ones(request.organization).select_related("organization"),
        public_id=public_id,
    )
    _require_may_give(request, found.role)
    return found


def _require_may_give(request: OrganizationRequest, role: str) -> None:
    if role == Membership.Role.OWNER and not allows(request.membership.role, Action.MANAGE_OWNERS):
        raise PermissionDenied


def _to_team(request: OrganizationRequest) -> HttpResponse:
    return redirect("dashboard:team", slug=request.organization.slug)
