"""Makes and changes organizations and their members; every change leaves an audit event."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts import audit
from accounts.models import Membership, Organization, Project, User
from exerati.lib.queue import enqueue

SLUG_LENGTH = 50  # leaves room for the number that makes it unique
RESERVED_SLUGS = frozenset({"account", "new"})  # addresses the dashboard may want for itself


class LastOwner(Exception):
    """The change would leave the organization without an owner."""


@transaction.atomic
def create_organization(*, name: str, owner: User, actor: User | None = None) -> Organization:
    """Store an organization with its owner, its default project and an audit event; the slug is made unique."""
    organization = _store_with_free_slug(name)
    Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
    Project.objects.create(organization=organization, name="Default", is_default=True)
    audit.record(
        organization,
        action="organization.created",
        actor=actor or owner,
        target=organization.public_id,
        details={"name": name, "owner": owner.email},
    )
    return organization


def _store_with_free_slug(name: str) -> Organization:
    """Store the organization under the first slug nobody has; another sign-up may take one in between."""
    base = slugify(name)[:SLUG_LENGTH].strip("-") or "organization"
    number = 2 if base in RESERVED_SLUGS else 1
    while True:
        slug = base if number == 1 else f"{base}-{number}"
        try:
            with transaction.atomic():
                return Organization.objects.create(name=name, slug=slug)
        except IntegrityError:
            if not Organization.objects.filter(slug=slug).exists():
                raise
        number += 1


def start_trial(user: User) -> None:
    """Ask for the trial credit of the first organization a user owns, now that the email is verified."""
    owned = user.memberships.filter(role=Membership.Role.OWNER).order_by("organization_id").first()
    if owned is not None:
        enqueue("billing.grant_trial", organization_id=owned.organization_id)


def change_time_zone(user: User, *, time_zone: str) -> None:
    """Store the zone in which somebody wants to see times."""
    User.objects.filter(pk=user.pk).update(time_zone=time_zone)


@transaction.atomic
def add_member(
    organization: Organization, *, user: User, role: str, actor: User | None
) -> Membership:
    """Make a user a member; one who is a member already keeps the present role."""
    membership, added = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": role}
    )
    if added:
        _record(membership, action="member.added", actor=actor, details={"role": role})
    return membership


@transaction.atomic
def change_role(membership: Membership, *, role: str, actor: User) -> None:
    """Give a member another role; raises LastOwner."""
    before = _lock(membership).role
    if before == role:
        return
    if before == Membership.Role.OWNER:
        _require_another_owner(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    _record(
        membership, action="member.role_changed", actor=actor, details={"from": before, "to": role}
    )
    if role == Membership.Role.OWNER:
        _tell_owners(membership, actor=actor)


def _tell_owners(new: Membership, *, actor: User) -> None:
    """Mail everybody who owns the organization, the new one too: who owns it can take it from the others."""
    owners = Membership.objects.filter(organization=new.organization_id, role=Membership.Role.OWNER)
    for user_id in owners.order_by("pk").values_list("user_id", flat=True):
        enqueue("accounts.mail_new_owner", membership_id=new.pk, actor_id=actor.pk, user_id=user_id)


@transaction.atomic
def remove_member(membership: Membership, *, actor: User) -> None:
    """End a membership; raises LastOwner. Keys the member made go on working: they are the organization's."""
    role = _lock(membership).role
    if role == Membership.Role.OWNER:
        _require_another_owner(membership)
    _record(membership, action="member.removed", actor=actor, details={"role": role})
    membership.delete()


@transaction.atomic
def change_budgets(
    membership: Membership, *, budgets: Mapping[str, int | None], actor: User
) -> None:
    """
    Cap what a member's keys and sessions may spend in nano-USD, by `day`, `week` and `month`; None caps nothing.

    A call meets the new caps at once. Periods that are not named stay as they are.
    """
    stored = Membership.objects.select_for_update().get(pk=membership.pk)
    after = {f"budget_{period}_nanousd": cap for period, cap in budgets.items()}
    if changes := audit.set_fields(stored, after):
        stored.save(update_fields=list(changes))
        _record(stored, action="member.budget_changed", actor=actor, details=changes)


@transaction.atomic
def transfer_ownership(membership: Membership, *, to: Membership, actor: User) -> None:
    """Make another member an owner and the present one an admin, both or neither."""
    change_role(to, role=Membership.Role.OWNER, actor=actor)
    change_role(membership, role=Membership.Role.ADMIN, actor=actor)


@transaction.atomic
def require_second_factor(organization: Organization, *, is_required: bool, actor: User) -> None:
    """Let members in only with a second factor, or with a password alone again; a repeat changes nothing."""
    wanted = timezone.now() if is_required else None
    changed = Organization.objects.filter(
        pk=organization.pk, mfa_required_at__isnull=is_required
    ).update(mfa_required_at=wanted)
    if changed:
        audit.record(
            organization,
            action="organization.second_factor_required"
            if is_required
            else "organization.second_factor_optional",
            actor=actor,
            target=organization.public_id,
        )


@transaction.atomic
def change_settings(
    organization: Organization,
    *,
    actor: User,
    name: str,
    time_zone: str,
    week_start: int,
    month_day: int,
    leaked_keys: str,
) -> None:
    """Store the organization's name, the calendar its budget periods follow, and what becomes of leaked keys."""
    after = {
        "name": name,
        "time_zone": time_zone,
        "week_start": week_start,
        "month_day": month_day,
        "leaked_keys": leaked_keys,
    }
    if changes := audit.set_fields(organization, after):
        organization.save(update_fields=list(changes))
        audit.record(
            organization,
            action="organization.changed",
            actor=actor,
            target=organization.public_id,
            details=changes,
        )


def _lock(membership: Membership) -> Membership:
    """Return the row as it is now; the organization is locked first, so that two owners cannot both leave."""
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    return Membership.objects.get(pk=membership.pk)


def is_last_owner(membership: Membership) -> bool:
    """Say whether nobody would own the organization without this member."""
    return membership.role == Membership.Role.OWNER and not _has_other_owners(membership)


def _has_other_owners(membership: Membership) -> bool:
    owners = Membership.objects.filter(
        organization=membership.organization_id, role=Membership.Role.OWNER
    )
    return owners.exclude(pk=membership.pk).exists()


def _require_another_owner(membership: Membership) -> None:
    if not _has_other_owners(membership):
        raise LastOwner


def _record(
    membership: Membership, *, action: str, actor: User | None, details: dict[str, object]
) -> None:
    audit.record(
        membership.organization,
        action=action,
        actor=actor,
        details={"member": membership.user.email, **details},
    )
