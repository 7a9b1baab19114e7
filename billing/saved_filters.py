"""The views of the request log that members save: a name and the filters of an address."""

from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.middleware import OrganizationRequest
from accounts.models import Organization, User
from billing.console import log_query
from billing.models import SavedView

MOST = 30  # of one member in one organization
SavedLink = tuple[str, str, bool, str]  # name, address, whether it is the present one, public id


class CannotSave(Exception):
    """The view has no name, a name that is taken, no filter, or is one too many; the text says which."""


def save(organization: Organization, *, user: User, name: str, query: str) -> SavedView:
    """Store a view for a member; raises CannotSave."""
    if not name or len(name) > 60:
        raise CannotSave("Give the view a name of at most 60 characters.")
    if not query:
        raise CannotSave("Choose a filter first: this view would show everything.")
    own = SavedView.objects.filter(organization=organization, user=user)
    if own.count() >= MOST:
        raise CannotSave(f"You have {MOST} views. Forget one first.")
    try:
        with transaction.atomic():
            return SavedView.objects.create(
                organization=organization, user=user, name=name, query=query[:1000]
            )
    except IntegrityError:
        raise CannotSave(f"You have a view called {name} already.") from None


def delete(organization: Organization, *, user: User, public_id: str) -> str:
    """Forget a view of a member; return its name, "" when there is none."""
    found = SavedView.objects.filter(organization=organization, user=user, public_id=public_id)
    name = found.values_list("name", flat=True).first() or ""
    found.delete()
    return name


def links(request: OrganizationRequest) -> list[SavedLink]:
    """Return the member's views by name; runs one query."""
    base = reverse("dashboard:requests", args=[request.organization.slug])
    present = log_query.view_query(request.GET)
    found = SavedView.objects.filter(organization=request.organization, user=request.user)
    return [
        (view.name, f"{base}?{view.query}", view.query == present, view.public_id)
        for view in found.order_by("name")
    ]
