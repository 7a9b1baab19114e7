"""HTML pages of projects: list, create, change, archive."""

from django.contrib import messages
from django.db.models import Count, F, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.models import Project
from accounts.permissions import Action, allows, organization_page
from apikeys import projects
from apikeys.project_forms import ProjectForm, form_of

NAME_TAKEN = "Another project has this name."
# Billing knows what was spent of a project's caps, and this month in all.
SPEND_TEMPLATES = ("billing/_project_spend.html", "apikeys/_nothing.html")


@require_safe
@organization_page(Action.VIEW)
def project_list(request: OrganizationRequest) -> HttpResponse:
    """List the projects with the number of keys that work; archived ones last."""
    found = request.organization.projects.annotate(
        keys=Count(
            "api_keys", filter=Q(api_keys__revoked_at=None, api_keys__kind="key"), distinct=True
        )
    )
    context = {
        "projects": found.order_by(F("archived_at").asc(nulls_first=True), "-is_default", "name"),
        "may_manage": allows(request.membership.role, Action.MANAGE_KEYS),
        "spend_templates": SPEND_TEMPLATES,
        "nav_active": "projects",
    }
    return render(request, "apikeys/projects.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_KEYS)
def project_create(request: OrganizationRequest) -> HttpResponse:
    """Make a project."""
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = projects.create_project(
                request.organization, rules=form.rules(), actor=request.user
            )
        except projects.NameTaken:
            form.add_error("name", NAME_TAKEN)
        else:
            messages.success(request, f"{project.name} is made. New keys can go there.")
            return _to_project(request, project)
    context = {
        "form": form,
        "projects_url": reverse("dashboard:projects", args=[request.organization.slug]),
        "nav_active": "projects",
    }
    status = 422 if form.errors else 200
    return render(request, "apikeys/project_create.html", context, status=status)


@require_safe
@organization_page(Action.VIEW)
def project_detail(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show a project with its keys and, to those who may, the form of its name and caps."""
    project = _project(request, public_id=public_id)
    return _page(request, project, form=form_of(project))


@require_POST
@organization_page(Action.MANAGE_KEYS)
def project_update(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Change a project's name, colour and caps."""
    project = _project(request, public_id=public_id)
    form = ProjectForm(request.POST)
    if form.is_valid():
        try:
            projects.update_project(project, rules=form.rules(), actor=request.user)
        except projects.NameTaken:
            form.add_error("name", NAME_TAKEN)
        else:
            messages.success(request, "Saved. The next call meets the new caps.")
            return _to_project(request, project)
    return _page(request, project, form=form, status=422)


@require_POST
@organization_page(Action.MANAGE_KEYS)
def project_archive(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Take a project without working keys out of the lists."""
    project = _project(request, public_id=public_id)
    try:
        projects.archive_project(project, actor=request.user)
    except projects.IsDefault:
        messages.error(request, "The default project takes keys that name none, so it stays.")
    except projects.HasKeys:
        messages.error(request, "Revoke its keys first: they would go on spending unseen.")
    else:
        messages.success(request, f"{project.name} is archived; its usage stays.")
    return _to_project(request, project)


@require_POST
@organization_page(Action.MANAGE_KEYS)
def project_restore(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Take a project back out of the archive."""
    project = _project(request, public_id=public_id)
    projects.restore_project(project, actor=request.user)
    messages.success(request, f"{project.name} is active again. New keys can go there.")
    return _to_project(request, project)


def _page(
    request: OrganizationRequest, project: Project, *, form: ProjectForm, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    keys = project.api_keys.filter(kind="key").select_related("created_by").sorted_by("name")
    may_manage = allows(request.membership.role, Action.MANAGE_KEYS)
    context = {
        "project": project,
        "keys": [(key, key.status_at(now)) for key in keys],
        "form": form,
        "may_manage": may_manage and project.archived_at is None,
        "may_restore": may_manage and project.archived_at is not None,
        "spend_templates": SPEND_TEMPLATES,
        "projects_url": reverse("dashboard:projects", args=[request.organization.slug]),
        "nav_active": "projects",
    }
    return render(request, "apikeys/project.html", context, status=status)


def _project(request: OrganizationRequest, *, public_id: str) -> Project:
    return get_object_or_404(
        request.organization.projects.select_related("organization"), public_id=public_id
    )


def _to_project(request: OrganizationRequest, project: Project) -> HttpResponse:
    return redirect(
        "dashboard:project", slug=request.organization.slug, public_id=project.public_id
    )
