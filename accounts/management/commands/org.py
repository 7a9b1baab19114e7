"""`manage.py org create|list`: organizations."""

from argparse import ArgumentParser

from django.core.management.base import CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Count

from accounts import services
from accounts.adapters import mark_email_verified
from accounts.models import Organization, User
from exerati.lib.operator import Answer, OperatorCommand, iso


class Command(OperatorCommand):
    """Organizations."""

    help = "Create and list organizations."
    actions = {"create": "create an organization", "list": "list organizations"}

    def add_create_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options of `org create`."""
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, help="email address of the owner")

    @transaction.atomic
    def create(self, *, name: str, owner: str) -> Answer:
        """Create an organization; an owner nobody knows yet is created, and sets a password by mail."""
        if not name.strip():
            raise CommandError("Give the organization a name.")
        user = User.objects.filter(email__iexact=owner).first()
        is_new = user is None
        if user is None:
            validate_email(owner)
            user = User.objects.create_user(owner)
            mark_email_verified(user)
        organization = services.create_organization(name=name.strip(), owner=user)
        return {**row(organization, members=1), "owner": user.email, "owner_created": is_new}

    def list(self) -> Answer:
        """List all organizations, oldest first."""
        found = Organization.objects.annotate(members=Count("memberships")).order_by("pk")
        return [row(organization, members=organization.members) for organization in found]


def row(organization: Organization, *, members: int) -> dict[str, object]:
    """Return what scripts may know of an organization."""
    return {
        "id": organization.public_id,
        "slug": organization.slug,
        "name": organization.name,
        "members": members,
        "suspended": organization.suspended_at is not None,
        "created_at": iso(organization.created_at),
    }
