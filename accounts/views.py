"""HTML pages of the dashboard's root, the team and the organization's settings."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services
from accounts.forms import OrganizationForm, RoleForm, SettingsForm
from accounts.middleware import OrganizationRequest
from accounts.models import Membership, User
from accounts.permissions import (
    LAST_ORGANIZATION,
    Action,
    allows,
    deeds_of,
    organization_page,
)

OWNER = Membership.Role.OWNER


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member as the team page shows it to a given viewer."""

    public_id: str
    email: str
    role: str
    role_label: str
    since: datetime
    is_own: bool
    may_change: bool


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Send a member to the organization visited last, or the first; one who has none may make one."""
    memberships = cast(OrganizationRequest, request).memberships
    slugs = [membership.organization.slug for membership in memberships]
    if not slugs:
        return redirect("dashboard:organization_create")
    last = request.session.get(LAST_ORGANIZATION)
    return redirect("dashboard:overview", slug=last if last in slugs else slugs[0])


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def organization_create(request: HttpRequest) -> HttpResponse:
    """Make one more organization, owned by the visitor."""
    form = OrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        organization = services.create_organization(
            name=form.cleaned_data["organization"], owner=cast(User, request.user)
        )
        return redirect("dashboard:overview", slug=organization.slug)
    status = 422 if form.errors else 200
    return render(request, "accounts/organization_create.html", {"form": form}, status=status)


@require_safe
@organization_page(Action.VIEW)
def team(request: OrganizationRequest) -> HttpResponse:
    """List the members and, to those who may, the means to change them."""
    members = request.organization.memberships.select_related("user").order_by("created_at", "id")
    context = {
        "rows": [_member_row(member, viewer=request.membership) for member in members],
        "may_manage": allows(request.membership.role, Action.MANAGE_MEMBERS),
        "roles": _roles_given_by(request.membership.role),
        "rights": [(role.label, deeds_of(role)) for role in Membership.Role],
        "nav_active": "team",
    }
    return render(request, "accounts/team.html", context)


def _member_row(member: Membership, *, viewer: Membership) -> MemberRow:
    return MemberRow(
        public_id=member.public_id,
        email=member.user.email,
        role=member.role,
        role_label=member.get_role_display(),
        since=member.created_at,
        is_own=member.pk == viewer.pk,
        may_change=_may_change(member, role=viewer.role),
    )


@require_POST
@organization_page(Action.MANAGE_MEMBERS)
def member_role(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Change a member's role."""
    membership = _changeable_member(request, public_id=public_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That is not a role.")
    elif form.cleaned_data["role"] not in dict(_roles_given_by(request.membership.role)):
        raise PermissionDenied
    else:
        _change_role(request, membership=membership, role=form.cleaned_data["role"])
    return redirect("dashboard:team", slug=request.organization.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_MEMBERS)
def member_remove(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Ask once, then end a membership."""
    membership = _changeable_member(request, public_id=public_id)
    if request.method != "POST":
        context = {
            "member": _member_row(membership, viewer=request.membership),
            "heading": f"Remove {membership.user.email}?",
            "nav_active": "team",
        }
        return render(request, "accounts/member_remove.html", context)
    try:
        services.remove_member(membership, actor=request.user)
    except services.LastOwner:
        messages.error(request, "An organization needs an owner: name another one first.")
    else:
        messages.success(request, f"{membership.user} is no longer a member.")
    if membership.user_id == request.user.pk:
        return redirect("dashboard:home")
    return redirect("dashboard:team", slug=request.organization.slug)


def _change_role(request: OrganizationRequest, *, membership: Membership, role: str) -> None:
    try:
        services.change_role(membership, role=role, actor=request.user)
    except services.LastOwner:
        messages.error(request, "An organization needs an owner: name another one first.")
    else:
        messages.success(request, f"{membership.user} is now {membership.get_role_display()}.")


def _changeable_member(request: OrganizationRequest, *, public_id: str) -> Membership:
    """Return a member of this organization; only those who may manage owners get at an owner."""
    membership = get_object_or_404(
        request.organization.memberships.select_related("user", "organization"), public_id=public_id
    )
    if not _may_change(membership, role=request.membership.role):
        raise PermissionDenied
    return membership


def _may_change(membership: Membership, *, role: str) -> bool:
    """Say whether this role may change that membership: owners are changed by owners alone."""
    needed = Action.MANAGE_OWNERS if membership.role == OWNER else Action.MANAGE_MEMBERS
    return allows(role, needed)


def _roles_given_by(role: str) -> list[tuple[str, str]]:
    """Return the roles that a member of this role may give to others, as choices."""
    choices = [(choice.value, str(choice.label)) for choice in Membership.Role]
    return choices if allows(role, Action.MANAGE_OWNERS) else choices[1:]


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_ORGANIZATION)
def settings(request: OrganizationRequest) -> HttpResponse:
    """Show and change the organization's name and calendar."""
    form = SettingsForm(request.POST or None, instance=request.organization)
    if request.method == "POST" and form.is_valid():
        request.organization.refresh_from_db()  # the form has already written into the instance
        services.change_settings(request.organization, actor=request.user, **form.cleaned_data)
        messages.success(request, "Settings saved.")
        return redirect("dashboard:settings", slug=request.organization.slug)
    status = 422 if form.errors else 200
    context = {"form": form, "nav_active": "settings"}
    return render(request, "accounts/settings.html", context, status=status)
