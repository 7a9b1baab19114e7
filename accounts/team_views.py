"""HTML pages of the team: members and invitations, roles, ownership, leaving, and the second factor for all."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitations, services
from accounts.forms import InviteForm, RoleForm
from accounts.middleware import OrganizationRequest
from accounts.models import Invitation, Membership
from accounts.permissions import Action, allows, deeds_of, organization_page
from accounts.second_factor import has_second_factor, those_with_second_factor

OWNER = Membership.Role.OWNER
# Billing knows what a member's keys were charged; without it the column is empty.
SPEND_TEMPLATES = ("billing/_member_spend.html", "apikeys/_nothing.html")
NEEDS_OWNER = "An organization needs an owner: name another one first."


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member as the team page shows it to a given viewer; `has_factor` is None where it is not told."""

    public_id: str
    email: str
    role: str
    role_label: str
    since: datetime
    user_id: int
    is_own: bool
    may_change: bool
    may_become_owner: bool
    has_factor: bool | None


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """One open invitation; `is_expired` ones let nobody in until they are sent again."""

    public_id: str
    email: str
    role_label: str
    invited_by: str
    sent_at: datetime
    expires_at: datetime
    is_expired: bool
    may_change: bool


@require_safe
@organization_page(Action.VIEW)
def team(request: OrganizationRequest) -> HttpResponse:
    """List the members, open invitations and, to those who may, the means to change them."""
    role = request.membership.role
    may_manage = allows(role, Action.MANAGE_MEMBERS)
    members = list(
        request.organization.memberships.select_related("user").order_by("created_at", "id")
    )
    secured = those_with_second_factor(member.user for member in members) if may_manage else None
    pending = invitations.open_ones(request.organization).select_related("invited_by")
    context = {
        "rows": [_member_row(one, viewer=request.membership, secured=secured) for one in members],
        "pending": [_invitation_row(one, role=role) for one in pending.order_by("created_at")]
        if may_manage
        else [],
        "form": InviteForm(roles=roles_given_by(role)),
        "may_manage": may_manage,
        "may_read_audit": allows(role, Action.READ_AUDIT),
        "may_require": allows(role, Action.MANAGE_ORGANIZATION),
        "roles": roles_given_by(role),
        "rights": [(one.label, deeds_of(one)) for one in Membership.Role],
        "spend_templates": SPEND_TEMPLATES,
        "nav_active": "team",
    }
    return render(request, "accounts/team.html", context)


def _member_row(
    member: Membership, *, viewer: Membership, secured: set[int] | None = None
) -> MemberRow:
    is_own = member.pk == viewer.pk
    return MemberRow(
        public_id=member.public_id,
        email=member.user.email,
        role=member.role,
        role_label=member.get_role_display(),
        since=member.created_at,
        user_id=member.user_id,
        is_own=is_own,
        may_change=may_change(member, role=viewer.role),
        may_become_owner=viewer.role == OWNER and member.role != OWNER,
        has_factor=None if secured is None else member.user_id in secured,
    )


def _invitation_row(invitation: Invitation, *, role: str) -> InvitationRow:
    needed = Action.MANAGE_OWNERS if invitation.role == OWNER else Action.MANAGE_MEMBERS
    return InvitationRow(
        public_id=invitation.public_id,
        email=invitation.email,
        role_label=invitation.get_role_display(),
        invited_by=invitation.invited_by.email if invitation.invited_by else "",
        sent_at=invitation.sent_at,
        expires_at=invitation.expires_at,
        is_expired=not invitation.is_open_at(timezone.now()),
        may_change=allows(role, needed),
    )


@require_POST
@organization_page(Action.MANAGE_MEMBERS)
def member_role(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Change a member's role."""
    membership = changeable_member(request, public_id=public_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That is not a role.")
    elif form.cleaned_data["role"] not in dict(roles_given_by(request.membership.role)):
        raise PermissionDenied
    else:
        _change_role(request, membership=membership, role=form.cleaned_data["role"])
    return _to_team(request)


def _change_role(request: OrganizationRequest, *, membership: Membership, role: str) -> None:
    try:
        services.change_role(membership, role=role, actor=request.user)
    except services.LastOwner:
        messages.error(request, NEEDS_OWNER)
    else:
        messages.success(request, f"{membership.user} is now {membership.get_role_display()}.")


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_MEMBERS)
def member_remove(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Ask once, then end a membership."""
    membership = changeable_member(request, public_id=public_id)
    if request.method != "POST":
        heading = f"Remove {membership.user.email}?"
        return _ask_to_remove(request, membership=membership, heading=heading)
    return _remove(request, membership=membership)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.VIEW)
def leave(request: OrganizationRequest) -> HttpResponse:
    """Ask once, then end the visitor's own membership, whatever the role."""
    if request.method != "POST":
        heading = f"Leave {request.organization.name}?"
        return _ask_to_remove(request, membership=request.membership, heading=heading)
    return _remove(request, membership=request.membership)


def _ask_to_remove(
    request: OrganizationRequest, *, membership: Membership, heading: str
) -> HttpResponse:
    context = {
        "member": _member_row(membership, viewer=request.membership),
        "heading": heading,
        "is_last_owner": services.is_last_owner(membership),
        "nav_active": "team",
    }
    return render(request, "accounts/member_remove.html", context)


def _remove(request: OrganizationRequest, *, membership: Membership) -> HttpResponse:
    try:
        services.remove_member(membership, actor=request.user)
    except services.LastOwner:
        messages.error(request, NEEDS_OWNER)
        return _to_team(request)
    if membership.user_id == request.user.pk:
        messages.success(request, f"You have left {request.organization}.")
        return redirect("dashboard:home")
    messages.success(request, f"{membership.user} is no longer a member.")
    return _to_team(request)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_OWNERS)
def member_owner(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Ask once, then hand the ownership to another member; the visitor becomes an admin."""
    membership = changeable_member(request, public_id=public_id)
    if membership.pk == request.membership.pk:
        messages.info(request, "You are an owner already.")
        return _to_team(request)
    if request.method != "POST":
        context = {
            "member": _member_row(membership, viewer=request.membership),
            "heading": f"Hand {request.organization.name} over to {membership.user.email}?",
            "has_factor": has_second_factor(membership.user),
            "nav_active": "team",
        }
        return render(request, "accounts/member_owner.html", context)
    services.transfer_ownership(request.membership, to=membership, actor=request.user)
    messages.success(
        request,
        f"{membership.user} owns {request.organization} now and is told by mail; you are Admin.",
    )
    return _to_team(request)


@require_POST
@organization_page(Action.MANAGE_ORGANIZATION)
def second_factor(request: OrganizationRequest) -> HttpResponse:
    """Require a second factor of every member, or no longer; who asks for it must have one."""
    is_required = request.POST.get("required") == "on"
    if is_required and not has_second_factor(request.user):
        messages.error(request, "Set up a passkey or an authenticator app for yourself first.")
        return redirect(reverse("mfa_index"))
    services.require_second_factor(
        request.organization, is_required=is_required, actor=request.user
    )
    told = "Members without a second factor are led to set one up before they get in."
    messages.success(request, told if is_required else "A second factor is optional again.")
    return _to_team(request)


def changeable_member(request: OrganizationRequest, *, public_id: str) -> Membership:
    """Return a member of this organization; only those who may manage owners get at an owner."""
    membership = get_object_or_404(
        request.organization.memberships.select_related("user", "organization"), public_id=public_id
    )
    if not may_change(membership, role=request.membership.role):
        raise PermissionDenied
    return membership


def may_change(membership: Membership, *, role: str) -> bool:
    """Say whether this role may change that membership: owners are changed by owners alone."""
    needed = Action.MANAGE_OWNERS if membership.role == OWNER else Action.MANAGE_MEMBERS
    return allows(role, needed)


def roles_given_by(role: str) -> list[tuple[str, str]]:
    """Return the roles that a member of this role may give to others, as choices."""
    choices = [(choice.value, str(choice.label)) for choice in Membership.Role]
    return choices if allows(role, Action.MANAGE_OWNERS) else choices[1:]


def _to_team(request: OrganizationRequest) -> HttpResponse:
    return redirect("dashboard:team", slug=request.organization.slug)
