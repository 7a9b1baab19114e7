"""Makes, changes and archives projects, which group keys and cap what they may spend together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, Project, User


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRules:
    """What may be changed about a project; None is no cap. The fields are Project's."""

    name: str
    colour: str = Project.Colour.GREY
    budget_day_nanousd: int | None = None
    budget_week_nanousd: int | None = None
    budget_month_nanousd: int | None = None
    budget_total_nanousd: int | None = None


class NameTaken(Exception):
    """Another project of the organization has the name."""


class HasKeys(Exception):
    """The project has keys that are not revoked, so it cannot be archived."""


class IsDefault(Exception):
    """The default project takes the keys that name none, so it cannot be archived."""


@transaction.atomic
def create_project(organization: Organization, *, rules: ProjectRules, actor: User) -> Project:
    """Store a project; raises NameTaken."""
    project = Project(organization=organization, **asdict(rules))
    _save(project)
    _record(project, "project.created", actor=actor, details={"name": rules.name})
    return project


@transaction.atomic
def update_project(project: Project, *, rules: ProjectRules, actor: User) -> None:
    """Replace a project's name, colour and caps; a call meets the new caps at once. Raises NameTaken."""
    stored = Project.objects.select_for_update().select_related("organization").get(pk=project.pk)
    if changes := audit.set_fields(stored, asdict(rules)):
        _save(stored)
        _record(stored, "project.changed", actor=actor, details=changes)


@transaction.atomic
def archive_project(project: Project, *, actor: User) -> None:
    """Take a project out of the lists; its usage stays. Raises IsDefault, HasKeys."""
    stored = Project.objects.select_for_update().select_related("organization").get(pk=project.pk)
    if stored.is_default:
        raise IsDefault
    if stored.api_keys.filter(revoked_at=None).exists():
        raise HasKeys
    if stored.archived_at is None:
        stored.archived_at = timezone.now()
        stored.save(update_fields=["archived_at"])
        _record(stored, "project.archived", actor=actor, details={"name": stored.name})


@transaction.atomic
def restore_project(project: Project, *, actor: User) -> None:
    """Let an archived project take keys again."""
    if Project.objects.filter(pk=project.pk).exclude(archived_at=None).update(archived_at=None):
        _record(project, "project.restored", actor=actor, details={"name": project.name})


def _save(project: Project) -> None:
    try:
        with transaction.atomic():
            project.save()
    except IntegrityError as error:
        if "project_name_once_each" not in str(error):
            raise
        raise NameTaken from error


def _record(project: Project, action: str, *, actor: User, details: Mapping[str, object]) -> None:
    audit.record(
        project.organization, action=action, actor=actor, target=project.public_id, details=details
    )
