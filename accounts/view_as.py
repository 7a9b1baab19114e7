"""Whether our staff looks at a page through a customer's eyes (django-hijack), and who that is."""

from accounts.middleware import OrganizationRequest
from accounts.models import User


def is_viewed_as(request: OrganizationRequest) -> bool:
    """Say whether somebody of our staff is behind the session."""
    return bool(getattr(request.user, "is_hijacked", False))


def staff_behind(request: OrganizationRequest) -> User | None:
    """Return the one of our staff who is behind the session."""
    history = request.session.get("hijack_history") or []
    return User.objects.filter(pk=history[0]).first() if history else None
